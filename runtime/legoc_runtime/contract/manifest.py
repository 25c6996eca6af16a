"""The manifest: a build as data. One versioned JSON file that the compiler writes and the runtime reads.

The codec follows the dataclasses' own types (`contract.codec`), so that a field cannot be forgotten on one side, and
refuses unknown, missing and mistyped keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from legoc_runtime.contract import codec
from legoc_runtime.contract.policy import Configuration, Policy, builtin_policy, configuration_name
from legoc_runtime.contract.program import Program
from legoc_runtime.contract.settings import Resize, SampleSettings, TrainSettings
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import RunError, UsageError

MANIFEST_VERSION = 5
"""Version 5 added `place` and `noise_scale` to `shape.pretrained`, and two operations; version 4 pretrained bricks
(`shape.pretrained`, an operation); version 3 `data_resize`, keys to `train`, an operation (`fill: model`), and
`guidance_channels` and `guidance_interval` to `sample`; version 2 `passes`, and to `sample` what only flags said
before. Older versions are still read."""

MANIFEST_NAME = "manifest.json"
SPEC_NAME = "spec.yaml"
TRAINING = "training"
"""The name of the training program."""

MAX_MANIFEST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Manifest:
    """A build.

    Attributes:
        name: the stack's name.
        description: one line for people.
        legoc_version: version of the compiler that wrote it.
        spec_hash: SHA-256 of the resolved spec's text.
        shape: the architecture.
        label_dropout: share of training labels replaced by the null label.
        policies: the spec's own policies, `default` among them when bricks have `skip:` keys.
        data_path: the spec's `data: {path}`, or None.
        data_resize: how images come to the stack's size.
        train: training settings.
        sample: sampling settings.
        passes: names of the passes over programs that made them, in order; empty for programs as lowering made them.
        programs: one sampling program a configuration, and `training`.
        variants: a training program for each stage that does not train the whole stack (`contract/curriculum.py`).
    """

    name: str
    description: str
    legoc_version: str
    spec_hash: str
    shape: StackShape
    label_dropout: float
    policies: tuple[Policy, ...]
    data_path: str | None
    data_resize: Resize
    train: TrainSettings
    sample: SampleSettings
    passes: tuple[str, ...]
    programs: tuple[Program, ...]
    variants: tuple[Program, ...] = ()

    def program(self, configuration: Configuration) -> Program | None:
        """The sampling program of a configuration, or None when the build does not hold it."""
        name = configuration_name(configuration)
        return next((p for p in self.programs if p.name == name), None)

    @property
    def training(self) -> Program:
        """The training program."""
        return next(p for p in self.programs if p.name == TRAINING)

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """The configurations in the build."""
        return tuple(p.bricks for p in self.programs if p.name != TRAINING)

    def policy(self, name: str | None) -> Policy:
        """A policy by name: the spec's, `none`, `halfway`, `halfway:SHARE`; None takes the one of `sample`.

        Raises:
            UsageError: there is no such policy.
        """
        own = {policy.name: policy for policy in self.policies}
        name = self.sample.skip_policy if name is None else name
        if name in own:
            return own[name]
        if builtin := builtin_policy(name, self.shape.bricks, pretrained=self.shape.pretrained):
            return builtin
        known = ", ".join(["none", "halfway", "halfway:SHARE", *own])
        raise UsageError(f"there is no skip policy `{name}`", help=f"choose one of {known}")

    def to_json(self) -> str:
        """The manifest's text: stable for the same build, ends with a newline."""
        body = {"manifest_version": MANIFEST_VERSION, **codec.encode_fields(self)}
        return json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def manifest_from_json(text: str, *, where: str) -> Manifest:
    """Parse a manifest. `where` names it in errors.

    Raises:
        RunError: not JSON, another version, or not of this shape.
    """
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RunError(f"{where} is not a manifest: {error}", help="build it again with `legoc build`") from error
    body = dict(cast("dict[str, object]", data)) if isinstance(data, dict) else {}
    version = body.pop("manifest_version", None)
    known = type(version) is int and 1 <= version <= MANIFEST_VERSION  # true is 1 to Python, and no version
    if known and version == 1:
        body = _from_version_1(body)
    if not known:
        help = "build it again with this version, or install the version that wrote it"
        if type(version) is int and version > MANIFEST_VERSION:
            help = "a newer legoc wrote it: install that version, or build it again with this one"
        raise RunError(
            f"{where} has manifest version {version!r}; this legoc reads versions 1 to {MANIFEST_VERSION}", help=help
        )
    return codec.decode(Manifest, _with_later_settings(body), where=where)


def _with_later_settings(body: Mapping[str, object]) -> dict[str, object]:
    """A manifest with the keys of `train` and `sample` that came after it, whose defaults are what it did without.

    And with no stages, no resizing and no pretrained brick, before there were any; or one at the bottom, before there
    were others.
    """
    found: dict[str, object] = {"variants": [], "data_resize": "none", **body}
    shape = body.get("shape")
    if isinstance(shape, dict):
        found["shape"] = _with_place({"pretrained": None, **cast("dict[str, object]", shape)})
    for name, defaults in (("train", TrainSettings()), ("sample", SampleSettings())):
        section = body.get(name)
        if isinstance(section, dict):
            found[name] = {**codec.encode_fields(defaults), **cast("dict[str, object]", section)}
    return found


def _with_place(shape: dict[str, object]) -> dict[str, object]:
    """A stack whose pretrained brick, and that of the stack which it may be itself, has a place."""
    given = shape.get("pretrained")
    if not isinstance(given, dict):
        return shape
    told: dict[str, object] = {"place": 0, "noise_scale": None, **cast("dict[str, object]", given)}
    if isinstance(stack := told.get("stack"), dict):
        told["stack"] = _with_place(cast("dict[str, object]", stack))
    return {**shape, "pretrained": told}


def _from_version_1(body: Mapping[str, object]) -> dict[str, object]:
    """A manifest of version 1 with what came after it: no passes, and sampling as it was without keys for it."""
    found: dict[str, object] = {"passes": [], **body}
    sample, policies = body.get("sample"), body.get("policies")
    if isinstance(sample, dict) and isinstance(policies, list):
        named = [
            cast("dict[str, object]", p).get("name") for p in cast("list[object]", policies) if isinstance(p, dict)
        ]
        now = SampleSettings(skip_policy="default" if "default" in named else "none")
        added = {name: getattr(now, name) for name in ("skip_policy", "seeds", "classes", "batch", "ema")}
        found["sample"] = {**added, **cast("dict[str, object]", sample)}
    return found


def manifest_folder(path: Path) -> Path:
    """The build that a path belongs to: the directory itself, or the run around a checkpoint."""
    return path.parent.parent if path.parent.name == "checkpoints" else path


def is_build(directory: Path) -> bool:
    """Whether a directory has a manifest of ours, of whatever version and however damaged otherwise."""
    try:
        with (directory / MANIFEST_NAME).open(encoding="utf-8") as file:
            return '"manifest_version"' in file.read(200)
    except (OSError, UnicodeDecodeError):
        return False


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest of a build directory or run.

    Raises:
        UsageError: the directory has no manifest.
        RunError: the manifest cannot be read.
    """
    path = directory / MANIFEST_NAME
    try:
        size = path.stat().st_size
        if size > MAX_MANIFEST_BYTES:
            raise RunError(f"{path} is too large for a manifest ({size:,} bytes)")
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(
            f"{directory} is not a build: it has no {MANIFEST_NAME}", help="make one with `legoc build SPEC`"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    return manifest_from_json(text, where=str(path))
