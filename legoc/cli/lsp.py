"""`legoc lsp`: the language server, for editors."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout

from legoc_runtime.errors import UsageError


def command() -> None:
    """Serve an editor over stdin and stdout (Language Server Protocol); docs/editors.md sets editors up.

    Diagnostics of `legoc check` while you type, what bricks cost and what policies skip on hover, completion, go to
    definition, rename of a brick, formatting.
    """
    try:
        from legoc.lsp.server import make_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise UsageError("the language server needs pygls", help="pip install 'legoc[lsp]'") from error
    # a stray print would break the protocol; and the server closes what it writes to, which the command still needs
    with redirect_stdout(sys.stderr):
        make_server().start_io(stdout=os.fdopen(os.dup(1), "wb"))
