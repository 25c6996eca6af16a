"""The words of the predicate language, each with a line about it."""

from __future__ import annotations

NAMES: dict[str, str] = {
    "progress": "i/(N-1) for the noise level i of N: 0 at pure noise, 1 at the last level",
    "step": "i, the index of the noise level: 0 at pure noise",
    "steps": "N, the number of noise levels",
    "sigma": "standard deviation of the noise, before churn; falls with the steps",
    "log_snr": "-2 log sigma",
    "t": "DDPM's timestep, from T-1 at pure noise to 0; EDM has none",
    "guided": "whether guidance acts at this level; a truth value",
}
"""Properties of a noise level."""

FUNCTIONS: dict[str, str] = {
    "min": "the smallest of two numbers or more",
    "max": "the largest of two numbers or more",
    "abs": "the absolute value of a number",
    "log": "the natural logarithm of a number",
}

OPERATORS: dict[str, str] = {
    "and": "true where both sides are",
    "or": "true where one side is",
    "not": "true where what follows is not",
}
