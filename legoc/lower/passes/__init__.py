"""Passes over programs: program to program, one a file, pure and exact. Those that are not exact are in `opt_in`.

takes: Program, StackShape
gives: Program
may import: `legoc.passes.runner`, `legoc_runtime.contract`
"""
