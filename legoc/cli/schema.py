"""`legoc schema`: the JSON Schema of the language, for editors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from legoc.cli.output import echo
from legoc.cli.parameters import Option
from legoc_runtime.errors import RunError, UsageError


def command(
    out: Annotated[
        Path | None,
        Option("-o", "--out", help="Write this file. [default: stdout]", show_default=False),
    ] = None,
    check: Annotated[
        bool,
        Option("--check", help="Write nothing; exit 1 unless the file of -o is what would be written."),
    ] = False,
) -> None:
    """Write the JSON Schema (draft-07) of specs, which editors complete, explain and underline by.

    docs/editors.md says how editors find it.
    """
    from legoc.schema import schema_text

    text = schema_text()
    if out is None:
        if check:
            raise UsageError("--check needs the file to check", help="legoc schema --check -o schema/legoc-v1.json")
        echo(text, nl=False)
        return
    try:
        if check:
            if out.read_text(encoding="utf-8") != text:
                echo(f"{out} is stale: write it again with `legoc schema -o {out}`", err=True)
                sys.exit(1)
            return
        out.write_text(text, encoding="utf-8", newline="\n")
    except (OSError, UnicodeDecodeError) as error:
        verb = "read" if check else "written"
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise RunError(f"{out} cannot be {verb}: {reason}", help="choose another -o") from error
    echo(out)
