"""The one function that runs the stages in order; and builds held against the specs that they hold.

takes: a spec, a build directory
gives: Manifest
may import: every room of the compiler but `cli`; torch only to write readable module sources
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from legoc.build_directory import BUILDS, CHECKPOINTS, MODULES, check_free, write_build
from legoc.describe import describe_spec as describe_spec
from legoc.describe import read_build
from legoc.describe import spec_hash as spec_hash
from legoc.diagnostics import SpecError
from legoc.lower.pipeline import brick_program, choose, recorded, sampling_program, training_program
from legoc.passes.runner import Observer
from legoc.plan.reach import reachable
from legoc.source import Span
from legoc.spec import check_text, load_spec
from legoc.spec.resolved import StackSpec
from legoc.version import __version__
from legoc_runtime.contract.curriculum import variants
from legoc_runtime.contract.manifest import SPEC_NAME, TRAINING, Manifest, read_manifest
from legoc_runtime.contract.policy import Configuration
from legoc_runtime.contract.program import Program
from legoc_runtime.contract.stack import StackShape
from legoc_runtime.errors import RunError, UsageError

BUILD_AGAIN = "build it again with `legoc build`"
SHOWN_DIFFERENCES = 4
"""Values that a message names where a manifest and its spec disagree."""


def compile_spec(
    spec: StackSpec,
    *,
    policies: Sequence[str] = (),
    steps: int | None = None,
    disable: Sequence[str] = (),
    enable: Sequence[str] = (),
    observe: Observer | None = None,
) -> tuple[Manifest, str]:
    """Compile a spec: every configuration that its policies reach over its schedule, and the training module.

    Args:
        spec: a spec that checks.
        policies: further policies by name, e.g. `halfway:0.4`.
        steps: noise levels of the schedule; the spec's own by default.
        disable: exact passes over programs that are not to run.
        enable: opt-in passes over programs that are to run.
        observe: called after every pass.

    Returns:
        The manifest, and the resolved spec's text.

    Raises:
        UsageError: a policy does not exist or leaves no brick, a pretrained model does not fit, or a pass cannot be
            chosen so.
        RunError: the files of a pretrained model are gone or damaged.
        SpecError: a pass failed, which is a fault of the compiler.
    """
    pipeline = choose(disable, enable)
    manifest, spec_text = describe_spec(spec)
    shape = sealed_shape(spec.shape)
    spans = _brick_spans(spec)
    programs = [
        sampling_program(shape, configuration, pipeline, spans, observe)
        for configuration in reachable(manifest, policies, steps)
    ]
    programs.append(training_program(shape, spec.train, pipeline, spans, observe))
    further = tuple(
        training_program(shape, spec.train, pipeline, spans, observe, variant)
        for variant in variants(shape.ids, spec.train, shape.fixed)
    )
    return replace(manifest, shape=shape, passes=pipeline.names, programs=tuple(programs), variants=further), spec_text


def sealed_shape(shape: StackShape) -> StackShape:
    """The shape that a build records: a pretrained model is opened, which takes torch, and its files are hashed.

    Raises:
        UsageError: the model does not fit the stack, or no package that opens it is installed.
        RunError: its files are gone or damaged.
    """
    if shape.pretrained is None:
        return shape
    from legoc_runtime.pretrained import sealed  # specs without such a brick are compiled without torch

    return sealed(shape)


def lower_configuration(manifest: Manifest, configuration: Configuration) -> Program:
    """The program of a configuration that a build did not foresee, made by the passes that made the build.

    Raises:
        RunError: the build was made with passes that this version does not have.
    """
    return sampling_program(manifest.shape, configuration, recorded(manifest.passes, f"the build `{manifest.name}`"))


def lower_brick_alone(manifest: Manifest, id: str) -> Program:
    """The program of one brick that is given what the brick below hands on, made by the passes of the build.

    Raises:
        RunError: the build was made with passes that this version does not have.
    """
    return brick_program(manifest.shape, id, recorded(manifest.passes, f"the build `{manifest.name}`"))


def describe_path(path: Path, overrides: Sequence[str] = ()) -> Manifest:
    """The manifest of a spec file, without its programs, or of a build directory whose spec says the same.

    Raises:
        SpecError: the spec does not check.
        UsageError: there is nothing at `path`, or a directory that is not a build.
        RunError: the build is damaged, or its manifest and its spec disagree.
    """
    if not path.is_dir():
        return describe_spec(load_spec(path, overrides))[0]
    manifest, spec_text = compile_path(path, overrides)
    if faults := manifest_faults(manifest, _checked_spec(spec_text, path), path):
        raise RunError("; ".join(faults), help=BUILD_AGAIN)
    return manifest


def compile_path(path: Path, overrides: Sequence[str] = ()) -> tuple[Manifest, str]:
    """The manifest and resolved spec of a spec file (compiled now) or a build directory (read).

    Raises:
        SpecError: the spec does not check.
        UsageError: there is nothing at `path`, a directory that is not a build, or a spec that cannot be built yet.
        RunError: the build is damaged.
    """
    if not path.is_dir():
        return compile_spec(load_spec(path, overrides))
    if overrides:
        read_manifest(path)  # a directory that is no build is told so first
        raise UsageError(
            f"--set changes a spec, and {path} is a {_what(path)}", help="give the spec that it was made from"
        )
    return read_build(path)


def _what(directory: Path) -> str:
    return "run" if (directory / CHECKPOINTS).is_dir() or (directory / "metrics.jsonl").is_file() else "build"


def build(
    path: Path | str,
    out: Path | str | None = None,
    *,
    policies: Sequence[str] = (),
    steps: int | None = None,
    overrides: Sequence[str] = (),
    backend: str | None = None,
    device: str = "auto",
    dtype: str = "float32",
) -> Path:
    """Check and compile a spec file, and write its build directory: `legoc build`, from Python.

    Args:
        path: the spec.
        out: the build directory; `build/NAME` by default.
        policies: further skip policies whose configurations to build, e.g. `halfway:0.4`.
        steps: noise levels of the schedule on which policies are read; the spec's own by default.
        overrides: as `--set`, e.g. `bricks.top.depth=8`.
        backend: `aoti` compiles native code into the build too.
        device: what native code is for: `auto`, `cpu` or `cuda`.
        dtype: what native code computes in: `float32`, `bf16` or `fp16`.

    Returns:
        The build directory, ready for `legoc_runtime.load(directory, weights=...)`.

    Raises:
        SpecError: the spec does not check.
        UsageError: a policy does not exist or leaves no brick, the spec has what cannot be built yet, `out` holds
            files and is not a build, or native code cannot be compiled here.
        RunError: the directory cannot be written.
    """
    manifest, spec_text = compile_spec(load_spec(path, overrides), policies=policies, steps=steps)
    directory = Path(out) if out is not None else Path(BUILDS) / manifest.name
    check_free(directory)
    if backend is None:
        write_build(manifest, spec_text, directory)
        return directory
    from legoc.native import build_native, check_native, native_target

    check_native(target := native_target(backend, device, dtype))
    write_build(manifest, spec_text, directory)
    build_native(manifest, directory, target)
    return directory


def check_build(directory: Path) -> None:
    """Verify that a build is what its spec says: equal programs when compiled afresh, equal sources when linked.

    Raises:
        UsageError: `directory` is not a build.
        SpecError: its spec does not check under this version.
        RunError: something differs; the message names everything that does.
    """
    manifest, spec_text = compile_path(directory)
    faults = build_faults(manifest, _checked_spec(spec_text, directory), directory)
    if not faults:
        from legoc.sources import module_sources

        for name, text in module_sources(manifest).items():
            path = directory / MODULES / name
            if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != text:
                faults.append(f"{path} is not what its program links to (or another torch wrote it)")
    if faults:
        raise RunError("; ".join(faults), help=BUILD_AGAIN)


def build_faults(manifest: Manifest, spec: StackSpec, directory: Path) -> list[str]:
    """Where manifest and programs of a build are not what its spec says, a sentence each. Needs no torch.

    Args:
        manifest: of the build.
        spec: the build's own.
        directory: how sentences call the build.

    Raises:
        UsageError: the spec has what cannot be built.
        RunError: the build was made with passes that this version does not have.
    """
    fresh = _as_built(describe_spec(spec)[0], manifest)
    faults = manifest_faults(manifest, spec, directory)
    pipeline = recorded(manifest.passes, str(directory))
    if TRAINING not in (program.name for program in manifest.programs):
        faults.append(f"{directory}: program `{TRAINING}` is missing")
    for program in manifest.programs:
        ids = tuple(id for id in fresh.shape.ids if id in program.bricks)
        if program.name == TRAINING:
            expected = training_program(fresh.shape, fresh.train, pipeline)
        else:
            expected = sampling_program(fresh.shape, ids, pipeline) if ids else None
        if program != expected:
            faults.append(f"{directory}: program `{program.name}` is not what the spec compiles to")
    expected = tuple(
        training_program(fresh.shape, fresh.train, pipeline, variant=variant)
        for variant in variants(fresh.shape.ids, fresh.train, fresh.shape.fixed)
    )
    if manifest.variants != expected:
        faults.append(f"{directory}: the programs of its stages are not what the spec compiles to")
    return faults


def manifest_faults(manifest: Manifest, spec: StackSpec, directory: Path) -> list[str]:
    """Where a build's manifest, programs aside, says other things than its spec: a sentence, or none.

    The version that wrote the build is no fault: what it wrote may still be what this one would write. Neither is the
    hash of a resolved spec which an older version wrote with fewer keys; `compile_path` holds it against the file.
    """
    fresh = replace(_as_built(describe_spec(spec)[0], manifest), spec_hash=manifest.spec_hash)
    written, expected = (
        json.loads(replace(m, passes=(), programs=(), variants=(), legoc_version=__version__).to_json())
        for m in (manifest, fresh)
    )
    found = list(_differences(written, expected, ""))
    if not found:
        return []
    more = f" and {len(found) - SHOWN_DIFFERENCES} more" if len(found) > SHOWN_DIFFERENCES else ""
    return [f"{directory}: the manifest and the spec disagree: {', '.join(found[:SHOWN_DIFFERENCES])}{more}"]


def _as_built(fresh: Manifest, built: Manifest) -> Manifest:
    """A manifest with what only the opened model of a pretrained brick tells, as the build has it.

    Loading holds the files against the checksums; a build is compared without opening them.
    """
    ours, theirs = fresh.shape.pretrained, built.shape.pretrained
    if ours is None or theirs is None:
        return fresh
    ours = replace(ours, files=theirs.files, weights=theirs.weights)
    if ours.kind == "module":
        ours = replace(ours, classes=theirs.classes, predicts=theirs.predicts, sigmas=theirs.sigmas)
    return replace(fresh, shape=replace(fresh.shape, pretrained=ours))


def _differences(written: object, expected: object, path: str) -> Iterator[str]:
    """`shape.bricks[0].width is 96 instead of 192`, for every value that differs."""
    if isinstance(written, dict) and isinstance(expected, dict):
        ours, theirs = cast("dict[str, object]", written), cast("dict[str, object]", expected)
        for key in {**theirs, **ours}:
            yield from _differences(ours.get(key), theirs.get(key), f"{path}.{key}" if path else key)
    elif isinstance(written, list) and isinstance(expected, list) and len(written) == len(expected):  # pyright: ignore[reportUnknownArgumentType]
        pairs = zip(cast("list[object]", written), cast("list[object]", expected), strict=True)
        for i, (mine, other) in enumerate(pairs):
            yield from _differences(mine, other, f"{path}[{i}]")
    elif written != expected:
        mine, other = json.dumps(written, ensure_ascii=False), json.dumps(expected, ensure_ascii=False)
        yield f"{path} is {mine:.60} instead of {other:.60}"


def _checked_spec(spec_text: str, directory: Path) -> StackSpec:
    checked = check_text(spec_text, str(directory / SPEC_NAME))
    if checked.spec is None:
        raise SpecError(checked.diagnostics)
    return checked.spec


def _brick_spans(spec: StackSpec) -> dict[str, Span]:
    """Brick id -> where the user wrote it."""
    return {id: span for id in spec.shape.ids if (span := spec.brick_span(id)) is not None}
