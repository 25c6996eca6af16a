"""Random pairs of specs that check, from a seed: half of them a few values apart, half of them strangers."""

from __future__ import annotations

import random
from functools import cache

from legoc.spec import StackSpec, check_text
from tests.review import models

LEARNED = "{kind: ddpm, variance: learned_range}"

MODELS = tuple(
    f'{{kind: stack, path: "{path}"{frozen}}}'
    for path in (models.FIRST, models.SECOND, models.HEADS, models.DEEP)
    for frozen in ("", ", frozen: false")
)

STACK: dict[str, tuple[str, ...]] = {
    "name": ("n", "m"),
    "grid_width": ("16", "32"),
    "channels": ("4", "1", "16"),
    "classes": ("5", "6", "null"),
    "condition_width": ("16", "32"),
    "diffusion": (
        "edm",
        "ddpm",
        "{kind: edm, sigma_data: 1}",
        "{kind: edm, rho: 5}",
        "{kind: ddpm, variance: learned_range}",
    ),
    "carry": ("x0", "raw"),
    "coordinates": ("none", "row_column", "column_row"),
    "label": ("table", "linear"),
    "time_scale": ("1", "1000"),
    "batch": ("8", "4"),
    "steps": ("8", "9"),
    "base": ("", *MODELS),
    "base_id": ("base", "given"),
    "base_at": ("0", "1", "2", "9"),
    "noise_scale": ("0.5", "0.3"),
    "ids": ("abc", "ab", "acb", "bac", "bcd", "abcd", "dabc", "b", "xbc", "axc"),
}
BRICK: dict[str, tuple[str, ...]] = {
    "size": ("8", "4", "16"),
    "receptive_field": ("4", "2"),
    "depth": ("1", "2", "3"),
    "width": ("16", "32"),
    "heads": ("2", "4"),
    "mlp_ratio": ("4", "2", "4.001"),
    "loss_weight": ("1", "0.5"),
}
IDS = "abcdx"
CHOICES = {**STACK, **{f"{id}.{key}": values for id in IDS for key, values in BRICK.items()}}

Drawn = dict[str, str]


def drawn(dice: random.Random, rare: float) -> Drawn:
    """A choice for every key; another than the first one rarely."""
    return {key: dice.choice(values) if dice.random() < rare else values[0] for key, values in CHOICES.items()}


def altered(dice: random.Random, choices: Drawn) -> Drawn:
    """The same with one to three choices made anew, of keys that are in use."""
    used = [key for key in choices if "." not in key or key[0] in choices["ids"]]
    return {**choices, **{key: dice.choice(CHOICES[key]) for key in dice.sample(used, dice.randint(1, 3))}}


def written(choices: Drawn) -> str:
    """The spec's text."""
    bricks: list[str] = []
    for id in choices["ids"]:
        keys = ", ".join(f"{key}: {choices[f'{id}.{key}']}" for key in BRICK)
        bricks.append(f"  - {{id: {id}, {keys}}}")
    if choices["base"]:
        place = int(choices["base_at"])
        scale = f", noise_scale: {choices['noise_scale']}}}" if place else "}"
        bricks.insert(place, f"  - {{id: {choices['base_id']}, pretrained: {choices['base'][:-1]}{scale}}}")
    return "\n".join(
        [
            f"legoc: 1\nname: {choices['name']}",
            f"grid: {{height: 16, width: {choices['grid_width']}, channels: {choices['channels']}}}",
            f"conditioning: {{classes: {choices['classes']}, width: {choices['condition_width']}}}",
            f"diffusion: {choices['diffusion']}\ncarry: {choices['carry']}",
            f"compat: {{coordinates: {choices['coordinates']}, label_embedding: {choices['label']}, "
            f"time_scale: {choices['time_scale']}}}",
            f"train: {{batch: {choices['batch']}}}\nsample: {{steps: {choices['steps']}}}\nbricks:",
            *bricks,
        ]
    )


@cache
def random_pairs(count: int, seed: int) -> tuple[tuple[StackSpec, StackSpec], ...]:
    """So many pairs of specs that check, no two pairs alike, and no spec paired with itself."""
    models.made()
    dice = random.Random(seed)
    families: list[list[StackSpec]] = []
    for i, rare in enumerate([0.0, 0.05, 0.1, 0.3] * 4):
        start = drawn(dice, rare)
        if i % 4 == 1:
            start["base"] = dice.choice(MODELS)
            start["base_at"] = dice.choice(STACK["base_at"])
        texts = dict.fromkeys(written(choices) for choices in (start, *(altered(dice, start) for _ in range(24))))
        checked = [check_text(text, "random.yaml").spec for text in texts]
        families.append([spec for spec in checked if spec is not None])
    relatives = [family for family in families if len(family) > 1]
    strangers = [spec for family in families for spec in family]
    found: dict[tuple[int, int], tuple[StackSpec, StackSpec]] = {}
    while len(found) < count:
        family = dice.choice(relatives)
        before, after = dice.choice(family), dice.choice(family if dice.random() < 0.7 else strangers)
        if before is not after:
            found[id(before), id(after)] = before, after
    return tuple(found.values())
