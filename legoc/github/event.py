"""What a workflow runs for: the pull request or push, and the commit to compare with.

Source: GitHub's "Variables reference" and "Webhook events and payloads".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from legoc_runtime.errors import UsageError

DEFAULT_API = "https://api.github.com"
MAX_EVENT_BYTES = 64 * 2**20
_NO_COMMIT = "0" * 40
"""What a push of a new branch names as the commit before it."""


@dataclass(frozen=True)
class PullRequest:
    """A pull request.

    Attributes:
        number: by which comments are addressed.
        head: the commit that its author pushed.
        from_fork: whether its commits are in another repository, in which case the token cannot write.
    """

    number: int
    head: str
    from_fork: bool


@dataclass(frozen=True)
class Base:
    """A commit to compare with.

    Attributes:
        commit: its id.
        label: how people call it: the name of the branch.
    """

    commit: str
    label: str


@dataclass(frozen=True)
class Workflow:
    """A run of a workflow.

    Attributes:
        event: why it runs, e.g. `pull_request`.
        repository: `owner/name`.
        api: address of the REST API.
        token: what calls of it are signed with; empty where there is none.
        pull_request: the pull request that it runs for.
        base: what to compare with, where the event says.
        after: how people call the new state.
        summary: the file of the job's summary.
        output: the file of the step's outputs.
        log: address of the run's log; empty where it is not told.
    """

    event: str
    repository: str
    api: str
    token: str
    pull_request: PullRequest | None
    base: Base | None
    after: str
    summary: Path | None
    output: Path | None
    log: str


def read_workflow(environment: Mapping[str, str]) -> Workflow:
    """The workflow that an environment describes.

    Raises:
        UsageError: it describes none.
    """
    name, path = environment.get("GITHUB_EVENT_NAME", ""), environment.get("GITHUB_EVENT_PATH", "")
    if not name or not path:
        raise UsageError(
            "this is no workflow of GitHub: GITHUB_EVENT_NAME and GITHUB_EVENT_PATH are not set",
            help="elsewhere: `legoc check SPEC...`, and `legoc diff main...HEAD --format markdown`",
        )
    event = _event(Path(path))
    pull = _mapping(event, "pull_request")
    base = _base(event, pull)
    if base is None and name.startswith(("pull_request", "merge_group")):
        raise UsageError(f"the event of the workflow, {name}, names no base to compare with: {path}")
    repository = environment.get("GITHUB_REPOSITORY", "")
    server, run = environment.get("GITHUB_SERVER_URL", ""), environment.get("GITHUB_RUN_ID", "")
    return Workflow(
        event=name,
        repository=repository,
        api=environment.get("GITHUB_API_URL", "") or DEFAULT_API,
        token=environment.get("GITHUB_TOKEN", "").strip(),
        pull_request=_pull_request(pull) if pull else None,
        base=base,
        after=_text(pull, "head", "ref") or environment.get("GITHUB_REF_NAME", "") or "HEAD",
        summary=_file(environment, "GITHUB_STEP_SUMMARY"),
        output=_file(environment, "GITHUB_OUTPUT"),
        log=f"{server}/{repository}/actions/runs/{run}" if server and repository and run else "",
    )


def _event(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            data: object = json.loads(file.read(MAX_EVENT_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"the event of the workflow cannot be read: {path}") from error
    if not isinstance(data, dict):
        raise UsageError(f"the event of the workflow cannot be read: {path}")
    return cast("dict[str, Any]", data)


def _pull_request(pull: Mapping[str, Any]) -> PullRequest | None:
    number: object = pull.get("number")
    if not isinstance(number, int):
        return None
    head, base = _text(pull, "head", "repo", "full_name"), _text(pull, "base", "repo", "full_name")
    return PullRequest(number, _text(pull, "head", "sha"), head != base)


def _base(event: Mapping[str, Any], pull: Mapping[str, Any]) -> Base | None:
    """A pull request's base, a merge queue's, or what was there before a push."""
    if pull:
        found = Base(_text(pull, "base", "sha"), _text(pull, "base", "ref"))
    elif group := _mapping(event, "merge_group"):
        found = Base(_text(group, "base_sha"), _text(group, "base_ref").removeprefix("refs/heads/"))
    else:
        before = _text(event, "before")
        found = Base("" if before == _NO_COMMIT else before, before[:10])
    return found if found.commit else None


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value: object = data.get(key)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(data: Mapping[str, Any], *keys: str) -> str:
    for key in keys[:-1]:
        data = _mapping(data, key)
    value: object = data.get(keys[-1])
    return value if isinstance(value, str) else ""


def _file(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(environment[name]) if environment.get(name) else None
