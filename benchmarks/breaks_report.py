"""Tables and plots of `breaks.py`, made of the points that it kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from legoc.draw.curves import Curve, Plot, plots_svg
from legoc.draw.timeline import sigma_text
from legoc.study.table import Table, number, page

PLAIN = "18 steps, rho 7, guidance 1"
ACROSS = "noise level of the break, sigma"
BELOW = "root mean square to the pictures without skipping, data in [-1, 1]"
SHOWN_CONFIGURATIONS = 6

SHEET = (
    ("pg", "whole", "PG: nothing left out"),
    ("pg", "top late 0.3", "top out below sigma 0.3"),
    ("pg", "top late 1", "top out below sigma 1"),
    ("pg", "halfway", "halfway: top out below sigma 3"),
    ("demo", "whole", "demo: nothing left out"),
    ("demo", "detail early 1", "detail out above sigma 1"),
    ("demo", "detail late 0.3", "detail out below sigma 0.3"),
    ("demo", "whole late 0.1", "whole out below sigma 0.1"),
    ("demo", "whole late 0.3", "whole out below sigma 0.3"),
)
"""Rows of the sheet of pictures: stack, break, what is said of it."""
SCALE, GAP, HEAD = 2, 8, 250

Points = Mapping[str, Any]


class Measured:
    """The points of a set of breaks, by stack, setting and break."""

    def __init__(self, points: Points) -> None:
        self._points = points

    def settings(self, stack: str) -> list[str]:
        """Settings in which breaks of a stack were measured, as they come."""
        found = (key.split(" | ") for key in self._points if key.count(" | ") == 2)
        return list(dict.fromkeys(setting for name, setting, _ in found if name == stack))

    def stacks(self) -> list[str]:
        """Stacks that were sampled."""
        return list(dict.fromkeys(key.split(" | ")[0] for key in self._points if key.count(" | ") == 2))

    def breaks(self, stack: str, setting: str) -> dict[str, dict[str, Any]]:
        """Break -> what was measured of it."""
        before = f"{stack} | {setting} | "
        found = {key.removeprefix(before): point for key, point in self._points.items() if key.startswith(before)}
        return {key: point for key, point in found.items() if key != "whole"}

    def of(self, stack: str, setting: str, name: str) -> dict[str, Any] | None:
        """One break, where it was measured."""
        return self._points.get(f"{stack} | {setting} | {name}")

    def apart(self, stack: str, setting: str) -> float:
        """How far pictures of different seeds are from each other."""
        return rms([each**2 for each in self._points[f"{stack} | {setting} | whole"]["apart"]])

    def denoised(self, stack: str) -> dict[str, Any] | None:
        """What the configurations of a stack made of noised images."""
        return self._points.get(f"{stack} | denoising")


def rms(squared: Sequence[float]) -> float:
    """Root of the mean over pictures."""
    return math.sqrt(mean(squared))


def shown(point: Mapping[str, Any] | None) -> str:
    """An error with its standard error over pictures; `-` where nothing was measured or left out."""
    if point is None:
        return "-"
    squared = point["squared"]
    error = rms(squared)
    spread = stdev(squared) / math.sqrt(len(squared)) / (2 * error) if error else 0.0
    return f"{error:.3f} ± {spread:.3f}"


def write_report(out: Path, points: Points) -> None:
    """Write OUT/report.md and OUT/*.svg of the points that are there."""
    measured = Measured(points)
    tables = [(title, found) for title, found in _tables(measured) if found.rows]
    text = "".join(f"## {title}\n\n{found.markdown()}\n" for title, found in tables)
    (out / "report.md").write_text(page("What a break costs", [], []) + "\n" + text, encoding="utf-8")
    for name, title, plots in _pictures(measured):
        if plots:
            (out / f"{name}.svg").write_text(plots_svg(title, plots), encoding="utf-8")
    if sheet := _sheet(out):
        sheet.save(out / "breaks-pictures.png")
    print(text)


def strip_of(out: Path, key: str) -> Path:
    """Where the first pictures of a point are kept."""
    words = "".join(each if each.isalnum() or each == "." else "-" for each in key)
    return out / "pictures" / f"{words}.png"


def _sheet(out: Path) -> Image.Image | None:
    """The strips of `SHEET` below each other, of those that are there."""
    strips = [(strip_of(out, f"{stack} | {PLAIN} | {name}"), words) for stack, name, words in SHEET]
    found = [(Image.open(path).convert("RGB"), words) for path, words in strips if path.exists()]
    if not found:
        return None
    width, height = found[0][0].width * SCALE, found[0][0].height * SCALE
    page = Image.new("RGB", (HEAD + width + GAP, (height + GAP) * len(found) + GAP), "#ffffff")
    draw = ImageDraw.Draw(page)
    for i, (strip, words) in enumerate(found):
        top = GAP + i * (height + GAP)
        draw.text((GAP, top + height // 2 - 8), words, "#1f2430", ImageFont.load_default(15))
        page.paste(strip.resize((strip.width * SCALE, strip.height * SCALE), Image.Resampling.NEAREST), (HEAD, top))
    return page


def _tables(measured: Measured) -> Iterator[tuple[str, Table]]:
    for stack in ("demo", "pg", "pr"):
        yield f"{stack}: each brick ({PLAIN})", _by_brick(measured, stack)
    for stack in ("pg", "demo"):
        yield f"{stack}: schedules", _by_setting(measured, stack)
    yield "length of training", _by_length(measured)
    yield "training for skipping", _by_dropping(measured)
    for stack in measured.stacks():
        if found := measured.denoised(stack):
            of = "held-out images" if found["held_out"] else "training images"
            yield f"{stack}: estimates against those of the whole stack, {of}, rms", _denoised(found, "whole")
            yield f"{stack}: estimates against clean images, {of}, rms", _denoised(found, "clean")


def _by_brick(measured: Measured, stack: str) -> Table:
    rows: dict[str, dict[str, str]] = {}
    sigmas: set[str] = set()
    for name, point in measured.breaks(stack, PLAIN).items():
        if name != "halfway":
            brick, end, sigma = name.split()
            sigmas.add(sigma)
            rows.setdefault(f"{brick} {end}", {})[sigma] = f"{shown(point)} ({100 * point['saved']:.0f}%)"
    columns = sorted(sigmas, key=float)
    body = tuple((name, *(row.get(sigma, "-") for sigma in columns)) for name, row in rows.items())
    return Table(("left out", *(f"sigma {sigma}" for sigma in columns)), body)


def _by_setting(measured: Measured, stack: str) -> Table:
    complete = [setting for setting in measured.settings(stack) if measured.of(stack, setting, "halfway")]
    wanted = {"pg": "top late ", "demo": "detail early 1"}[stack]
    every = (name for setting in complete for name in measured.breaks(stack, setting))
    names = [name for name in dict.fromkeys(every) if name.startswith(wanted)]
    rows: list[tuple[str, ...]] = []
    for setting in complete:
        halfway = measured.breaks(stack, setting)["halfway"]
        others = (shown(measured.of(stack, setting, name)) for name in names)
        at = sigma_text(halfway["sigma"])
        rows.append((setting, *others, f"{shown(halfway)} at {at}", number(measured.apart(stack, setting), 3)))
    return Table(("schedule", *names, "halfway", "different seeds"), tuple(rows))


def _by_length(measured: Measured) -> Table:
    found = {_images(measured, stack): stack for stack in ("demo", *filter(str.isdecimal, measured.stacks()))}
    names = ("detail early 1", "whole early 1", "whole late 0.3")
    rows = tuple(
        (f"{images:,}", *(shown(measured.of(stack, PLAIN, name)) for name in names)) for images, stack in _sorted(found)
    )
    return Table(("images", *names), rows)


def _images(measured: Measured, stack: str) -> int:
    found = measured.denoised(stack)
    return int(stack) if stack.isdecimal() else int(found["images"]) if found else 0


def _sorted(found: Mapping[int, str]) -> list[tuple[int, str]]:
    return sorted(found.items())


def _by_dropping(measured: Measured) -> Table:
    names = ("whole early 1", "whole late 0.1", "whole late 0.3", "detail early 1")
    stacks = [stack for stack in ("demo", "plain", "drop") if stack in measured.stacks()]
    rows = tuple((stack, *(shown(measured.of(stack, PLAIN, name)) for name in names)) for stack in stacks)
    return Table(("stack", *names), rows)


def _denoised(found: Mapping[str, Any], against: str) -> Table:
    rows = tuple(
        (name, *(number(math.sqrt(error), 3) for error in errors[against])) for name, errors in found["by"].items()
    )
    return Table(("configuration", *(sigma_text(sigma) for sigma in found["sigmas"])), rows)


def _pictures(measured: Measured) -> Iterator[tuple[str, str, list[Plot]]]:
    bricks = [plot for stack in ("demo", "pg", "pr") for plot in _brick_plots(measured, stack)]
    yield "breaks-bricks", "Error of a break by brick, end and noise level", bricks
    yield "breaks-schedules", "Error of one break on several schedules", _schedule_plots(measured, "pg")
    yield "breaks-estimates", "What is left of the stack against the whole stack", _estimate_plots(measured)
    yield "breaks-length", "The same breaks along a training", _length_plots(measured)


def _brick_plots(measured: Measured, stack: str) -> Iterator[Plot]:
    curves: dict[str, list[tuple[float, float]]] = {}
    for name, point in measured.breaks(stack, PLAIN).items():
        brick, end, sigma = name.split() if name != "halfway" else ("", "", "")
        if brick and "+" not in brick:
            curves.setdefault(f"{brick} {end}", []).append((float(sigma), rms(point["squared"])))
    if curves:
        drawn = tuple(Curve(name, tuple(sorted(found))) for name, found in curves.items())
        yield Plot(
            f"{stack}: one brick left out above (early) or below (late)", drawn, ACROSS, BELOW, decades_across=True
        )


def _schedule_plots(measured: Measured, stack: str) -> list[Plot]:
    by_sigma: list[Curve] = []
    by_share: list[Curve] = []
    for setting in measured.settings(stack):
        steps = int(setting.split()[0])
        points = [
            (point["sigma"], point["steps"] / steps, rms(point["squared"]))
            for name, point in measured.breaks(stack, setting).items()
            if name == "halfway" or name.startswith("top late")
        ]
        if measured.of(stack, setting, "halfway") is None:
            continue
        label = setting.replace(", guidance 1", "").replace(" steps, rho ", " steps, ρ ").replace(", guidance ", ", w ")
        by_sigma.append(Curve(label, tuple(sorted((sigma, error) for sigma, _, error in points))))
        by_share.append(Curve(label, tuple(sorted((share, error) for _, share, error in points))))
    if not by_sigma:
        return []
    return [
        Plot("over the noise level of the break", tuple(by_sigma), ACROSS, BELOW, decades_across=True),
        Plot("the same points over the share of steps left out", tuple(by_share), "share of the steps", BELOW),
    ]


def _estimate_plots(measured: Measured) -> list[Plot]:
    plots: list[Plot] = []
    for stack in ("demo", "pg", "pr"):
        if found := measured.denoised(stack):
            names = [name for name in found["by"] if any(found["by"][name]["whole"])][:SHOWN_CONFIGURATIONS]
            curves = tuple(
                Curve(name, tuple(zip(found["sigmas"], map(math.sqrt, found["by"][name]["whole"]), strict=True)))
                for name in names
            )
            across = "noise level of the images, sigma"
            plots.append(Plot(f"{stack}: what runs", curves, across, "root mean square", decades_across=True))
    return plots


def _length_plots(measured: Measured) -> list[Plot]:
    found = _sorted({_images(measured, stack): stack for stack in ("demo", *filter(str.isdecimal, measured.stacks()))})
    curves: list[Curve] = []
    for name in ("detail early 1", "whole early 1", "whole late 0.3"):
        points = [(float(images), measured.of(stack, PLAIN, name)) for images, stack in found]
        drawn = tuple((images, rms(point["squared"])) for images, point in points if point)
        if len(drawn) > 1:
            curves.append(Curve(name, drawn))
    return [Plot("error of a break", tuple(curves), "images trained on", BELOW)] if curves else []
