"""Rules about canvases: keys that are of one, and one that windows of the stack's grid make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from legoc.codes import report
from legoc.diagnostics import Diagnostic, Label
from legoc.spec.drafts import grid_of
from legoc.spec.load import Loaded
from legoc.spec.resolve import resolve_sample
from legoc_runtime.contract.canvas_request import Fault, Stack, default_stride, faults
from legoc_runtime.contract.settings import GRID, OF_CANVASES, Region, SampleSettings

if TYPE_CHECKING:
    from legoc.spec.written_sample import Sample


def check_canvas(loaded: Loaded) -> Iterator[Diagnostic]:
    """LG113: what is said of a canvas, and there is none. LG114, LG115: a canvas or region that the stack cannot make.

    LG110 for regions of a stack without classes. LG116: a way of decoding canvases where none is decoded.
    """
    if loaded.written.sample is not None:
        yield from _decoding(loaded, loaded.written.sample)
    if loaded.written.sample is None or loaded.is_broken("sample", "size"):
        return
    settings = resolve_sample(loaded)
    if settings.size == GRID:
        yield from _idle(loaded, loaded.written.sample)
        return
    grid = grid_of(loaded)
    if grid is None:
        return
    conditioning = loaded.written.conditioning
    known = conditioning is not None and not loaded.is_broken("conditioning", "classes")
    classes = conditioning.classes if conditioning is not None and known else 10**9
    given = next((brick.id for brick in loaded.written.bricks or [] if brick.pretrained is not None), None)
    for fault in faults(settings, Stack(grid, classes, _hands_on_estimates(loaded), given)):
        if (found := _reported(loaded, settings, fault, grid)) is not None:
            yield found


def _hands_on_estimates(loaded: Loaded) -> bool:
    """As far as is known: what is broken has its own diagnostic."""
    diffusion = loaded.written.diffusion
    kind = None if diffusion is None else diffusion.kind
    return loaded.written.carry != "raw" and kind in (None, "edm")


def _idle(loaded: Loaded, sample: Sample) -> Iterator[Diagnostic]:
    """Keys of canvases that would change something. `size: grid` takes a canvas back that another file made."""
    path, nothing = ("sample", "size"), SampleSettings()
    size = loaded.span(*path) if loaded.tree.has(path) else None
    here = [] if size is None else [Label(size, "pictures have the grid's size here")]
    for key in OF_CANVASES:
        written = getattr(sample, key)
        if written in (None, []) or written == getattr(nothing, key) or loaded.is_broken("sample", key):
            continue
        span = loaded.tree.key(("sample", key)) or loaded.span("sample", key)
        if size is not None and size.file is not span.file:
            continue
        message = f"`{key}` says something of a canvas, and pictures have the grid's size"
        help = f"add `size: {_twice(loaded)}`, height x width, or remove `{key}`"
        yield report("LG113", message, span, secondary=here, help=help)


def _decoding(loaded: Loaded, sample: Sample) -> Iterator[Diagnostic]:
    """`decode` beside a canvas and a VAE. `decoder: none` or `size: grid` over a base takes those back with it."""
    if sample.decode in (None, SampleSettings().decode):
        return
    span = loaded.tree.key(("sample", "decode")) or loaded.span("sample", "decode")
    nothing: list[tuple[str, str, str, str]] = []
    if sample.decoder in (None, "none"):
        nothing.append(("decoder", "no VAE decodes any", "decoder: FOLDER", "latents are kept"))
    if sample.size in (None, GRID):
        canvas = f"size: {_twice(loaded)}"
        nothing.append(("size", "pictures have the grid's size", canvas, "pictures have the grid's size here"))
    for key, why, add, there in nothing:
        if loaded.is_broken("sample", key):
            continue
        at = loaded.span("sample", key) if loaded.tree.has(("sample", key)) else None
        if at is not None and at.file is not span.file:
            continue
        message = f"`decode` says how canvases are decoded, and {why}"
        here = [] if at is None else [Label(at, there)]
        yield report("LG116", message, span, secondary=here, help=f"add `{add}`, or remove `decode`")
        return


def _twice(loaded: Loaded) -> str:
    """A canvas that the stack can make, for example."""
    height, width = grid_of(loaded) or (32, 32)
    return f"{height}x{2 * width}"


def _reported(loaded: Loaded, settings: SampleSettings, fault: Fault, grid: tuple[int, int]) -> Diagnostic | None:
    """A fault at the value that is wrong; None where that has a diagnostic already."""
    place = _place(fault)
    if loaded.is_broken(*place) or not loaded.tree.has(place):
        return None
    span, (tall, wide) = loaded.span(*place), grid
    of_grid = [Label(loaded.span("grid", "height"), f"the grid is {tall}x{wide}")]
    of_size = [Label(loaded.span("sample", "size"), f"the canvas is {settings.size}")]
    of_classes = [Label(loaded.span("conditioning", "classes"), _classes_words(loaded))]
    match fault.kind:
        case "size":
            help = f"{fault.help}; `size: grid` is the stack's own"
            return report("LG114", fault.message, span, secondary=of_grid, help=help)
        case "windows":
            return report("LG114", fault.message, span, help=fault.help)
        case "stride":
            help = f"{fault.help}; {default_stride(grid)} goes without saying"
            return report("LG114", fault.message, span, secondary=of_grid, help=help)
        case "canvas":
            return report("LG114", fault.message, span, secondary=_carrying(loaded), help=fault.help)
        case "unconditional":
            return report("LG110", fault.message, loaded.tree.head(place), secondary=of_classes, help="remove them")
        case "class":
            message = _called(loaded, settings, fault)
            if message is None:
                return None
            return report("LG115", message, span, secondary=of_classes, help=fault.help)
        case "box":
            meant = f"write `box: {_box(fault.instead)}`: " if fault.instead else ""
            message = _called(loaded, settings, fault)
            if message is None:
                return None
            return report("LG115", message, span, secondary=of_size, help=meant + fault.help)


def _called(loaded: Loaded, settings: SampleSettings, fault: Fault) -> str | None:
    """What is said of a region, by what is sound of it: what is broken stands as 0, which nobody wrote."""
    assert fault.region is not None
    assert loaded.written.sample is not None
    region, written = settings.regions[fault.region], (loaded.written.sample.regions or [])[fault.region]
    if fault.kind == "class" and written.box is None:
        return f"a region has class {region.label}, which is none"
    if fault.kind == "box" and written.box is None:
        return None  # one of its numbers has a diagnostic
    if fault.kind == "box" and written.label is None:
        return f"the box {_box(region)} is empty or leaves the canvas of {settings.size}"
    return fault.message


def _place(fault: Fault) -> tuple[str | int, ...]:
    match fault.kind:
        case "size" | "windows":
            return ("sample", "size")
        case "stride" | "canvas":
            return ("sample", fault.kind)
        case "unconditional":
            return ("sample", "regions")
        case "class" | "box":
            assert fault.region is not None
            return ("sample", "regions", fault.region, fault.kind)


def _carrying(loaded: Loaded) -> list[Label]:
    """What bricks hand on, where it is written."""
    places = [("carry",)] if loaded.written.carry == "raw" else [("diffusion", "kind"), ("diffusion",)]
    return [Label(loaded.span(*place), "chosen here") for place in places if loaded.tree.has(place)][:1]


def _classes_words(loaded: Loaded) -> str:
    classes = loaded.written.conditioning.classes if loaded.written.conditioning else None
    return "the stack is unconditional" if classes is None else f"{classes:,} classes"


def _box(region: Region) -> str:
    return f"[{region.left}, {region.top}, {region.right}, {region.bottom}]"
