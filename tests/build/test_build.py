"""The build directory: byte-identical, whole or absent, checked against its spec, and cheap for a large stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import legoc
from legoc import build_directory as build
from legoc.__main__ import main
from legoc.build_directory import newest_build, write_build
from legoc.driver import check_build, compile_path, compile_spec, lower_configuration
from legoc.lower.pipeline import choose
from legoc.spec import load_spec
from legoc_runtime.contract.manifest import manifest_from_json, read_manifest
from legoc_runtime.errors import RunError, UsageError

SPECS = Path(__file__).parents[2] / "specs"


def build_to(directory: Path, spec: str = "emoji_32.yaml") -> Path:
    write_build(*compile_spec(load_spec(SPECS / spec)), directory)
    return directory


def contents(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def test_a_second_build_is_byte_identical_in_another_process(tmp_path: Any):
    first = contents(build_to(tmp_path / "a"))
    code = f"import tests.build.test_build as t, pathlib; t.build_to(pathlib.Path({str(tmp_path / 'b')!r}))"
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert contents(tmp_path / "b") == first
    assert set(first) >= {"manifest.json", "spec.yaml", "modules/training.py"}


def test_building_over_a_build_leaves_one_build(tmp_path: Any):
    build_to(tmp_path, "lego_u_xl.yaml")
    (tmp_path / "checkpoints").mkdir()
    build_to(tmp_path)
    assert (tmp_path / "checkpoints").is_dir()
    (tmp_path / "checkpoints").rmdir()
    assert contents(tmp_path) == contents(build_to(tmp_path.with_name("fresh")))


def test_the_manifest_reads_back_equal(tmp_path: Any):
    manifest, text = compile_spec(load_spec(SPECS / "lego_u_xl.yaml"))
    write_build(manifest, text, tmp_path)
    assert read_manifest(tmp_path) == manifest
    assert compile_path(tmp_path) == (manifest, text)


def test_the_build_holds_what_its_policies_reach_and_no_more(tmp_path: Any):
    spec = load_spec(SPECS / "lego_u_xl.yaml")
    manifest, _ = compile_spec(spec)
    assert manifest.shape.ids in manifest.configurations
    assert ("coarse", "parts", "detail", "regroup") in manifest.configurations  # halfway and the top brick's own skip
    assert ("top",) not in manifest.configurations
    assert len(set(manifest.configurations)) == len(manifest.configurations)
    assert lower_configuration(manifest, ("top",)).bricks == ("top",)


def test_a_large_stack_builds_without_being_materialised(tmp_path: Any):
    """1.26 B parameters would be 5 GB; the limit of memory is the issue's, taken in a process of its own."""
    code = (
        "import resource, sys; from pathlib import Path; from tests.build.test_build import build_to;"
        f"build_to(Path({str(tmp_path)!r}), 'lego_u_xl.yaml');"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=120,
    )
    assert int(done.stdout) < 3000, f"peak memory {done.stdout} MiB"
    assert time.monotonic() - started < 120
    shape = read_manifest(tmp_path).shape
    assert [brick.id for brick in shape.bricks] == ["coarse", "parts", "detail", "regroup", "top"]


def test_check_notices_any_change(tmp_path: Any):
    directory = build_to(tmp_path / "b")
    check_build(directory)
    source = next((directory / "modules").iterdir())
    source.write_text(source.read_text() + "# a line more\n")
    with pytest.raises(RunError, match="not what its program links to"):
        check_build(directory)
    build_to(directory)
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["programs"][0]["ops"][0]["sigma_data"] = 0.7
    (directory / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="not what the spec compiles to"):
        check_build(directory)
    build_to(directory)
    (directory / "spec.yaml").write_text((directory / "spec.yaml").read_text() + "\n")
    with pytest.raises(RunError, match="changed after the build"):
        compile_path(directory)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a manifest"),
        ("[]", "version"),
        ('{"manifest_version": 99}', "version 99"),
        ('{"manifest_version": true}', "version True"),
        ('{"manifest_version": 1.0}', r"version 1\.0"),
        ('{"manifest_version": 1, "name": "x"}', "missing"),
        ("[" * 100_000, "not a manifest"),
    ],
)
def test_a_foreign_manifest_is_refused_in_words(text: Any, words: Any):
    with pytest.raises(RunError, match=words):
        manifest_from_json(text, where="manifest.json")


def test_a_newer_manifest_is_refused_with_what_to_do():
    with pytest.raises(RunError, match="reads versions 1 to 5") as caught:
        manifest_from_json('{"manifest_version": 6}', where="manifest.json")
    assert caught.value.help == "a newer legoc wrote it: install that version, or build it again with this one"


