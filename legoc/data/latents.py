"""A folder of latents read once from end to end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from legoc.data.findings import DataReport, Finding, SizeCount, Values, count_classes, finding
from legoc.data.wanted import Wanted, label_findings, sigma_findings
from legoc_runtime.data.latents import LatentDataset
from legoc_runtime.data.latents_index import AGAIN
from legoc_runtime.errors import LegocError, UsageError


def describe_latents(data: LatentDataset) -> DataReport:
    """What a folder of latents holds, from its index and labels."""
    return DataReport(
        path=str(data.path),
        form="latents",
        examples=len(data),
        channels=data.channels,
        sizes=(SizeCount(data.height, data.width, len(data)),),
        classes=count_classes(data.labels.classes, data.class_names),
        labels=data.labels_in_words(),
    )


def examine_latents(data: LatentDataset, wanted: Wanted, progress: Callable[[int], None]) -> DataReport:
    """Read every latent.

    Args:
        data: the latents.
        wanted: what a spec asks of them.
        progress: is told how many are done.
    """
    names = [data.name(i) for i in range(len(data))]
    bad: list[str] = []
    again: list[str] = []
    first: dict[bytes, int] = {}
    low, high = np.inf, -np.inf
    for i in range(len(data)):
        try:
            mean = data.scaled_mean(i)
        except LegocError as error:
            bad.append(error.message)
            continue
        low, high = min(low, float(mean.min())), max(high, float(mean.max()))
        earlier = first.setdefault(hashlib.sha256(mean.tobytes()).digest()[:16], i)
        if earlier != i:
            again.append(f"{names[i]} = {names[earlier]}")
        progress(i + 1)
    findings = [*_checksums(data), *_fit(data, wanted)]
    if bad:
        findings.append(finding("unreadable", f"{len(bad):,} latents cannot be read", AGAIN, bad))
    findings += label_findings(data.labels.classes, data.labels.why_absent, names, wanted)
    if again:
        said = f"{len(again):,} latents are those of an earlier image"
        findings.append(finding("duplicates", said, "see the images with `legoc data check IMAGES`", again))
    findings += sigma_findings(data.index.std, wanted)
    values = Values(float(low), float(high), float(np.mean(data.index.channel_mean)), data.index.std)
    told = describe_latents(data)
    return DataReport(
        told.path, told.form, told.examples, told.channels, told.sizes, told.classes, told.labels, values,
        tuple(findings),
    )  # fmt: skip


def _checksums(data: LatentDataset) -> Iterator[Finding]:
    wrong = [shard.file for shard in data.index.shards if data.shard_digest(shard) != shard.sha256]
    if wrong:
        yield finding("checksum", f"{len(wrong):,} shards are not as they were written", AGAIN, wrong)


def _fit(data: LatentDataset, wanted: Wanted) -> Iterator[Finding]:
    if wanted.shape is None:
        return
    try:
        data.check_grid(wanted.shape)
    except UsageError as error:
        yield finding("size", error.message, error.help or "")
    if wanted.flip and not data.index.flipped:
        said = "the spec flips images, and latents of mirror images are not there"
        yield finding("flip", said, "encode with --flip, or train with `flip: false`")
