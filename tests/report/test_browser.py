"""Reports in a real browser: nothing is asked for, nothing is said, nothing sticks out, in both themes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from legoc.report.page import render
from legoc.report.request import report_request
from tests.report.chromium import Browser
from tests.report.runs import png, write_run, write_samples
from tests.report.test_diff_page import CHANGED
from tests.report.test_spec_page import HOSTILE, TINY

pytestmark = pytest.mark.browser

Theme = Literal["light", "dark"]
LONG = "a" * 200
SPECS = Path(__file__).parents[2] / "specs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of every kind, with words that are long and words that are hostile."""
    root = tmp_path_factory.mktemp("pages")
    hostile = TINY.replace("description: Two", f"description: '{HOSTILE.replace(chr(39), '')} {LONG}' #")
    for name, text in (("tiny", TINY), ("changed", CHANGED), ("hostile", hostile)):
        (root / f"{name}.yaml").write_text(text, encoding="utf-8")
    run = write_run(root / "work" / "run", TINY)
    for policy in ("late", "halfway"):
        write_samples(run / "samples" / policy, run, grid=png(1100, 40))
    for name, what in (
        ("spec", [SPECS / "lego_u_xl.yaml"]),
        ("hostile", [root / "hostile.yaml"]),
        ("run", [run]),
        ("diff", [root / "tiny.yaml", root / "changed.yaml"]),
    ):
        page = render(report_request([str(path) for path in what]).page)
        (root / f"{name}.html").write_text(page, encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser") / "profile") as found:
        yield found


def told(browser: Browser, *methods: str) -> list[dict[str, Any]]:
    return [event["params"] for event in browser.events if event["method"] in methods]


@pytest.mark.parametrize("name", ["spec", "hostile", "run", "diff"])
def test_a_page_asks_for_nothing_and_complains_of_nothing(browser: Browser, folder: Path, name: str) -> None:
    browser.open(folder / f"{name}.html", width=1200, theme="light")
    browser.value("document.querySelectorAll('details').forEach(d => d.open = true)")
    asked = [event["request"]["url"][:40] for event in told(browser, "Network.requestWillBeSent")]
    assert [url for url in asked if not url.startswith(("file:", "data:image/"))] == []
    assert sum(url.startswith("file:") for url in asked) == 1
    assert told(browser, "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
    # every image was drawn, whatever the policy of the page
    assert browser.value("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert browser.value("document.images.length") > 0


@pytest.mark.parametrize("width", [360, 768, 1600])
@pytest.mark.parametrize("name", ["spec", "hostile", "run", "diff"])
def test_nothing_sticks_out(browser: Browser, folder: Path, name: str, width: int) -> None:
    browser.open(folder / f"{name}.html", width=width, theme="light")
    browser.value("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.value("document.documentElement.scrollWidth") == width
    # what is wider than the page scrolls by itself, and can be reached by keyboard
    outside = """[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
        && !e.closest('[tabindex="0"]')).map(e => e.outerHTML.slice(0, 80))"""
    assert browser.value(outside) == []


@pytest.mark.parametrize("name", ["spec", "run"])
def test_a_narrow_page_scrolls_words_in_tables_before_it_squeezes_them(
    browser: Browser, folder: Path, name: str
) -> None:
    browser.open(folder / f"{name}.html", width=390, theme="light")
    widths = browser.value("[...document.querySelectorAll('td .wrapped')].map(e => e.clientWidth)")
    assert widths
    assert min(widths) >= 200


def test_every_column_of_a_comparison_fits_a_telephone(browser: Browser, folder: Path) -> None:
    browser.open(folder / "diff.html", width=390, theme="light")
    tables = """[...document.querySelectorAll('table')].filter(t => t.tHead.innerText.includes('change'))
        .map(t => t.getBoundingClientRect().right <= t.closest('.scroll').getBoundingClientRect().right + 1)"""
    assert (fits := browser.value(tables))
    assert all(fits)


def colour(browser: Browser, selector: str, key: str) -> str:
    return browser.value(f"getComputedStyle(document.querySelector('{selector}'))['{key}']")


def test_dark_and_light_pages_differ_in_ground_text_and_pictures(browser: Browser, folder: Path) -> None:
    seen: dict[str, tuple[str, str, str]] = {}
    for theme in ("light", "dark"):
        browser.open(folder / "diff.html", width=1000, theme=theme)
        ground, text = colour(browser, "body", "backgroundColor"), colour(browser, "h1", "color")
        browser.value("document.querySelector('.drawing').scrollIntoView()")
        seen[theme] = (ground, text, browser.picture())
    (light_ground, light_text, light), (dark_ground, dark_text, dark) = seen["light"], seen["dark"]
    assert brightness(light_ground) > 200 > 60 > brightness(dark_ground)
    assert brightness(light_text) < 60 < 200 < brightness(dark_text)
    assert light != dark


def drawn_ground(browser: Browser) -> str:
    """The colour at the edge of the first picture, which is an image of its own and is asked for its page's theme."""
    pixel = browser.value(
        """(() => { const image = document.querySelector('.drawing img'), canvas = document.createElement('canvas')
        canvas.width = image.width; canvas.height = image.height
        const context = canvas.getContext('2d'); context.drawImage(image, 0, 0)
        return [...context.getImageData(8, image.height / 2 | 0, 1, 1).data].slice(0, 3).join(', ') })()"""
    )
    return f"rgb({pixel})"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_follow_the_theme_of_the_page(browser: Browser, folder: Path, theme: Theme) -> None:
    browser.open(folder / "spec.html", width=1000, theme=theme)
    assert drawn_ground(browser) == colour(browser, ".lead", "backgroundColor")


def test_what_a_spec_says_runs_nothing(browser: Browser, folder: Path) -> None:
    browser.open(folder / "hostile.html", width=1000, theme="light")
    assert browser.value("document.scripts.length") == 0
    assert "<script>alert(1)</script>" in browser.value("document.body.innerText")
    # even what somebody writes into the page later is stopped by its policy
    browser.events.clear()
    late = "const s = document.createElement('script'); s.textContent = 'window.hit = 1'; document.body.append(s)"
    browser.value(f"(() => {{ {late}; document.body.setAttribute('style', 'color: red') }})()")
    assert browser.value("window.hit === undefined && getComputedStyle(document.body).color !== 'rgb(255, 0, 0)'")


def test_an_origin_leads_to_its_line(browser: Browser, folder: Path) -> None:
    browser.open(folder / "hostile.html", width=1000, theme="light")
    browser.value("document.querySelector('.values a.place').click()")
    line = browser.value("document.querySelector('.line:target').textContent")
    assert line == "legoc: 1"


def test_a_printed_page_shows_everything_that_scrolls_on_a_screen(browser: Browser, folder: Path) -> None:
    browser.open(folder / "run.html", width=700, theme="light", medium="print")
    assert browser.value("[...document.querySelectorAll('.source')].every(e => e.scrollHeight <= e.clientHeight + 1)")
    assert colour(browser, "nav", "display") == "none"


def test_paper_is_white_whatever_the_screen_is(browser: Browser, folder: Path) -> None:
    browser.open(folder / "spec.html", width=700, theme="dark", medium="print")
    white = "rgb(255, 255, 255)"
    assert colour(browser, "body", "backgroundColor") == colour(browser, ".card", "backgroundColor") == white
    assert brightness(colour(browser, ".card .value", "color")) < 60
    assert drawn_ground(browser) == white


def brightness(rgb: str) -> float:
    """The mean of the channels of `rgb(r, g, b)`."""
    return sum(map(int, re.findall(r"\d+", rgb)[:3])) / 3
