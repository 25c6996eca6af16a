"""The hooks of .pre-commit-hooks.yaml in the real pre-commit, installed as it installs them, without a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from legoc.fmt import format_text
from tests.review.repository import ENVIRONMENT, Made

pytestmark = pytest.mark.pre_commit

ROOT = Path(__file__).parents[2]
TINY = format_text((ROOT / "examples" / "tiny.yaml").read_text(encoding="utf-8"), "tiny.yaml")
BASE = "brick_defaults: {width: 64, heads: 4}\n"
CHILD = "legoc: 1\nextends: base/size.yaml\nname: child\n" + TINY.partition("name: tiny\n")[2].replace(BASE, "")
NO_SPEC = "legoc: [not,   a spec of the folder]\n"
UNTIDY = TINY.replace("size: image,", "size:   image,")
PACKAGE = ["pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml", "legoc", "runtime"]
CONFIGURATION = """\
repos:
  - repo: file://{repository}
    rev: {revision}
    hooks:
      - id: legoc-check
      - id: legoc-fmt
      - id: legoc-schema
"""


class Hooks:
    """This project as a repository of hooks, and pre-commit with a cache of its own."""

    def __init__(self, folder: Path) -> None:
        made = Made(folder / "legoc")
        for name in PACKAGE:
            source, target = ROOT / name, made.root / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        self.configuration = CONFIGURATION.format(repository=made.root, revision=made.commit())
        # the packages that pip would download are those of the tests
        self._environment = {
            **ENVIRONMENT,
            "PRE_COMMIT_HOME": str(folder / "cache"),
            "PRE_COMMIT_COLOR": "never",
            "PYTHONPATH": sysconfig.get_path("purelib"),
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # as pip reads it, this switches isolation off
            "PIP_NO_INDEX": "1",
        }

    def run(self, project: Made) -> tuple[int, str]:
        """Run the hooks on what is staged."""
        (project.root / ".pre-commit-config.yaml").write_text(self.configuration, encoding="utf-8")
        project.git("add", "-A")
        done = subprocess.run(
            [sys.executable, "-m", "pre_commit", "run", "--verbose"],
            cwd=project.root,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Hooks:
    return Hooks(tmp_path_factory.mktemp("hooks"))


@pytest.fixture
def project(tmp_path: Path) -> Made:
    made = Made(tmp_path / "project")
    (made.root / "schema").mkdir()
    shutil.copy(ROOT / "schema" / "legoc-v1.json", made.root / "schema")
    made.commit(specs__child=CHILD, specs__base__size=BASE)
    return made


def test_the_hooks_pass_find_and_mend(hooks: Hooks, project: Made) -> None:
    project.write(specs__a=TINY)
    code, said = hooks.run(project)
    assert (code, said.count("Passed")) == (0, 3), said

    project.commit()
    # what extends it is not staged, and does not check any more
    project.write(specs__base__size=BASE.replace("heads: 4", "heads: 5"))
    code, said = hooks.run(project)
    assert (code, said.count("Failed")) == (1, 1)
    assert "error[LG203]" in said
    assert "specs/base/size.yaml:1:" in said

    project.write(specs__base__size=BASE, specs__a=UNTIDY, ci=NO_SPEC)
    (project.root / "schema" / "legoc-v1.json").write_text("{}\n", encoding="utf-8")
    code, said = hooks.run(project)
    assert (code, said.count("Failed")) == (1, 2)
    assert "formatted specs/a.yaml" in said
    assert "schema/legoc-v1.json is stale" in said
    assert (project.root / "specs" / "a.yaml").read_text(encoding="utf-8") == TINY
    assert (project.root / "ci.yaml").read_text(encoding="utf-8") == NO_SPEC
