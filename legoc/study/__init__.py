"""The paper's figures as studies: what is measured, point by point, and the tables and plots made of it.

takes: a stack's shape, a spec and what to sweep, points as a caller measures them
gives: policies by share, specs of a sweep, a directory of finished points; tables and plots
may import: `legoc.{cost,draw,hashes,render,spec}`, `legoc_runtime.contract`; never torch
"""
