"""One self-contained HTML page about a spec, a build, a run, a checkpoint or a comparison: no network, no script.

takes: paths and revisions, as `legoc.review` reads them
gives: HTML text
may import: `legoc.review`, `legoc.draw`, `legoc.cost`, `legoc.spec`; never torch
"""
