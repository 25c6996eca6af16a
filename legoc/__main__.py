"""The command `legoc`, and the border at which errors become words.

Exit codes:

| code | meaning |
|---|---|
| 0 | done |
| 1 | findings: `check` found errors, `diff` what it was to refuse; or the output was closed early (a pipe to `head`) |
| 2 | bad usage, or, in any command but `check`, a spec that does not check |
| 3 | failed while running: disk, data, numbers, memory |
| 70 | an internal error, a bug of legoc; LEGOC_TRACEBACK=1 shows the traceback |
| 130 | interrupted from the keyboard |

takes: the command line
gives: an exit code
may import: `legoc.cli`, `legoc.render`, `legoc.diagnostics`, `legoc_runtime.errors`; what is heavy only inside commands
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

from legoc.cli.app import run
from legoc_runtime.errors import LegocError

EXIT_USAGE, EXIT_RUN, EXIT_INTERNAL, EXIT_INTERRUPTED = 2, 3, 70, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code. No exception leaves this function."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # a file name or a letter that the terminal's encoding lacks must not end the command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return code
    except LegocError as error:
        return _fail(error.message, error.help, error.exit_code)
    except KeyboardInterrupt:
        _say("\ninterrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # the reader has gone; the interpreter must not complain about it when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError:
        return _fail("out of memory", "use a smaller batch, or close other programs", EXIT_RUN)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            place = f" ({error.filename})" if error.filename else ""
            return _fail(f"the disk is full{place}", "free some space, then run the command again", EXIT_RUN)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and error.filename:
            return _fail(
                f"{error.strerror}: {error.filename}", "check the permissions, or choose another path", EXIT_RUN
            )
        return _internal(error)
    except Exception as error:
        return _spec_error(error) or _internal(error)


def _open_closed_streams() -> None:
    """Nothing to read, and nobody who reads, where a shell closed a stream (`>&-`): Python has none at all then."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nothing, mode, encoding="utf-8", closefd=False))


def _spec_error(error: Exception) -> int | None:
    """Say what is wrong with a spec; None where that is not the error. Imports only now: most calls end without one."""
    from legoc.diagnostics import SpecError
    from legoc.render import render_full, summary, wants_colour

    if not isinstance(error, SpecError):
        return None
    if error.__cause__ is not None:  # a pass of the compiler failed
        _say_traceback(error)
    _say(render_full(error.diagnostics, colour=wants_colour(sys.stderr)))
    _say(summary(error.diagnostics, 1) + "\n")
    return EXIT_USAGE


def _fail(message: str, help: str | None, code: int) -> int:
    _say(f"error: {message}\n" + (f"help: {help}\n" if help else ""))
    return code


def _internal(error: Exception) -> int:
    _say_traceback(error)
    first = str(error).strip().splitlines()[:1]
    what = f"{type(error).__name__}: {first[0][:200]}" if first else type(error).__name__
    _say(f"internal error: {what}\n")
    _say("This is a bug in legoc, not in your files. Please report it with the command and the traceback,\n")
    _say("which LEGOC_TRACEBACK=1 shows.\n")
    return EXIT_INTERNAL


def _say_traceback(error: Exception) -> None:
    if os.environ.get("LEGOC_TRACEBACK"):
        import traceback

        _say("".join(traceback.format_exception(error)))


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