def test_a_manifest_of_version_1_was_made_by_no_pass_over_programs(tmp_path: Any):
    directory = build_to(tmp_path)
    manifest = read_manifest(directory)
    old = json.loads(replace(manifest, passes=()).to_json())
    del old["passes"]
    read = manifest_from_json(json.dumps({**old, "manifest_version": 1}), where="manifest.json")
    assert read == replace(manifest, passes=())
    with pytest.raises(RunError, match="passes missing"):
        manifest_from_json(json.dumps(old), where="manifest.json")


RAW = """\
legoc: 1
name: raw
grid: {height: 16, width: 16, channels: 3}
conditioning: {classes: null}
carry: raw
brick_defaults: {width: 16, heads: 2, depth: 1, train_patches: 0.5}
bricks:
  - {id: low, size: 4, receptive_field: 2}
  - {id: middle, size: 8, receptive_field: 4}
  - {id: top, size: image, receptive_field: 2}
train: {fill: x0, images: 1k}
"""


def test_a_build_is_checked_against_the_passes_that_made_it(tmp_path: Any):
    spec = tmp_path / "raw.yaml"
    spec.write_text(RAW)
    for name in choose().names:
        directory = tmp_path / name
        manifest, text = compile_spec(load_spec(spec), disable=[name])
        assert name not in manifest.passes
        write_build(manifest, text, directory)
        check_build(directory)
    manifest, text = compile_spec(load_spec(spec), disable=["share-equal"])
    whole, _ = compile_spec(load_spec(spec))
    assert whole.training != manifest.training  # or the test could not fail
    write_build(replace(manifest, passes=whole.passes), text, tmp_path / "wrong")
    with pytest.raises(RunError, match="program `training` is not what the spec compiles to"):
        check_build(tmp_path / "wrong")
    write_build(replace(manifest, passes=("later",)), text, tmp_path / "later")
    with pytest.raises(RunError, match="passes that this legoc does not have: later"):
        check_build(tmp_path / "later")


def test_the_python_api_builds_what_the_command_builds(tmp_path: Any, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    directory = legoc.build(SPECS / "emoji_32.yaml", policies=["halfway:0.4"], overrides=["sample.steps=20"])
    assert directory == Path("build/emoji_32")
    assert read_manifest(directory).sample.steps == 20


def test_a_directory_that_is_no_build_is_said_to_be_none(tmp_path: Any):
    with pytest.raises(UsageError, match="is not a build"):
        compile_path(tmp_path)
    with pytest.raises(UsageError, match="no build under"):
        newest_build(tmp_path)


def test_the_newest_build_is_taken(tmp_path: Any):
    for i, name in enumerate(("old", "new")):
        directory = build_to(tmp_path / build.BUILDS / name)
        os.utime(directory / "manifest.json", ns=(i, i))
    assert newest_build(tmp_path).name == "new"


def test_a_failed_write_leaves_the_last_build(tmp_path: Any, monkeypatch: Any):
    directory = build_to(tmp_path / "b")
    before = contents(directory)

    def full(path: Any, text: Any):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        build_to(directory, "lego_u_xl.yaml")
    assert contents(directory) == before


def test_files_that_are_no_build_are_never_built_over(tmp_path: Any, monkeypatch: Any):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine"
    (mine / "modules").mkdir(parents=True)
    text = (SPECS / "emoji_32.yaml").read_text()
    (mine / "spec.yaml").write_text(text)
    (mine / "modules" / "own.py").write_text("precious")
    before = contents(mine)
    with pytest.raises(UsageError, match="is no build and holds other files"):
        legoc.build(mine / "spec.yaml", mine)
    assert main(["build", "mine/spec.yaml", "-o", "mine"]) == 2
    assert main(["build", "mine/spec.yaml", "-o", "mine", "--dry-run"]) == 2
    assert main(["build", "mine/spec.yaml", "-o", "mine/spec.yaml"]) == 2
    assert contents(mine) == before
    (tmp_path / "empty").mkdir()
    assert main(["build", "mine/spec.yaml", "-o", "empty"]) == 0
    assert main(["build", "mine/spec.yaml", "-o", "empty"]) == 0


def test_a_run_without_a_checkpoint_does_not_stand_in_for_one_with(tmp_path: Any):
    for name in ("trained", "refused"):
        build_to(tmp_path / build.RUNS / name)
    (tmp_path / build.RUNS / "trained" / "checkpoints").mkdir()
    os.utime(tmp_path / build.RUNS / "trained" / "checkpoints", ns=(1, 1))
    os.utime(tmp_path / build.RUNS / "trained" / "manifest.json", ns=(1, 1))
    assert build.newest_run(tmp_path).name == "trained"
