"""A report as text: for the terminal, for a pull request, for programs; one file a format.

takes: `Report`
gives: text
may import: `legoc.review` but no other format, `legoc.render`, `legoc.draw`
"""
