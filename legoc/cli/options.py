"""Options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

from legoc.cli.output import echo
from legoc.cli.parameters import Option
from legoc_runtime.errors import UsageError

if TYPE_CHECKING:
    from legoc.diagnostics import Diagnostic
    from legoc.source import SourceFile
    from legoc.spec import StackSpec
    from legoc_runtime.contract.manifest import Manifest
    from legoc_runtime.contract.settings import SampleSettings, TrainSettings

_Settings = TypeVar("_Settings", "SampleSettings", "TrainSettings")

FROM_SPEC = "[default: the spec's]"
"""How the help of a flag ends that stands in for a key of the spec."""

Overrides = Annotated[
    list[str] | None,
    Option(
        "--set",
        metavar="PATH=VALUE",
        help="Set a value of the spec for this call: bricks.top.depth=8, sample.steps=40. May be repeated. "
        "Mappings and bricks are merged with what is there; every other value replaces it.",
        show_default=False,
    ),
]
"""`--set PATH=VALUE`, for `legoc.spec.load_spec(path, overrides)`."""


def overridden(
    settings: _Settings, flags: Mapping[str, object], overrides: Sequence[str] = ()
) -> tuple[_Settings, list[str]]:
    """Settings of a spec under the flags of a command, and what to say of it: a line a changed value.

    Args:
        settings: the spec's section.
        flags: field -> value; None where the flag was not given.
        overrides: those of `--set`, which stand in the spec's place where they set the same key.
    """
    from dataclasses import replace

    from legoc_runtime.contract.settings import SampleSettings

    given = {name: value for name, value in flags.items() if value is not None}
    section = "sample" if isinstance(settings, SampleSettings) else "train"
    return replace(settings, **given), list(_said(settings, given, section, overrides))


def known_sampler(name: str | None) -> str | None:
    """What `--sampler` was given.

    Raises:
        UsageError: there is no such sampler.
    """
    from legoc_runtime.contract.samplers import SAMPLERS

    if name is not None and name not in SAMPLERS:
        raise UsageError(f"there is no sampler `{name}`", help=f"the samplers are {', '.join(SAMPLERS)}")
    return name


def refuse_noise_of_another(settings: SampleSettings, sampler: str | None) -> None:
    """Of a command without `--eta` and `--churn`: refuse a sampler that does not take those of the run's spec.

    Args:
        settings: the spec's.
        sampler: `--sampler`.

    Raises:
        UsageError: it does not.
    """
    from legoc_runtime.contract.samplers import SAMPLERS

    if sampler is None or sampler == settings.sampler:
        return
    facts = next(facts for name, facts in SAMPLERS.items() if name == sampler)
    given = {"eta": 0.0 if facts.takes_eta else settings.eta, "churn": 0.0 if facts.churns else settings.churn}
    for name, value in given.items():
        if value:
            raise UsageError(
                f"the sampler `{sampler}` takes no {name}, and the run's spec samples with {name} {value:g}",
                help=f"leave --sampler out: the spec's is {settings.sampler}",
            )


def as_interval(text: str | None) -> str | None:
    """What `--guidance-interval` was given, in the form that specs have it, so that 0.30,5 does not override 0.3,5.

    Raises:
        UsageError: it is no interval.
    """
    from legoc_runtime.contract.request import interval_text, parse_interval

    return None if text is None else interval_text(parse_interval(text))


def refuse_idle_guidance(guidance: float, flags: Mapping[str, object]) -> None:
    """Refuse flags that say where guidance acts when it does not act.

    Raises:
        UsageError: naming the flag.
    """
    for name in ("guidance_channels", "guidance_interval"):
        if guidance == 1 and flags[name] not in (None, "all"):
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} does nothing: guidance is 1, which is none", help="pass --guidance too")


def _said(settings: object, given: Mapping[str, object], section: str, overrides: Sequence[str]) -> Iterator[str]:
    from legoc_runtime.contract.settings import GRID, OF_CANVASES

    idle = OF_CANVASES if getattr(settings, "size", None) == GRID else ()  # they override nothing without a canvas
    for name, value in given.items():
        before: object = getattr(settings, name)
        if before != value and name not in idle:
            key = {"learning_rate": "optimizer.lr"}.get(name, name)
            was_set = any(text.partition("=")[0].strip() == f"{section}.{key}" for text in overrides)
            source = f"{_shown(before)}, as --set said" if was_set else f"the spec's {_shown(before)}"
            yield f"{name}: {_shown(value)} instead of {source}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return " and ".join(map(str, cast("tuple[object, ...]", value))) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


STDIN = Path("-")
"""The argument that means standard input."""

STDIN_NAME = "<stdin>"


def read_spec(path: Path) -> SourceFile | Diagnostic:
    """The text of a spec file, or of standard input for `-`; or the diagnostic that says why there is none."""
    from legoc.spec.read import MAX_BYTES, read_source, source_of

    return source_of(sys.stdin.buffer.read(MAX_BYTES + 1), STDIN_NAME) if path == STDIN else read_source(path)


def refuse_stdin(path: Path | None, command: str) -> None:
    """Say of `-` that a command does not read it, rather than that there is no such file.

    Args:
        path: what the command was given.
        command: its name.

    Raises:
        UsageError: it is `-`.
    """
    if path == STDIN:
        raise UsageError(
            f"legoc {command} does not read standard input",
            help="write the spec to a file first; `check`, `fmt`, `show`, `cost`, `estimate`, `timeline` and `graph` "
            "read - from standard input. A file of that name is ./-",
        )


def given_or_newest(run: Path | None) -> Path:
    """The run that was given, or the newest one, said.

    Raises:
        UsageError: none was given, and there is none.
    """
    if run is not None:
        return run
    from legoc.build_directory import newest_run

    found = newest_run(Path())
    echo(f"no run given: taking {found}, the newest", err=True)
    return found


def spec_paths(given: Sequence[Path]) -> list[Path]:
    """The specs that a command line names, each once: files as they are, and the whole specs in folders.

    A folder without any stays, so that reading it says what it is.
    """
    import os

    from legoc.spec.find import specs_in

    found: list[Path] = []
    for path in given:
        inside = specs_in(path) if path != STDIN and os.path.isdir(path) else []
        found += inside or [path]
    return list(dict.fromkeys(found))


def resolved_spec(path: Path, overrides: Sequence[str]) -> StackSpec:
    """The resolved spec of a file, or of standard input for `-`.

    Raises:
        SpecError: the spec has errors.
    """
    from legoc.diagnostics import SpecError
    from legoc.source import SourceFile
    from legoc.spec import check_text

    source = read_spec(path)
    if not isinstance(source, SourceFile):
        raise SpecError((source,))
    checked = check_text(source.text, source.name, overrides)
    if checked.spec is None:
        raise SpecError(checked.diagnostics)
    return checked.spec


def described(path: Path, overrides: Sequence[str]) -> Manifest:
    """What `driver.describe_path` says of a spec, a build or a run; of the spec on standard input for `-`.

    A file of weights is described by the spec in its header, an exported folder by the build in it. They and a run have
    the policies that searches found for them, too.

    Raises:
        SpecError: the spec does not check.
        UsageError: there is nothing of that kind at `path`, or `overrides` for what is no spec.
        RunError: what is there is damaged.
    """
    from legoc.driver import describe_path, describe_spec

    if path == STDIN:
        return describe_spec(resolved_spec(path, overrides))[0]
    of_weights = path.suffix == ".safetensors" and path.is_file()
    if not of_weights and not path.is_dir():
        return describe_path(path, overrides)
    from legoc.policies.record import keeper_of, with_found

    manifest = _of_header(path, overrides) if of_weights else describe_path(_build_in(path), overrides)
    return with_found(manifest, keeper_of(path))


def _of_header(path: Path, overrides: Sequence[str]) -> Manifest:
    """The manifest, without programs, of the spec in the header of a file of weights."""
    from dataclasses import replace

    from legoc.diagnostics import SpecError
    from legoc.driver import describe_spec
    from legoc.spec import check_text
    from legoc_runtime.checkpoint import find_weights

    if overrides:
        raise UsageError(f"--set changes a spec, and {path} is a file of weights", help="give the spec that it is of")
    weights = find_weights(path)
    found = check_text(weights.spec_text, f"{path} (spec in its header)")
    if found.spec is None:
        raise SpecError(found.diagnostics)
    return replace(describe_spec(found.spec)[0], spec_hash=weights.spec_hash)


def _build_in(path: Path) -> Path:
    """The build in a folder that `legoc export` wrote; any other path as it is."""
    from legoc_runtime.contract.manifest import MANIFEST_NAME

    if not path.is_dir() or (path / MANIFEST_NAME).is_file():
        return path
    from legoc_runtime.interop.folder import exported_weights

    weights = exported_weights(path)
    return path if weights is None else weights.parent


def count(text: str, flag: str) -> int:
    """A number of images as in a spec: 50000, 10k, 1M.

    Args:
        text: what was given.
        flag: what it was given to, e.g. `--images`.

    Raises:
        UsageError: it is no such number.
    """
    from pydantic_core import PydanticCustomError

    from legoc.spec.readers import positive_count

    try:
        return positive_count(int(text) if text.isascii() and text.isdigit() else text)
    except PydanticCustomError as error:
        raise UsageError(f"{flag} {text}: expected {error.message()}") from error
