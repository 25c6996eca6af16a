"""Command lines read by typer: help, errors, and the rarer ways of writing options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

import typer
import typer.core

from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import UsageError

_RefusedError = cast("type[typer.BadParameter]", typer.BadParameter.__base__)
"""What typer raises for every command line that it refuses; it exports only some of its kinds."""


class _EscapedError(BaseException):
    """Carries what a command raised past typer, which would turn some of it into messages and exit codes of its own."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


_EXPECTED = (
    (re.compile(r"Value error, "), ""),
    (re.compile(r"Input should be a valid integer.*"), "expected a whole number"),
    (re.compile(r"Input should be a valid number.*"), "expected a number"),
    (re.compile(r"Input should be greater than or equal to "), "expected at least "),
    (re.compile(r"Input should be "), "expected "),
)
"""How the validator under typer words what is wrong, and how this project does."""


_BRACES = re.compile(r"^\{(.*)\}(?=(\.\.\.)?$)")


class _Command(typer.core.TyperCommand):
    """A command that refuses a command line in the words of this project."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read a command line."""
        try:
            return super().make_context(*args, **kwargs)
        except _RefusedError as error:
            for theirs, ours in _EXPECTED:
                error.message = theirs.sub(ours, error.message)
            raise _EscapedError(_refusal(error.format_message(), self.name or "")) from error

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What the usage line says: `SPEC...`, where typer has `{SPEC}...`."""
        return [_BRACES.sub(r"\1", piece) for piece in super().collect_usage_pieces(ctx)]


def _refusal(message: str, command: str) -> UsageError:
    """What typer says of a command line, as this project says it."""
    said, _, near = " ".join(message.split()).rstrip(".").partition(" (Possible options: ")
    said = re.sub(r"'([^']*)'", r"`\1`", said[:1].lower() + said[1:])
    # typer proposes whatever shares a few letters
    options = get_close_matches(said.rpartition(" ")[2], near.rstrip(")").split(", "), n=2, cutoff=0.75)
    options = [f"`{option}`" for option in options]
    meant = f"did you mean {' or '.join(options)}? " if options else ""
    return UsageError(said, help=f"{meant}`legoc {command} --help` says what it takes")


def run_with_typer(name: str, help: str, function: Callable[..., object], arguments: Sequence[str]) -> None:
    """Read a command line and run the command, or say what is wrong with the line.

    Args:
        name: of the command.
        help: what it does, where its function does not say.
        function: the command, annotated as `parameters.py` says.
        arguments: what follows its name.

    Raises:
        SystemExit: always, unless the command raises something else.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    # a docstring's `Args:` are for readers of the code; typer shows the parameters itself
    text = (inspect.getdoc(function) or help).split("\n\nArgs:")[0]
    app.command(name, cls=_Command, help=text, context_settings={"help_option_names": ["--help", "-h"]})(
        _for_typer(function)
    )
    try:
        typer.main.get_command(app).main(list(arguments), prog_name=f"legoc {name}")
    except _EscapedError as escaped:
        raise escaped.error from None


def _for_typer(function: Callable[..., object]) -> Callable[..., object]:
    """The command with typer's own declarations, and what it raises guarded from typer."""

    def guarded(*args: Any, **kwargs: Any) -> object:
        try:
            return function(*args, **kwargs)
        except (KeyboardInterrupt, OSError, EOFError) as error:
            raise _EscapedError(error) from error

    hints = {name: _hint(name, hint) for name, hint in get_type_hints(function, include_extras=True).items()}
    signature = inspect.signature(function)
    own = [parameter.replace(annotation=hints[name]) for name, parameter in signature.parameters.items()]
    guarded.__signature__ = signature.replace(parameters=own)
    guarded.__annotations__ = hints
    return guarded


def _hint(name: str, hint: Any) -> Any:
    if get_origin(hint) is not Annotated:
        return hint
    inner, declared = get_args(hint)
    match declared:
        case Argument():
            info = typer.Argument(
                metavar=declared.metavar or name.upper(),
                help=declared.help,
                show_default=declared.show_default,
                readable=False,  # a file that cannot be read is the command's to speak of
            )
        case Option():
            info = typer.Option(
                *declared.flags,
                metavar=declared.metavar,
                help=declared.help,
                min=declared.min,
                show_default=declared.show_default,
                readable=False,
            )
        case _:
            raise AssertionError(f"{declared} is neither an Argument nor an Option")
    return Annotated[inner, info]
