"""`legoc explain`."""

from __future__ import annotations

import sys
from typing import Annotated

from legoc.cli.parameters import Argument


def command(
    code: Annotated[str | None, Argument(help="A diagnostic code, e.g. LG201 or 201.", show_default=False)] = None,
) -> None:
    """Explain a diagnostic code: what is wrong, why it matters, an example and its fix. Without a code, list all."""
    from legoc.codes import CODES
    from legoc_runtime.errors import UsageError

    if code is None:
        rows = (f"{entry.id}  {entry.severity:<7}  {entry.title}\n" for entry in CODES.values())
        sys.stdout.writelines(rows)
        return
    entry = CODES.get(f"LG{code}" if code.isdecimal() else code.upper())
    if entry is None:
        raise UsageError(f"there is no diagnostic code `{code}`", help="`legoc explain` lists the codes")
    sys.stdout.write(entry.page)
