"""What is kept of a search: policy-errors.json, and what it says of the error of any policy.

A run and an exported folder have it inside, a file of weights beside it, under its own name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, cast

from legoc.policies.predicates import policy_of
from legoc_runtime.contract import codec
from legoc_runtime.contract.manifest import manifest_folder
from legoc_runtime.contract.policy import Configuration, TruthTable, configuration_name
from legoc_runtime.contract.settings import SampleSettings
from legoc_runtime.errors import RunError

if TYPE_CHECKING:
    from legoc_runtime.contract.manifest import Manifest

RECORD_NAME = "policy-errors.json"
RECORD_VERSION = 1
UNIT = "root mean square against no skipping, in the units of the data"
SEARCH_AGAIN = "remove it, or search again with `legoc policy search RUN`"


@dataclass(frozen=True)
class BandErrors:
    """What configurations do in one band of noise levels.

    Attributes:
        sigma_high: noise level of its first step.
        sigma_low: noise level of its last step.
        errors: name of a configuration -> error of the final pictures where it runs in this band alone.
    """

    sigma_high: float
    sigma_low: float
    errors: dict[str, float]


@dataclass(frozen=True)
class Stretch:
    """Steps in a row that run one configuration, by its name."""

    configuration: str
    steps: int


@dataclass(frozen=True)
class Rolled:
    """A policy that was rolled out.

    Attributes:
        name: the policy.
        skips: brick -> where it is left out, by sigma.
        stretches: what it runs, step by step.
        cost: its cost over that of no skipping.
        error: its measured error.
        predicted: errors of its bands added up; None where it was not solved for.
    """

    name: str
    skips: dict[str, str]
    stretches: tuple[Stretch, ...]
    cost: float
    error: float
    predicted: float | None


@dataclass(frozen=True)
class Record:
    """A search, as it is kept.

    Attributes:
        weights: which weights were sampled, `ema-0.99` for one.
        images: how many images they had been trained on.
        sampler: the sampler.
        steps: noise levels.
        guidance: scale of guidance.
        guidance_interval: where it acts.
        by: what costs are in: `time` or `macs`.
        device: where it was measured.
        backend: what computed it.
        budget: share of the cost of no skipping that was asked for.
        switches: how often the configuration might change.
        seeds: seeds that the bands were measured on.
        check_seeds: seeds that policies were rolled out on.
        costs: name of a configuration -> cost of a row over that of the whole stack.
        bands: errors, from pure noise down.
        rolled: policies that were rolled out.
        found: name of a policy that was found -> brick -> where it is left out.
    """

    weights: str
    images: int
    sampler: str
    steps: int
    guidance: float
    guidance_interval: str
    by: str
    device: str
    backend: str
    budget: float
    switches: int
    seeds: str
    check_seeds: str
    costs: dict[str, float]
    bands: tuple[BandErrors, ...]
    rolled: tuple[Rolled, ...]
    found: dict[str, dict[str, str]]

    def to_json(self) -> str:
        """The record's text."""
        body = {"policy_errors_version": RECORD_VERSION, "unit": UNIT, **asdict(self)}
        return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def keeping(self, earlier: Record | None, name: str) -> Record:
        """This record with the policies that earlier searches found under other names than this one's."""
        kept = {} if earlier is None else {other: skips for other, skips in earlier.found.items() if other != name}
        return replace(self, found={**kept, **self.found})


def stretches(table: TruthTable) -> tuple[Stretch, ...]:
    """What a policy runs, as a short list."""
    return tuple(Stretch(configuration_name(c), len(list(rows))) for c, rows in groupby(table.configurations))


def keeper_of(path: Path) -> Path:
    """What keeps the searches of a stack: the run around a checkpoint or a file in one, else what was given."""
    folder = path.parent if path.is_file() else path
    run = manifest_folder(folder)
    return path if run == folder else run


