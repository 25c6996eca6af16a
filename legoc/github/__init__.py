"""Specs in a workflow of GitHub: checked, compared with the base, told in annotations, a summary and one comment.

    event.py      what the workflow runs for: a pull request, a push, its base
    outcome.py    what checking and comparing found, and whether the job fails
    page.py       that as Markdown, for the summary and the comment
    api.py        calls of the REST API: retries, paging, never a word of the token
    comment.py    the one comment that is found again and updated

takes: the environment of a workflow, a repository
gives: `Outcome`, Markdown, a comment
may import: `legoc.review`, `legoc.spec`, `legoc.render`, the standard library; never torch
"""
