"""The language server: what an editor asks about a spec while it is being written.

The files beside `server` answer with protocol types and know nothing of the connection; `server` alone talks.

takes: texts as the editor has them, saved or not
gives: diagnostics, hovers, completions, places, edits
may import: `legoc.spec`, `legoc.schema`, `legoc.cost`, `legoc.fmt`, `legoc_runtime.contract`, pygls; never torch
"""
