"""What a built distribution holds."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files in a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def test_the_top_level_is_the_two_packages(wheel: list[str]) -> None:
    top = {name.split("/")[0] for name in wheel if ".dist-info/" not in name}
    assert top == {"legoc", "legoc_runtime"}


def test_every_source_file_ships(wheel: list[str]) -> None:
    """Modules, typing markers, and the pages of the diagnostics."""
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "legoc").rglob("*") if path.is_file()}
    runtime = ROOT / "runtime"
    sources |= {path.relative_to(runtime).as_posix() for path in runtime.rglob("*") if path.is_file()}
    missing = {name for name in sources if "__pycache__" not in name} - set(wheel)
    assert not missing
    assert {"legoc/py.typed", "legoc_runtime/py.typed"} <= set(wheel)


def test_the_licence_ships(wheel: list[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel)
