"""Timing of a stack beside its peers, in one run.

takes: a spec, build or run, and the names of peers
gives: `Bench` as data, JSON, a Markdown record and a plot
may import: every room of the compiler but `cli` and `inspection`, `legoc_runtime`, torch; diffusers only when asked for
"""
