"""Skip policies by measurement: what a schedule costs and what it does to pictures, and the best one under a budget.

takes: errors and costs of every configuration in every band of noise levels, as a caller measures them
gives: the exact Pareto front of schedules, their predicates over sigma, a record that a run keeps
may import: `legoc.spec`, `legoc.draw`, `legoc_runtime.contract`; never torch
"""
