"""Passes that change results beyond rounding, each with a stated tolerance. None runs unless it is asked for by name.

takes: Program, StackShape
gives: Program
may import: as `legoc.lower.passes`
"""
