"""What the command line asks to compare: two things, or two states of a repository."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from legoc.review.compare import Pair, Report, compare
from legoc.review.git import Repository
from legoc.review.revisions import Range, pairs, read_range, revision_side, states
from legoc.review.sides import STDIN, Side, Unreadable, read_side
from legoc_runtime.errors import UsageError

WORKING_TREE = "the working tree"


def compare_request(what: Sequence[str]) -> Report:
    """Compare what a command line names: `A B`, or `REV`, `REV REV`, `REV..REV`, `REV...REV` with paths.

    What stands at a path is taken before a revision of the same name; `refs/heads/NAME` is the branch then.

    Raises:
        UsageError: it is neither, or there is no such revision.
    """
    if is_one_thing(what[0]):
        return _two(what)
    with _repository(what[0]) as repository:
        asked, paths = read_range(what[0]), list(what[1:])
        if asked.after is None and paths and not os.path.exists(paths[0]) and repository.commit(paths[0]) is not None:
            asked = Range(asked.before, paths.pop(0))
        before, after = states(repository, asked)
        found = pairs(repository, before, after, paths)
        return compare(before.revision or WORKING_TREE, after.revision or WORKING_TREE, found)


def _repository(text: str) -> Repository:
    try:
        return Repository(Path())
    except UsageError as error:
        message = f"there is nothing at {text}, and no revision can be meant: {error.message}"
        raise UsageError(message, help="check the path, or run it in a repository of git") from error


def _two(what: Sequence[str]) -> Report:
    if len(what) != 2:
        number = "one thing" if len(what) == 1 else f"{len(what)} things"
        help = "give two: `legoc diff OLD NEW`; against a revision: `legoc diff REV -- PATH`"
        raise UsageError(f"{number} to compare, and a comparison has two sides", help=help)
    if list(what) == [STDIN, STDIN]:
        raise UsageError("both sides cannot be standard input", help="name a file for one of them")
    before, after = map(read_named, what)
    return compare(before.label, after.label, [Pair(before, after)])


def is_one_thing(text: str) -> bool:
    """Whether a text names one side, and not a revision whose specs are to be compared."""
    return _is_path(text) or _is_in_revision(text)


def read_named(text: str) -> Side | Unreadable:
    """The side that a text names: a path, `-`, or a path in a revision.

    Raises:
        UsageError: there is no such revision.
    """
    if _is_path(text) or not _is_in_revision(text):
        return read_side(text)
    with Repository(Path()) as repository:
        return revision_side(repository, text) or read_side(text)


def _is_path(text: str) -> bool:
    return (
        text == STDIN or os.path.exists(text) or (text.endswith((".yaml", ".yml", ".safetensors")) and ":" not in text)
    )


def _is_in_revision(text: str) -> bool:
    revision, colon, path = text.partition(":")
    return bool(colon and revision and path)
