"""The one comment on a pull request: found again by its first line, updated, never written twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from legoc.github.api import Api, ApiError

ROUNDS = 4
PAGE = 100


@dataclass(frozen=True)
class Written:
    """What became of the comment.

    Attributes:
        how: `none` where there was nothing to say and no comment that says otherwise.
        address: of the comment for people; empty where there is none.
    """

    how: Literal["created", "updated", "same", "none"]
    address: str = ""


@dataclass(frozen=True)
class Pull:
    """A pull request: its repository (`owner/name`) and its number."""

    repository: str
    number: int

    @property
    def comments(self) -> str:
        """Where its comments are listed and written."""
        return f"/repos/{self.repository}/issues/{self.number}/comments"

    def comment(self, id: int) -> str:
        """Where one comment is."""
        return f"/repos/{self.repository}/issues/comments/{id}"


def write_comment(
    api: Api, pull: Pull, marker: str, render: Callable[[int], str], sizes: Sequence[int], *, create: bool
) -> Written:
    """Write the comment, or update the one that is there.

    A comment is ours where it begins with the marker and the same account wrote it, so that a quotation of it, or
    somebody's copy, stays as it is. One that was deleted, or whose first line somebody took away, is written anew.

    Args:
        api: the server.
        pull: the pull request.
        marker: the first line.
        render: the text in at most so many characters.
        sizes: those numbers, the largest first; the next one is taken where the server says that a text is too long.
        create: whether to write a comment where there is none.

    Raises:
        ApiError: the server refused, or did not answer.
    """
    left = list(sizes)
    for last in (False,) * (ROUNDS - 1) + (True,):
        found = _ours(api, pull, marker)
        if not found and not create:
            return Written("none")
        try:
            written = _write(api, pull, found, render(left[0]))
        except ApiError as error:
            # it was deleted a moment ago; it may have been written although no answer came; or it is too long
            deleted = error.status in (404, 410) and bool(found)
            too_long = error.status == 422 and len(left) > 1
            if last or not (deleted or error.perhaps_done or too_long):
                raise
            left = left[1:] if too_long else left
            continue
        _remove(api, pull, found[1:])
        return written
    raise AssertionError("the last round returns or raises")


def _write(api: Api, pull: Pull, found: Sequence[dict[str, Any]], text: str) -> Written:
    if not found:
        return Written("created", _address(api.call("POST", pull.comments, {"body": text})))
    if _plain(found[0]["body"]) == _plain(text):
        return Written("same", _address(found[0]))
    return Written("updated", _address(api.call("PATCH", pull.comment(found[0]["id"]), {"body": text})))


def _remove(api: Api, pull: Pull, others: Sequence[dict[str, Any]]) -> None:
    """Remove later comments of ours, which runs that ran at the same time may have written."""
    for other in others:
        try:
            api.call("DELETE", pull.comment(other["id"]))
        except ApiError as error:
            if error.status not in (404, 410):
                raise ApiError(f"it was updated, but a copy of it could not be removed: {error}") from error


def _ours(api: Api, pull: Pull, marker: str) -> list[dict[str, Any]]:
    """The comments that begin with the marker and are of the token's account, the oldest first."""
    marked = [
        comment
        for page in api.pages(f"{pull.comments}?per_page={PAGE}")
        for comment in _comments(page)
        if _plain(comment["body"]).partition("\n")[0].rstrip() == marker
    ]
    marked.sort(key=lambda comment: comment["id"])
    robots = [comment for comment in marked if _user(comment).get("type") == "Bot"]
    if robots or not marked:
        return robots
    # people's comments are ours only where the token is a person's
    login = _login(api)
    return [comment for comment in marked if login and _user(comment).get("login") == login]


def _login(api: Api) -> str | None:
    """The name of the person whose token it is; None for the token of a workflow, which may not ask."""
    try:
        account: object = api.call("GET", "/user")
    except ApiError as error:
        if error.status in (401, 403, 404):
            return None
        raise
    login: object = cast("dict[str, Any]", account).get("login") if isinstance(account, dict) else None
    return login if isinstance(login, str) else None


def _comments(page: object) -> list[dict[str, Any]]:
    if not isinstance(page, list):
        raise ApiError("the server's list of comments is no list")
    each = [cast("dict[str, Any]", one) for one in cast("list[object]", page) if isinstance(one, dict)]
    return [one for one in each if isinstance(one.get("id"), int) and isinstance(one.get("body"), str)]


def _user(comment: dict[str, Any]) -> dict[str, Any]:
    user: object = comment.get("user")
    return cast("dict[str, Any]", user) if isinstance(user, dict) else {}


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _address(comment: object) -> str:
    found: object = cast("dict[str, Any]", comment).get("html_url") if isinstance(comment, dict) else None
    # it becomes a line of the step's outputs
    return found if isinstance(found, str) and found.isprintable() and " " not in found else ""
