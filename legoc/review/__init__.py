"""What a changed spec does to weights, cost and pictures: two specs compared, every change with its class and reason.

    sides.py, revisions.py    what is compared: files, builds, checkpoints, states of a git repository
    values.py, changes.py     two resolved specs to changes
    tensors.py, classify.py   what each change does to weights that were trained
    costs.py, limits.py       what it costs, and what was asked to be refused
    compare.py                all of it together: `Report`
    render/                   the report as text, one file a format

takes: two sides
gives: `Report`
may import: `legoc.spec`, `legoc.describe`, `legoc.cost`, `legoc.draw`, `legoc.render`, `legoc_runtime.contract`;
    never torch
"""