def kept_at(keeper: Path, name: str) -> Path:
    """Where a search leaves a file of this name: in a folder, or beside a file of weights, told apart by its stem."""
    return keeper.with_name(f"{keeper.stem}.{name}") if keeper.is_file() else keeper / name


def read_record(keeper: Path) -> Record | None:
    """The record that a run, an exported folder or a file of weights has; None where no search was made.

    Raises:
        RunError: it cannot be read.
    """
    path = kept_at(keeper, RECORD_NAME)
    try:
        data: object = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} cannot be read: {error}", help=SEARCH_AGAIN) from error
    body = dict(cast("dict[str, object]", data)) if isinstance(data, dict) else {}
    if body.pop("policy_errors_version", None) != RECORD_VERSION:
        raise RunError(f"{path} is of another version of legoc", help=SEARCH_AGAIN)
    body.pop("unit", None)
    try:
        return codec.decode(Record, body, where=str(path))
    except RunError as error:
        raise RunError(str(error), help=SEARCH_AGAIN) from error


def write_record(keeper: Path, record: Record) -> Path:
    """Keep a record in a run or an exported folder, or beside a file of weights, whole or not at all.

    Raises:
        RunError: it cannot be written.
    """
    path = kept_at(keeper, RECORD_NAME)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(record.to_json(), encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise RunError(
            f"{path} cannot be written: {error.strerror}", help="choose a run or file in a folder that you can write to"
        ) from error
    return path


def with_found(manifest: Manifest, keeper: Path) -> Manifest:
    """A stack's manifest with the policies that searches found for it; the spec's own keep their names.

    Raises:
        RunError: the record cannot be read.
    """
    record = read_record(keeper)
    if record is None:
        return manifest
    own = {policy.name for policy in manifest.policies}
    try:
        added = tuple(policy_of(name, skips) for name, skips in record.found.items() if name not in own)
    except ValueError as error:
        raise RunError(f"{kept_at(keeper, RECORD_NAME)}: {error}", help=SEARCH_AGAIN) from error
    return replace(manifest, policies=(*manifest.policies, *added))


def error_line(record: Record, table: TruthTable, sample: SampleSettings) -> str | None:
    """What a policy does to pictures, as far as a search measured it; None where nothing is skipped or known.

    Args:
        record: the run's.
        table: the policy on a schedule.
        sample: the settings of that schedule.
    """
    if table.distinct() == (table.bricks,):
        return None
    if not _same_sampling(record, sample):
        return None
    of = f"rms against no skipping, in the units of the data; {record.weights} after {record.images:,} images"
    if len(table.levels) == record.steps:
        for rolled in record.rolled:
            if rolled.stretches == stretches(table):
                return f"measured error {rolled.error:.3g} ({of}, seeds {record.check_seeds})"
    added = _added_up(record.bands, table)
    if added is None:
        return None
    return f"error about {added:.3g}, added up over noise levels, not rolled out ({of}, seeds {record.seeds})"


def _same_sampling(record: Record, sample: SampleSettings) -> bool:
    return (record.sampler, record.guidance, record.guidance_interval) == (
        sample.sampler,
        sample.guidance,
        sample.guidance_interval,
    )


def _added_up(bands: Sequence[BandErrors], table: TruthTable) -> float | None:
    """Errors of the bands that a policy's configurations touch, each by the share of the band's levels."""
    inside: dict[int, list[Configuration]] = {}
    for level, configuration in zip(table.levels, table.configurations, strict=True):
        below = (i for i, band in enumerate(bands) if level.sigma >= band.sigma_low * (1 - 1e-9))
        inside.setdefault(next(below, len(bands) - 1), []).append(configuration)
    total = 0.0
    for i, configurations in inside.items():
        errors: Mapping[str, float] = bands[i].errors
        names = [configuration_name(configuration) for configuration in configurations]
        if any(name not in errors for name in names):
            return None
        total += sum(errors[name] for name in names) / len(names)
    return total
