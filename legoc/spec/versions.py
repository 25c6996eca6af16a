"""Versions of the language: each file says in which it is written, and older ones are carried to the present one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from legoc.codes import report
from legoc.diagnostics import Diagnostic
from legoc.spec.tree import MappingNode, ScalarNode
from legoc.version import __version__

LANGUAGE_VERSION = 1

Migration = Callable[[MappingNode], MappingNode]
"""The top level of a file in one version to the same in the next. Values keep their spans: what moves is a key."""

MIGRATIONS: dict[int, Migration] = {}
"""Version -> the step to the next version. Version 1 is the first, so that there is no step yet."""


def migrate(root: MappingNode, assumed: int = LANGUAGE_VERSION) -> tuple[MappingNode, int, list[Diagnostic]]:
    """A file's top level in this legoc's version of the language.

    Finding: LG107 for a newer version, or one that no migration leads away from; the file stays as it is then.

    Args:
        root: the file's top level.
        assumed: the version of a file that does not say one: that of the file which extends it.

    Returns:
        The top level, the version that it was written in, and the findings.
    """
    entry = root.get("legoc")
    node = entry[1] if entry else None
    version = assumed
    if isinstance(node, ScalarNode) and type(node.value) is int:
        version = node.value
    if version == LANGUAGE_VERSION:
        return root, version, []
    if not set(range(version, LANGUAGE_VERSION)) <= MIGRATIONS.keys() or version > LANGUAGE_VERSION:
        # an assumed version has its finding in the file that says it
        findings = [_unread(version, node)] if isinstance(node, ScalarNode) else []
        return root, version, findings
    for step in range(version, LANGUAGE_VERSION):
        root = MIGRATIONS[step](root)
    return _stamped(root), version, []


def _unread(version: int, node: ScalarNode) -> Diagnostic:
    reads = " to ".join(dict.fromkeys(map(str, (min(MIGRATIONS, default=LANGUAGE_VERSION), LANGUAGE_VERSION))))
    message = f"version {version} of the language; this legoc reads version {reads}"
    if version > LANGUAGE_VERSION:
        help = f"a legoc newer than {__version__} reads it: upgrade, or write `legoc: {LANGUAGE_VERSION}`"
    else:
        help = f"write `legoc: {LANGUAGE_VERSION}`"
    return report("LG107", message, node.span, help=help)


def _stamped(root: MappingNode) -> MappingNode:
    """The same top level with the present version in it, at the place where the file says its own."""

    def value(key: ScalarNode, node: ScalarNode) -> ScalarNode:
        return replace(node, value=LANGUAGE_VERSION) if key.text == "legoc" else node

    entries = tuple((key, value(key, node) if isinstance(node, ScalarNode) else node) for key, node in root.entries)
    return replace(root, entries=entries)
