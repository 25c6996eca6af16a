"""What compiler and runtime agree on.

takes: nothing
gives: stack shapes, noise schedules, predicates, policies, truth tables, programs, manifests
may import: the standard library and `legoc_runtime.errors`; never torch
"""
