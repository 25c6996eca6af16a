"""What git shows of specs and weights: drivers for `git diff`, `git log -p`, `git show`, put into its settings.

    attributes.py  which files: lines of .gitattributes
    install.py     the settings and lines, added and removed
    textconv.py    a file as text: a spec resolved, a file of weights by header and tensors
    patch.py       one file of `git diff`: what the change does, above the patch that git would have shown

takes: files as git hands them over
gives: text, always: what cannot be read is shown as it is, with a word
may import: `legoc.review`, `legoc.spec`, the standard library; never torch
"""
