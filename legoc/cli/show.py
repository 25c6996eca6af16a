"""`legoc show`: what a spec means, where its values come from, and its hashes. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from legoc.cli.options import Overrides, resolved_spec
from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option

if TYPE_CHECKING:
    from legoc.spec import StackSpec

SHOW_VERSION = 1


def command(
    path: Annotated[Path, Argument(metavar="SPEC", help="The spec; - is standard input.", show_default=False)],
    resolved: Annotated[
        bool, Option("--resolved", help="The whole spec with every default, as one canonical YAML. [default]")
    ] = False,
    origins: Annotated[
        bool, Option("--origins", help="Every value with the file, line and column that set it.")
    ] = False,
    hash: Annotated[bool, Option("--hash", help="Three hashes: architecture, training, sampling.")] = False,
    json: Annotated[bool, Option("--json", help="Print versioned JSON instead of text.")] = False,
    overrides: Overrides = None,
) -> None:
    """Show a spec with everything that it extends.

    --hash: `architecture` changes with the names, shapes and meaning of the weights, `training` with what they learn,
    `sampling` with the pictures made of them. Comments, key order and the files that a value stands in do not count.
    """
    from legoc_runtime.errors import UsageError

    if resolved + origins + hash > 1:
        raise UsageError("--resolved, --origins and --hash are different views", help="ask for one at a time")
    spec = resolved_spec(path, overrides or ())
    show = _origins if origins else _hashes if hash else _resolved
    text, body = show(spec)
    if json:
        from json import dumps

        text = dumps({"show_version": SHOW_VERSION, "name": spec.name, **body}, indent=1, ensure_ascii=False) + "\n"
    echo(text, nl=False)


def _resolved(spec: StackSpec) -> tuple[str, dict[str, Any]]:
    from legoc.source import SourceFile
    from legoc.spec import resolved_yaml
    from legoc.spec.compose import compose
    from legoc.spec.tree import plain

    text = resolved_yaml(spec)
    tree, _ = compose(SourceFile("resolved", text))
    return text, {"spec": plain(tree.root) if tree else None}


def _origins(spec: StackSpec) -> tuple[str, dict[str, Any]]:
    from legoc.spec.origins import origins, origins_text

    found = origins(spec)
    values = [
        {
            "path": origin.path,
            "value": origin.value,
            "origin": origin.kind,
            "file": origin.span.file.name if origin.span else None,
            "line": origin.span.line if origin.span else None,
            "column": origin.span.column if origin.span else None,
        }
        for origin in found
    ]
    return origins_text(found), {"values": values}


def _hashes(spec: StackSpec) -> tuple[str, dict[str, Any]]:
    from dataclasses import asdict

    from legoc.hashes import spec_hashes

    hashes = asdict(spec_hashes(spec))
    return "".join(f"{name:<12}  {digest}\n" for name, digest in hashes.items()), hashes
