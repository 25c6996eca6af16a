"""The page of a spec."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from legoc.diagnostics import SpecError
from legoc.report.page import render
from legoc.report.request import report_request
from legoc_runtime.errors import UsageError
from tests.report.reading import page_of
from tests.spec.test_pretrained import spec_text, unet

ROOT = Path(__file__).parents[2]
TINY = (ROOT / "examples" / "tiny.yaml").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, name: str = "tiny.yaml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def pictures(page: str) -> list[str]:
    return [base64.b64decode(data).decode() for data in re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', page)]


def test_the_summary_has_the_figures_of_legoc_cost() -> None:
    text = page_of(written(TINY)).text
    assert "tiny Two bricks on 32x32 emoji from tiny.yaml Parameters 281.6 k 2 bricks" in text
    assert "A forward pass 11.87 MMACs 23.75 MFLOPs, one image" in text
    assert "halfway saves 36.5% of sampling late saves 27.3% of sampling" in text


def test_every_value_says_where_it_was_written_and_links_there() -> None:
    page = page_of(written(TINY))
    line = next(i for i, text in enumerate(TINY.splitlines(), 1) if "id: windows" in text)
    assert f'<code>depth</code></th><td><code>1</code></td><td><a href="#f1-{line}" class="place">' in page.page
    assert f"tiny.yaml:{line}:" in page.text
    assert "mlp_ratio 4 default" in page.text
    assert '<tr class="default"><th scope="row"><code>mlp_ratio</code>' in page.page
    # the line itself stands in the page, at the place that the link names
    assert f'<span id="f1-{line}" class="line">  - {{id: windows, size: 8' in page.page


def test_values_of_a_base_and_of_the_command_line_say_so() -> None:
    written(TINY, "base.yaml")
    page = page_of(written("extends: base.yaml\nname: mine\n", "mine.yaml"), overrides=("sample.steps=9",))
    assert re.search(r"name mine mine\.yaml:2:7", page.text)
    assert re.search(r"carry x0 default", page.text)
    assert re.search(r"depth 2 base\.yaml:\d+:\d+", page.text)
    assert "steps 9 --set" in page.text
    assert {"f1-8", "f2-2"} <= {given.get("id") for given in page.all("span")}


def test_the_stack_and_a_timeline_of_every_policy_are_drawn() -> None:
    drawn = pictures(page_of(written(TINY)).page)
    assert ["graph" if "<title>tiny: 2 bricks" in svg else svg.split("policy ")[1].split(":")[0] for svg in drawn] == [
        "graph",
        "halfway",
        "late",
    ]
    assert all("prefers-color-scheme: dark" in svg for svg in drawn)


def test_a_policy_that_skips_nothing_has_no_timeline_unless_it_is_the_only_one() -> None:
    text = TINY.replace('skip_policies:\n  late: {image: "sigma < 0.3"}', "#")
    alone = text.replace("  - {id: windows, size: 8, receptive_field: 4, depth: 1, train_patches: 0.75}\n", "")
    drawn = pictures(page_of(written(alone)).page)
    assert len(drawn) == 2
    assert "policy none" in drawn[1]


def test_a_picture_is_described_for_those_who_do_not_see_it() -> None:
    alts = [image["alt"] or "" for image in page_of(written(TINY)).all("img")]
    assert "windows: 16 windows of 8×8 px" in alts[0]
    assert "image: 68.4% of the MACs of an evaluation, runs at 4 steps" in alts[1]


def test_warnings_are_told_with_code_place_and_help() -> None:
    text = TINY.replace('late: {image: "sigma < 0.3"}', 'late: {image: "sigma < 0.0001"}')
    page = page_of(written(text))
    assert "warning LG308" in page.text
    assert "tiny.yaml:12:" in page.text


def test_the_same_spec_gives_the_same_bytes() -> None:
    name = written(TINY)
    assert render(report_request([name]).page) == render(report_request([name]).page)


def test_a_spec_that_does_not_check_has_no_page() -> None:
    with pytest.raises(SpecError, match="LG"):
        report_request([written(TINY.replace("heads: 4", "heads: 5"))])


def test_set_is_for_one_spec() -> None:
    name = written(TINY)
    with pytest.raises(UsageError, match="comparison"):
        report_request([name, name], ["name=x"])
    with pytest.raises(UsageError, match="--set is for specs"):
        report_request(["."], ["name=x"])


HOSTILE = '</style><script>alert(1)</script><img src=http://x.example/ onerror=alert(1)>" onload="x \' & <b>'


def test_what_a_spec_says_is_text_and_nothing_else() -> None:
    text = TINY.replace("description: Two", f"description: '{HOSTILE.replace(chr(39), 2 * chr(39))}' #")
    plain, hostile = page_of(written(TINY)), page_of(written(text, "hostile.yaml"))
    assert [name for name, _ in hostile.elements] == [name for name, _ in plain.elements]
    assert "</style><script>alert(1)</script><img src=http://x.example/ onerror=alert(1)>" in hostile.text


def test_comments_and_names_of_files_are_text_too() -> None:
    name = "<img src=x>&.yaml"
    plain, hostile = page_of(written(TINY)), page_of(written(TINY.replace("# bottom", f"# {HOSTILE} "), name))
    assert [name for name, _ in hostile.elements] == [name for name, _ in plain.elements]
    assert hostile.all("title") == [{}]
    assert "<img src=x>&.yaml:" in hostile.text


def test_a_pretrained_brick_is_drawn_and_its_values_shown(tmp_path: Path) -> None:
    text = spec_text(unet(tmp_path / "unet"))
    page = page_of(written(text, "example.yaml"))
    assert page.all("img")
    assert "kind diffusers_unet example.yaml:7:" in page.text


def test_a_ddpm_stack_is_priced_and_drawn() -> None:
    page = page_of(written(TINY), overrides=("diffusion=ddpm", "sample.sampler=ddpm", "sample.steps=50"))
    assert "DDPM, 50 levels, 50 evaluations" in page.text
    assert len(pictures(page.page)) == 3


def test_timelines_and_tables_follow_an_interval_of_guidance() -> None:
    text = TINY.replace("sigma < 0.3", "not guided").replace("guidance: 2", "guidance: 2, guidance_interval: [0.3, 5]")
    page = page_of(written(text))
    assert "two rows at 4 of them (guidance), one at the others" in page.text
    (skipped,) = re.findall(r"late [\d.]+ M [\d.]+% [\d.]+% image in (\d) of 8", page.text)
    alt = next(image["alt"] or "" for image in page.all("img") if "policy late" in (image["alt"] or ""))
    assert f"runs at {8 - int(skipped)} steps" in alt
