"""A set of images read once from end to end: everything that is wrong with it, not the first thing alone."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from legoc.data.findings import DataReport, Finding, SizeCount, Values, count_classes, finding
from legoc.data.near import look_of, near_pairs
from legoc.data.wanted import Wanted, label_findings, sigma_findings
from legoc_runtime.data import pictures
from legoc_runtime.data.resize import check_source_size
from legoc_runtime.data.sources import ImageSource
from legoc_runtime.errors import LegocError

NARROW = 64
"""A set whose values are in a range of fewer than so many of 256 levels was probably scaled wrongly."""

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of an image that decodes.

    Attributes:
        header: its size and colour in the set.
        digest: of its pixels as a stack would see them.
        look: its difference hash.
        low: the smallest value, 0 to 255.
        high: the largest.
        mean: the mean of its values.
        square: the mean of their squares.
        weight: how many values there are.
    """

    header: pictures.Header
    digest: bytes
    look: int
    low: int
    high: int
    mean: float
    square: float
    weight: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that does not decode, and why."""

    message: str


def examine(
    source: ImageSource,
    wanted: Wanted,
    held_out: ImageSource | None = None,
    progress: Progress = lambda done: None,
) -> DataReport:
    """Read every image of a set.

    Args:
        source: the images.
        wanted: what a spec asks of them.
        held_out: images that no stack should train on, or None.
        progress: is told how many images are done, those of `held_out` after the others.
    """
    seen = _look_at_all(source, wanted, progress)
    held = [] if held_out is None else _look_at_all(held_out, wanted, lambda done: progress(done + len(seen)))
    good = [each for each in seen if isinstance(each, Seen)]
    values = _values(good)
    findings = [*_unreadable(seen, source), *_size_findings(seen, source, wanted)]
    findings += label_findings(source.labels.classes, source.labels.why_absent, source.names, wanted)
    findings += [*_duplicates(seen, source), *_flat(seen, source)]
    if held_out is not None:
        findings += [*_unreadable(held, held_out), *_across(seen, source, held, held_out, wanted)]
    if good:
        findings += [*_range(good), *sigma_findings(values.std, wanted)]
    return _report(source, [each.header for each in good], values, findings)


def describe(source: ImageSource, progress: Progress = lambda done: None) -> DataReport:
    """What a set of images holds, from its headers and labels alone. Raises RunError on one that cannot be read."""
    headers: list[pictures.Header] = []
    for i in range(len(source.names)):
        where = source.where(i)
        with pictures.naming(where), source.open(i) as file:
            headers.append(pictures.read_header(cast("BinaryIO", file), where))
        progress(i + 1)
    return _report(source, headers, None, ())


def pixels_of(source: ImageSource, index: int, wanted: Wanted) -> NDArray[np.uint8]:
    """An image as a stack would see it, or in its own size where nothing is resized, uint8 [3, height, width].

    Raises:
        RunError: it does not decode, or the rule does not take it.
    """
    return _read(source, index, wanted)[1]


def _read(source: ImageSource, index: int, wanted: Wanted) -> tuple[pictures.Header, NDArray[np.uint8]]:
    where = source.where(index)
    with pictures.naming(where), source.open(index) as file:
        stream = cast("BinaryIO", file)
        header = pictures.read_header(stream, where)
        check_source_size(wanted.resize, (header.height, header.width), where)
        stream.seek(0)
        resized = wanted.resize != "none" and wanted.size is not None
        height, width = wanted.size if resized and wanted.size else (header.height, header.width)
        rule = wanted.resize if resized else "none"
        return header, pictures.decode(stream, where, channels=3, height=height, width=width, resize=rule)


def _look_at(source: ImageSource, index: int, wanted: Wanted) -> Seen | Unreadable:
    try:
        header, pixels = _read(source, index, wanted)
    except LegocError as error:
        return Unreadable(error.message)
    values = pixels.astype(np.float64) / 127.5 - 1
    digest = hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).digest()[:16]
    return Seen(
        header, digest, look_of(pixels), int(pixels.min()), int(pixels.max()),
        float(values.mean()), float((values**2).mean()), pixels.size,
    )  # fmt: skip


def _look_at_all(source: ImageSource, wanted: Wanted, progress: Progress) -> list[Seen | Unreadable]:
    found: list[Seen | Unreadable] = []
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        looked = pool.map(partial(_look_at, source, wanted=wanted), range(len(source.names)))
        for each in looked:
            found.append(each)
            progress(len(found))
    return found


def _report(
    source: ImageSource, headers: Sequence[pictures.Header], values: Values | None, findings: Sequence[Finding]
) -> DataReport:
    sizes = Counter((header.height, header.width) for header in headers)
    labels = source.labels
    return DataReport(
        path=str(source.path),
        form="images",
        examples=len(source.names),
        channels=1 if headers and all(header.gray for header in headers) else 3,
        sizes=tuple(SizeCount(*size, count) for size, count in sizes.most_common()),
        classes=count_classes(labels.classes, labels.names),
        labels=f"no labels ({labels.why_absent})" if labels.classes is None else f"{len(set(labels.classes))} classes",
        values=values,
        findings=tuple(findings),
    )


def _values(seen: Sequence[Seen]) -> Values:
    if not seen:
        return Values(0.0, 0.0, 0.0, 0.0)
    weights = np.array([each.weight for each in seen], dtype=np.float64)
    mean = float(np.average([each.mean for each in seen], weights=weights))
    square = float(np.average([each.square for each in seen], weights=weights))
    low, high = min(each.low for each in seen), max(each.high for each in seen)
    return Values(low / 127.5 - 1, high / 127.5 - 1, mean, float(np.sqrt(max(square - mean**2, 0.0))))


def _unreadable(seen: Sequence[Seen | Unreadable], source: ImageSource) -> Iterator[Finding]:
    bad = [each.message for each in seen if isinstance(each, Unreadable)]
    if bad:
        said = f"{len(bad):,} of {len(seen):,} images of {source.path} cannot be read"
        yield finding("unreadable", said, "replace the files, or take them out of the set", bad)


def _size_findings(seen: Sequence[Seen | Unreadable], source: ImageSource, wanted: Wanted) -> Iterator[Finding]:
    good = [(name, each.header) for name, each in zip(source.names, seen, strict=True) if isinstance(each, Seen)]
    sizes = Counter((header.height, header.width) for _, header in good)
    if wanted.resize == "none" and sizes:
        size = wanted.size or sizes.most_common(1)[0][0]
        others = [f"{name}: {h.height}x{h.width}" for name, h in good if (h.height, h.width) != size]
        if others:
            what = "the stack works on" if wanted.size else "most are"
            said = f"{len(others):,} images are not {size[0]}x{size[1]}, which {what}"
            yield finding("size", said, "say how images come to one size: `data: {resize: adm}`", others)
    channels = 1 if good and all(header.gray for _, header in good) else 3
    if wanted.shape is not None and good and channels != wanted.shape.channels:
        said = f"images have {channels} channels, the spec has {wanted.shape.channels}"
        latents = wanted.shape.channels > 3
        help = "make latents of them: `legoc data encode`" if latents else f"give the spec `channels: {channels}`"
        yield finding("channels", said, help)


def _duplicates(seen: Sequence[Seen | Unreadable], source: ImageSource) -> Iterator[Finding]:
    first: dict[bytes, int] = {}
    again: list[str] = []
    contrary = 0
    for i, each in enumerate(seen):
        if not isinstance(each, Seen):
            continue
        earlier = first.setdefault(each.digest, i)
        if earlier != i:
            again.append(f"{source.names[i]} = {source.names[earlier]}")
            classes = source.labels.classes
            contrary += classes is not None and classes[i] != classes[earlier]
    if again:
        other = f", {contrary:,} of them under another class" if contrary else ""
        said = f"{len(again):,} images have the pixels of an earlier one{other}"
        yield finding("duplicates", said, "take them out, unless they are meant to count more than once", again)


def _flat(seen: Sequence[Seen | Unreadable], source: ImageSource) -> Iterator[Finding]:
    flat = [name for name, s in zip(source.names, seen, strict=True) if isinstance(s, Seen) and s.low == s.high]
    if flat:
        yield finding("flat", f"{len(flat):,} images are of one colour", "see that they are meant", flat)


def _range(seen: Sequence[Seen]) -> Iterator[Finding]:
    low, high = min(each.low for each in seen), max(each.high for each in seen)
    if high - low < NARROW:
        said = f"all values are between {low} and {high} of 0 to 255"
        yield finding("range", said, "they were probably scaled wrongly when they were saved: save them as 0 to 255")


def _across(
    seen: Sequence[Seen | Unreadable],
    source: ImageSource,
    held: Sequence[Seen | Unreadable],
    held_out: ImageSource,
    wanted: Wanted,
) -> Iterator[Finding]:
    """Held-out images that the set holds too, to the pixel or nearly."""
    ours = [(i, each) for i, each in enumerate(seen) if isinstance(each, Seen)]
    theirs = [(i, each) for i, each in enumerate(held) if isinstance(each, Seen)]
    if not ours or not theirs:
        return
    digests = {each.digest for _, each in ours}
    same = sum(each.digest in digests for _, each in theirs)
    pairs = near_pairs(
        np.array([each.look for _, each in ours], dtype=np.uint64),
        np.array([each.look for _, each in theirs], dtype=np.uint64),
        lambda i: pixels_of(source, ours[i][0], wanted),
        lambda i: pixels_of(held_out, theirs[i][0], wanted),
    )
    names = [f"{held_out.names[theirs[b][0]]} ~ {source.names[ours[a][0]]}" for a, b in pairs]
    if names:
        said = f"{len(names):,} of {len(held):,} held-out images look like one of the set, {same:,} to the pixel"
        yield finding("held-out", said, "take them out of one of the sets: what is measured on them is memory", names)
