"""`legoc git`: what git shows of specs and weights. Needs no torch."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from legoc.cli.output import echo
from legoc.cli.parameters import Argument, Option
from legoc_runtime.errors import RunError, UsageError


class Action(StrEnum):
    """What to do; the last two are for git to call."""

    install = "install"
    uninstall = "uninstall"
    textconv = "textconv"
    patch = "patch"


def command(
    action: Annotated[
        Action,
        Argument(
            help="install: git shows specs resolved and weights by their tensors; uninstall: as before. "
            "textconv and patch are what git calls then."
        ),
    ],
    files: Annotated[
        list[str] | None, Argument(metavar="FILE", help="What git hands over.", show_default=False)
    ] = None,
    everywhere: Annotated[
        bool,
        Option("--global/--local", help="For all your repositories, or for this one: its settings and .gitattributes."),
    ] = False,
    specs: Annotated[
        list[str] | None,
        Option(
            metavar="PATTERN",
            help="Files that are specs, as .gitattributes names them. May be repeated. "
            "[default: the folders of this repository that hold some; specs/**/*.yaml with --global]",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Let `git diff` say what a changed spec does, and `git log -p` and `git show` compare resolved specs and weights.

    What cannot be read is shown as it is, with a word; git never fails for it. Patches of `git diff` can be applied.
    """
    match action:
        case Action.install | Action.uninstall:
            if files:
                raise UsageError(f"`legoc git {action}` takes no files", help="name specs with --specs PATTERN")
            _settle(action, everywhere=everywhere, specs=specs or [], dry_run=dry_run)
        case Action.textconv | Action.patch:
            if everywhere or specs or dry_run:
                raise UsageError(f"`legoc git {action}` is for git to call", help="`legoc git install` lets it")
            _show(action, files or [])


def _settle(action: Action, *, everywhere: bool, specs: list[str], dry_run: bool) -> None:
    from legoc.git.attributes import pattern_of
    from legoc.git.install import find_patterns, find_target, install, uninstall

    given = [pattern_of(text) for text in specs]
    target = find_target(everywhere=everywhere)
    if action is Action.uninstall:
        if specs:
            raise UsageError("`legoc git uninstall` takes every line out that it put there", help="leave out --specs")
        done = list(uninstall(target, dry_run=dry_run))
    else:
        done = list(install(target, given or find_patterns(everywhere=everywhere), dry_run=dry_run))
    for line in done or ["nothing of it is there"]:
        echo(line)
    if dry_run:
        echo("nothing was changed: --dry-run", err=True)


def _show(action: Action, files: list[str]) -> None:
    """What git asked for. Whatever fails here is told, and the exit code lets git show the file without us."""
    try:
        text = _shown(action, files)
    except OSError as error:
        name = error.filename or " ".join(files)
        raise RunError(f"{name} cannot be shown: {error.strerror}", help="git shows it without legoc") from error
    try:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # a pager that was left wants no more: this is no failure, after which git would show the file in another way
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _shown(action: Action, files: list[str]) -> bytes:
    """The text that git is to show.

    Raises:
        OSError: a file cannot be read.
        UsageError: this is not how git calls it.
    """
    from legoc.git.patch import changed_text, read_request
    from legoc.git.textconv import text_of

    if action is Action.textconv:
        if len(files) != 1:
            raise UsageError("`legoc git textconv` is called by git, with one file", help="compare with `legoc diff`")
        return text_of(Path(files[0]))
    changed = read_request(files)
    return f"* Unmerged path {files[0]}\n".encode() if changed is None else changed_text(changed)
