"""Runs side by side: what each has cost and where its loss stands, as a table and over images, time and MACs.

takes: run directories
gives: `Compared`; text, Markdown, JSON and plots of it
may import: `legoc.{history,describe,cost,draw,render}`, `legoc_runtime.contract`; never torch
"""
