"""`legoc git install` in real repositories: what `git diff`, `git log -p` and `git show` print then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from legoc.__main__ import main
from legoc.git.install import commands
from legoc.git.patch import read_request
from legoc.git.textconv import text_of
from legoc_runtime.errors import UsageError
from tests.review.gallery import BASE, DDPM, ONE
from tests.review.repository import ENVIRONMENT, Made

DEEPER = BASE.replace("depth: 2", "depth: 3")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A repository with a spec, whose settings have the drivers."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    repository = Made(tmp_path / "repository")
    repository.commit(specs__a=BASE)
    monkeypatch.chdir(repository.root)
    assert main(["git", "install"]) == 0
    repository.commit()
    return repository


def tensors(path: Path, value: int, spec: str | None = BASE) -> None:
    """A safetensors file of two tensors, by hand."""
    entries = {
        "a.weight": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "b.bias": {"dtype": "BF16", "shape": [2], "data_offsets": [8, 12]},
    }
    metadata = {} if spec is None else {"__metadata__": {"legoc.kind": "weights", "legoc.spec": spec}}
    header = json.dumps({**metadata, **entries}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes([value] * 8) + bytes(4))


def test_diff_says_what_a_change_does_above_a_patch_that_can_be_applied(made: Made) -> None:
    made.write(specs__a=DEEPER)
    said = made.git("diff")
    assert said.startswith(
        "specs/a.yaml: resumable: checkpoints load once migrated; 1 change\n"
        "  ~ resumable  bricks.whole.depth 2 -> 3\n"
        "diff --git a/specs/a.yaml b/specs/a.yaml\n"
        "index "
    )
    assert '+  - {id: whole, size: image, receptive_field: 4, depth: 3, skip: "sigma < 0.3"}' in said
    patch = made.root / "changes.patch"
    patch.write_text(said + "\n", encoding="utf-8")
    made.git("apply", "--check", "-R", "changes.patch")
    assert made.git("diff", "--no-ext-diff", "--no-textconv") in said
    assert made.git("-C", "specs", "diff") == said


def test_log_and_show_compare_resolved_specs(made: Made) -> None:
    made.commit(specs__a=BASE.replace("diffusion: edm", "diffusion: edm  # a comment"))
    assert made.git("show").endswith("a change")  # nothing that a spec says
    assert "cosmetic" in made.git("show", "--ext-diff")
    made.commit(specs__a=DEEPER)
    assert "\n-    depth: 2\n+    depth: 3\n" in made.git("log", "-1", "-p")
    assert "specs/a.yaml: resumable" in made.git("show", "--ext-diff")


def test_renamed_new_gone_and_moded_files_are_patches_too(made: Made) -> None:
    (made.root / "specs" / "a.yaml").chmod(0o755)
    made.git("mv", "specs/a.yaml", "specs/é b.yaml")
    made.write(specs__new=ONE)
    path = made.root / "specs" / "é b.yaml"
    path.write_text(DEEPER, encoding="utf-8")
    made.git("add", "-A")
    said = made.git("diff", "--cached", "-M")
    assert "specs/é b.yaml: resumable" in said
    assert "rename from specs/a.yaml" in said
    assert "old mode 100644" in said
    assert "--- /dev/null\n+++ b/specs/new.yaml" in said
    (made.root / ".git" / "changes.patch").write_text(said + "\n", encoding="utf-8")
    made.git("apply", "--check", "-R", ".git/changes.patch")
    made.git("rm", "-qf", "specs/new.yaml", "specs/é b.yaml")
    assert "+++ /dev/null" in made.git("diff", "--cached")


@pytest.mark.parametrize("broken", [BASE.replace("heads: 4", "heads: 5"), "legoc: 1\n\0\x01["])
def test_what_does_not_check_is_shown_as_written_with_a_word(made: Made, broken: str) -> None:
    made.write(specs__a=broken)
    said = made.git("diff")
    assert "specs/a.yaml: not compared, the new one cannot be resolved: since it does not check (LG" in said
    assert "diff --git a/specs/a.yaml b/specs/a.yaml" in said
    made.commit()
    shown = made.git("show", "--text")
    assert "+# legoc: shown as written, since it does not check (LG" in shown
    made.commit(specs__a=BASE)
    assert "the old one cannot be resolved" in made.git("diff", "HEAD~", "HEAD")


def test_a_spec_that_extends_is_shown_as_written_and_compared_over_its_bases_as_they_are(made: Made) -> None:
    made.commit(specs__b="legoc: 1\nextends: [a.yaml]\nname: b\n")
    assert "+# legoc: shown as written, since it extends files that git does not hand over\n+legoc: 1" in made.git(
        "show"
    )
    made.write(specs__b="legoc: 1\nextends: [a.yaml]\nname: c\n")
    said = made.git("-C", "specs", "diff")
    first = "cosmetic: checkpoints load as they are; 1 change, over what it extends as that is now"
    assert said.startswith(f"specs/b.yaml: {first}\n  ~ cosmetic   name b -> c\ndiff --git ")
    assert "-name: b\n+name: c" in said
    (made.root / "specs/a.yaml").unlink()
    said = made.git("diff", "--", "specs/b.yaml")
    assert "the old one cannot be resolved, over what it extends as that is now: since it does not check (LG601" in said
    assert "`legoc diff REV -- specs/b.yaml`" in said


def test_other_yaml_stays_as_it_is(made: Made) -> None:
    made.commit(specs__notes="a: 1\n")
    made.write(specs__notes="a: 2\n")
    assert made.git("diff").startswith("diff --git a/specs/notes.yaml b/specs/notes.yaml\n")
    assert "-a: 1\n+a: 2" in made.git("diff", "--no-ext-diff")


def test_weights_are_compared_by_header_and_tensors(made: Made) -> None:
    path = made.root / "w.safetensors"
    tensors(path, 1)
    made.commit()
    tensors(path, 2, DEEPER)
    for said in (made.git("diff"), made.git("diff", "--no-ext-diff")):
        assert "\n-    - {id: whole" in said
        assert "\n-  a.weight F32 [2, 1] " in said
        assert "\n   b.bias BF16 [2] " in said
    tensors(path, 2, None)
    made.commit()
    path.write_bytes(path.read_bytes()[:-5])
    assert "+legoc: no whole safetensors file (it is cut short)" in made.git("diff")


def test_a_file_that_is_not_merged_is_said(made: Made) -> None:
    made.git("switch", "-q", "-c", "other")
    made.commit(specs__a=DEEPER)
    made.git("switch", "-q", "main")
    made.commit(specs__a=BASE.replace("depth: 2", "depth: 4"))
    subprocess.run(["git", "merge", "-q", "other"], cwd=made.root, env=ENVIRONMENT, capture_output=True, check=False)
    assert "depth: 4" in made.git("diff")
    assert read_request(["specs/a.yaml"]) is None
    with pytest.raises(UsageError, match="is called by git"):
        read_request(["a", "b"])


def test_git_goes_on_where_legoc_is_no_more(made: Made) -> None:
    tensors(made.root / "w.safetensors", 1)
    made.commit()
    for key, value in commands().items():
        made.git("config", key, value.replace(sys.executable, "/gone/python"))
    tensors(made.root / "w.safetensors", 2)
    made.write(specs__a=DEEPER)
    said = made.git("diff")
    assert "depth: 3" in said
    assert "w.safetensors" in said
    made.commit()
    assert "depth: 3" in made.git("show")


def test_installing_twice_is_installing_once_and_uninstalling_leaves_the_rest(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    attributes, config = made.root / ".gitattributes", made.root / ".git" / "config"
    assert attributes.read_text() == "/specs/*.yaml diff=legoc-spec\n*.safetensors diff=legoc-weights\n"
    before = attributes.read_bytes(), config.read_bytes()
    assert main(["git", "install"]) == 0
    assert (attributes.read_bytes(), config.read_bytes()) == before
    assert main(["git", "uninstall", "--dry-run"]) == 0
    assert (attributes.read_bytes(), config.read_bytes()) == before
    own = b"*.png binary\r\n*.yaml text diff=legoc-spec\r\n# x diff=legoc-spec"
    attributes.write_bytes(own)
    capsys.readouterr()
    assert main(["git", "install", "--specs", "deep/**/*.yaml"]) == 0
    assert f"{attributes}: deep/**/*.yaml diff=legoc-spec\n" in capsys.readouterr().out
    assert attributes.read_bytes().startswith(own + b"\r\ndeep/**/*.yaml diff=legoc-spec\r\n")
    assert main(["git", "uninstall"]) == 0
    assert attributes.read_bytes() == own + b"\r\n"
    assert "legoc" not in config.read_text()
    capsys.readouterr()
    assert main(["git", "uninstall"]) == 0
    assert capsys.readouterr().out == "nothing of it is there\n"
    attributes.unlink()
    assert main(["git", "install"]) == 0
    assert main(["git", "uninstall"]) == 0
    assert not attributes.exists()


def test_folders_of_any_name_get_a_pattern_that_git_reads(made: Made) -> None:
    names = ["a b/x.yaml", "[c]/y.yml", 'q"t/z.yaml', "top.yaml"]
    for name in names:
        path = made.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(ONE, encoding="utf-8")
    assert main(["git", "install"]) == 0
    found = made.git("check-attr", "-z", "diff", *names, "a b/deeper/x.yaml").split("\0")
    assert found[2::3] == ["legoc-spec"] * 4 + ["unspecified"]


def test_patterns_that_are_named_are_read_by_git_and_taken_out_again(made: Made) -> None:
    names = ["my specs/x.yaml", "'q/y.yaml", "#z/z.yaml"]
    patterns = ["my specs/*.yaml", "'q/*.yaml", '"#z/*.yaml"', "# z/*.yaml"]
    assert main(["git", "install", *(f"--specs={pattern}" for pattern in patterns)]) == 0
    found = made.git("check-attr", "-z", "diff", *names, "# z/z.yaml").split("\0")
    assert found[2::3] == ["legoc-spec"] * 4
    assert main(["git", "uninstall"]) == 0
    assert not (made.root / ".gitattributes").exists()


def test_what_is_no_pattern_is_refused_before_anything_is_done(made: Made, capsys: pytest.CaptureFixture[str]) -> None:
    before = (made.root / ".gitattributes").read_bytes()
    for pattern in ("", " ", "a\nb", "!x", "[attr]x"):
        assert main(["git", "install", "--specs", pattern]) == 2
        assert "is no pattern of .gitattributes" in capsys.readouterr().err
    assert (made.root / ".gitattributes").read_bytes() == before


def test_a_link_is_shown_as_one(made: Made) -> None:
    link = made.root / "specs" / "link.yaml"
    link.symlink_to("a.yaml")
    made.commit()
    link.unlink()
    link.symlink_to("b.yaml")
    assert made.git("diff") == made.git("diff", "--no-ext-diff")
    assert " 120000\n" in made.git("diff")


def test_leaving_the_pager_is_no_failure(made: Made) -> None:
    """Else the command in git's settings would say that legoc cannot be run."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        call = [sys.executable, "-m", "legoc", "git", "textconv", "specs/a.yaml"]
        done = subprocess.run(call, stdout=gone, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = str(tmp_path / "gone.yaml")
    for arguments in (["textconv", gone], ["patch", "a.yaml", gone, "0", "100644", gone, "0", "100644"]):
        assert main(["git", *arguments]) == 3
        assert capsys.readouterr().err.startswith(f"error: {gone} cannot be shown: No such file or directory\n")


def test_for_all_repositories_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    assert main(["git", "install", "--local"]) == 2
    assert main(["git", "install", "--global", "--dry-run"]) == 0
    assert list(home.iterdir()) == []
    assert main(["git", "install", "--global"]) == 0
    lines = (home / "git" / "attributes").read_text().splitlines()
    assert lines == [
        "specs/**/*.yaml diff=legoc-spec",
        "specs/**/*.yml diff=legoc-spec",
        "*.safetensors diff=legoc-weights",
    ]
    assert "legoc-weights" in (home / "config").read_text()
    assert main(["git", "uninstall", "--global"]) == 0
    assert "legoc" not in (home / "config").read_text()


def test_every_kind_of_spec_has_a_text(tmp_path: Path) -> None:
    for text in (BASE, ONE, DDPM):
        (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
        assert b"legoc: 1" in text_of(tmp_path / "a.yaml")
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    assert text_of(tmp_path / "b") == b"\xff\xfe"


def test_what_only_git_calls_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["textconv"], ["patch", "a", "b"], ["textconv", "x", "--dry-run"], ["install", "x"]):
        assert main(["git", *arguments]) == 2
        assert "git" in capsys.readouterr().err
