"""A bare repository with a pull request, cloned as `actions/checkout` does."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.github.fake_api import REPOSITORY
from tests.review.repository import ENVIRONMENT, Made


class Project:
    """A repository with the pull request 7 from `feature` into `main`.

    Attributes:
        made: where commits are made.
        head: the last commit of the pull request.
        base: the last commit of `main`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.made = Made(folder / "author")
        self.base = self.head = ""

    def main(self, **files: str | None) -> None:
        """Commit to `main`."""
        if self.base:
            self.made.git("checkout", "-q", "main")
        self.base = self.made.commit(**files)

    def propose(self, **files: str | None) -> None:
        """Commit to the pull request, which begins at the first call where `main` is."""
        if self.head:
            self.made.git("checkout", "-q", "feature")
        else:
            self.made.git("checkout", "-q", "-b", "feature")
        self.head = self.made.commit(**files)

    def clone(self, name: str = "clone", ref: str = "refs/pull/7/merge", depth: int | None = None) -> Path:
        """A clone in which a ref is checked out, detached; GitHub's merge of the pull request by default."""
        if self.head:
            self.made.git("checkout", "-q", "--detach", "main")
            self.made.git("merge", "-q", "--no-ff", "-m", "merge", "feature")
            self.made.git("update-ref", "refs/pull/7/merge", "HEAD")
            self.made.git("update-ref", "refs/pull/7/head", "feature")
        bare, clone = self._folder / f"{name}.git", self._folder / name
        _git(self._folder, "clone", "-q", "--mirror", str(self.made.root), str(bare))
        clone.mkdir()
        _git(clone, "init", "-q")
        refs = [f"+{ref}:refs/remotes/checkout"]
        if depth is None:
            refs.append("+refs/heads/*:refs/remotes/origin/*")
        shallow = [] if depth is None else [f"--depth={depth}"]
        _git(clone, "fetch", "-q", "--no-tags", *shallow, f"file://{bare}", *refs)
        _git(clone, "checkout", "-q", "--detach", "refs/remotes/checkout")
        return clone

    def pull_request(self, *, fork: bool = False) -> dict[str, Any]:
        """The event of the pull request."""
        head = "somebody/fork" if fork else REPOSITORY
        return {
            "action": "synchronize",
            "number": 7,
            "pull_request": {
                "number": 7,
                "head": {"sha": self.head, "ref": "feature", "repo": {"full_name": head}},
                "base": {"sha": self.base, "ref": "main", "repo": {"full_name": REPOSITORY}},
            },
        }

    def environment(self, event: dict[str, Any], address: str, name: str = "pull_request") -> dict[str, str]:
        """What GitHub sets for an event."""
        path = self._folder / "event.json"
        path.write_text(json.dumps(event), encoding="utf-8")
        return {
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(path),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": address,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "42",
            "GITHUB_REF_NAME": "7/merge" if "pull_request" in event else "main",
        }


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, env=ENVIRONMENT, check=True, capture_output=True)
