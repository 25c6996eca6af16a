"""The stack that something is of, from its spec."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from legoc.build_directory import MODULES
from legoc.cost import macs, parameters
from legoc.diagnostics import SpecError
from legoc.driver import build_faults, compile_path, describe_spec
from legoc.hashes import spec_hashes
from legoc.inspection.report import StackFacts
from legoc.plan.reach import reachable
from legoc.policies.record import with_found
from legoc.spec import check_text
from legoc.spec.resolved import StackSpec
from legoc.version import __version__
from legoc_runtime.contract.curriculum import variants
from legoc_runtime.contract.manifest import SPEC_NAME, TRAINING, Manifest
from legoc_runtime.contract.policy import Configuration, configuration_name
from legoc_runtime.errors import RunError


def stack_of_spec(spec: StackSpec, keeper: Path | None = None) -> tuple[StackFacts, Manifest]:
    """The stack of a spec that was not built: its configurations are those that `legoc build` would compile.

    Args:
        spec: the spec.
        keeper: the file of weights in whose header it is, which may have policies beside it.

    Raises:
        RunError: what a search left cannot be read.
        UsageError: a pretrained brick, whose cost its spec does not tell.
    """
    manifest, _ = describe_spec(spec)
    known = manifest if keeper is None else with_found(manifest, keeper)
    return _facts(known, reachable(manifest), spec), manifest


def stack_of_build(directory: Path) -> tuple[StackFacts, list[str]]:
    """The stack of a build or run directory, and where its manifest and programs are not what its spec says.

    Raises:
        UsageError: the directory is not a build.
        RunError: the build is damaged.
    """
    manifest, spec_text = compile_path(directory)
    checked = check_text(spec_text, str(directory / SPEC_NAME))
    if checked.spec is not None:
        faults = build_faults(manifest, checked.spec, directory)
    else:
        codes = ", ".join(dict.fromkeys(error.code for error in checked.errors))
        faults = [f"{directory / SPEC_NAME} does not check under legoc {__version__} ({codes}): nothing holds it"]
    try:
        manifest = with_found(manifest, directory)
    except RunError as error:
        faults.append(str(error))
    return _facts(manifest, manifest.configurations, checked.spec), faults


def source_faults(directory: Path, programs: Iterable[str], *, needed: bool) -> list[str]:
    """Readable sources that are missing or of no program. What they say is for `legoc build --check`.

    Args:
        directory: the build or run.
        programs: names of its programs.
        needed: whether there must be sources at all; a run that was trained without the compiler has none.
    """
    folder = directory / MODULES
    if not folder.is_dir() and not needed:
        return []
    expected = {f"{name}.py" for name in programs}
    found = {path.name for path in folder.glob("*.py")}
    faults = [f"{folder / name} is missing" for name in sorted(expected - found)]
    return faults + [f"{folder / name} is of no program of the build" for name in sorted(found - expected)]


def resolved_spec(text: str, where: str) -> StackSpec:
    """A spec from its text, e.g. one in the header of a file of weights.

    Raises:
        SpecError: it does not check under this version.
    """
    found = check_text(text, where)
    if found.spec is None:
        raise SpecError(found.diagnostics)
    return found.spec


def _facts(manifest: Manifest, configurations: tuple[Configuration, ...], spec: StackSpec | None) -> StackFacts:
    shape = manifest.shape
    builtin = ("none", "halfway") if len(shape.ids) > 1 else ("none",)
    return StackFacts(
        name=manifest.name,
        description=manifest.description,
        spec_hash=manifest.spec_hash,
        hashes=None if spec is None else spec_hashes(spec),
        legoc_version=manifest.legoc_version,
        grid=shape.grid,
        channels=shape.channels,
        classes=shape.classes,
        parameters=parameters(shape),
        macs=macs(shape),
        bricks=shape.ids,
        configurations=tuple(configuration_name(found) for found in configurations),
        training_programs=(TRAINING, *(variant.name(shape.ids) for variant in variants(shape.ids, manifest.train))),
        policies=(*builtin, *(policy.name for policy in manifest.policies)),
        training_images=manifest.train.images,
    )
