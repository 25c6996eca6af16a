"""A spec as a manifest without programs, and the spec that a build was made from: what pricing and comparing need.

takes: StackSpec, build directories
gives: Manifest
may import: `legoc.spec`, `legoc_runtime.contract`; never torch
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from legoc.spec import resolved_yaml
from legoc.spec.resolved import StackSpec
from legoc.version import __version__
from legoc_runtime.contract.manifest import SPEC_NAME, Manifest, read_manifest
from legoc_runtime.contract.policy import Policy
from legoc_runtime.errors import RunError


def spec_hash(spec_text: str) -> str:
    """SHA-256 of a resolved spec's text."""
    return hashlib.sha256(spec_text.encode()).hexdigest()


def describe_spec(spec: StackSpec) -> tuple[Manifest, str]:
    """The manifest of a spec without its programs: what pricing and drawing need. And the resolved spec's text.

    Of a pretrained brick it has what the JSON of its files says: no checksums, and of a module no weights.
    """
    spec_text = resolved_yaml(spec)
    manifest = Manifest(
        name=spec.name,
        description=spec.description,
        legoc_version=__version__,
        spec_hash=spec_hash(spec_text),
        shape=spec.shape,
        label_dropout=spec.label_dropout,
        policies=declared_policies(spec),
        data_path=spec.data_path,
        data_resize=spec.data_resize,
        train=spec.train,
        sample=spec.sample,
        passes=(),
        programs=(),
    )
    return manifest, spec_text


def declared_policies(spec: StackSpec) -> tuple[Policy, ...]:
    """The policies that a spec declares, `default` first where its bricks have a `skip:`."""
    policies = list(spec.policies.values())
    if spec.default_skips:
        policies.insert(0, Policy("default", tuple(spec.default_skips.items())))
    return tuple(policies)


def read_build(directory: Path) -> tuple[Manifest, str]:
    """The manifest of a build directory and the resolved spec that it was made from.

    Raises:
        UsageError: the directory is not a build.
        RunError: it is damaged, or its spec is no longer the one it was made from.
    """
    manifest, path = read_manifest(directory), directory / SPEC_NAME
    try:
        spec_text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path} cannot be read: {error}", help="build it again") from error
    if spec_hash(spec_text) != manifest.spec_hash:
        raise RunError(f"{path} was changed after the build", help="edit the spec itself and build it again")
    return manifest, spec_text
