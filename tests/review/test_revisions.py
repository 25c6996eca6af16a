"""States of real repositories: what is compared with what, and that each state is read from git alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from legoc.review.changes import name_of, values_of
from legoc.review.compare import Report
from legoc.review.render.github import render_github
from legoc.review.render.markdown import render_markdown
from legoc.review.render.sarif import render_sarif
from legoc.review.request import compare_request
from legoc_runtime.errors import UsageError
from tests.review.gallery import BASE, ONE
from tests.review.repository import Made

TINY = Path(__file__).parents[2] / "examples" / "tiny.yaml"
CHILD = "legoc: 1\nextends: base/size.yaml\nname: child\n" + BASE.split("description: Three bricks\n")[1].replace(
    "brick_defaults: {width: 32, heads: 4}\n", ""
)
SMALL, LARGE = "brick_defaults: {width: 32, heads: 4}\n", "brick_defaults: {width: 64, heads: 4}\n"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    made = Made(tmp_path / "repository")
    monkeypatch.chdir(made.root)
    return made


def keys(report: Report) -> list[tuple[str, str]]:
    return [(review.after.path, verdict.impact) for review in report.reviews for verdict in review.verdicts]


def test_a_base_is_read_from_its_own_revision(made: Made) -> None:
    made.commit(specs__child=CHILD, specs__base__size=SMALL)
    made.commit(specs__base__size=LARGE)
    made.write(specs__base__size="not: a base\n")  # what is there now must not matter
    report = compare_request(["HEAD~1..HEAD", "specs"])
    assert not report.unreadable
    assert [review.after.path for review in report.reviews] == ["specs/child.yaml"]
    (review,) = report.reviews
    assert review.impact == "breaks"
    written = {name_of(verdict.change): values_of(verdict.change)[1] for verdict in review.verdicts}
    span = written["bricks.windows.width"].span  # type: ignore[union-attr]
    assert span is not None
    assert (span.file.name, span.line) == ("specs/base/size.yaml", 1)
    # a reviewer of the spec alone would not find it
    (row,) = [line for line in render_markdown(report).splitlines() if "`bricks.windows.width 32 -> 64`" in line]
    assert row.endswith("; in `specs/base/size.yaml:1` |")
    assert compare_request(["HEAD", "specs"]).unreadable[0].label == "specs/child.yaml"


def test_three_dots_compare_with_where_histories_part(made: Made) -> None:
    made.commit(one=ONE)
    made.git("checkout", "-q", "-b", "feature")
    made.commit(one=ONE.replace("depth: 1", "depth: 2"))
    made.git("checkout", "-q", "main")
    made.commit(one=ONE + "sample: {steps: 9}\n")
    assert keys(compare_request(["main...feature"])) == [("one.yaml", "resumable")]
    assert keys(compare_request(["main..feature"])) == [("one.yaml", "resumable"), ("one.yaml", "sampling")]
    assert keys(compare_request(["main", "feature"])) == keys(compare_request(["main..feature"]))
    assert compare_request(["main...main"]).unchanged == 1
    made.git("checkout", "-q", "--orphan", "stranger")
    made.commit(one=BASE)
    with pytest.raises(UsageError, match="no common ancestor"):
        compare_request(["main...stranger"])


def test_renamed_added_and_removed_specs(made: Made) -> None:
    made.commit(specs__one=ONE, specs__small=BASE)
    made.commit(specs__one=None, specs__moved__uno=ONE.replace("depth: 1", "depth: 2"), specs__small=None)
    made.commit(specs__new=Path(TINY).read_text(encoding="utf-8"))
    report = compare_request(["HEAD~2..HEAD", "specs"])
    (moved,) = report.reviews
    assert (moved.before.path, moved.after.path, moved.is_moved) == ("specs/one.yaml", "specs/moved/uno.yaml", True)
    assert [side.path for side in report.removed] == ["specs/small.yaml"]
    assert [side.path for side in report.added] == ["specs/new.yaml"]
    # a spec that moved into or out of what is named is followed
    for paths in (["specs/moved"], ["specs/one.yaml"]):
        assert [review.after.path for review in compare_request(["HEAD~2..HEAD", *paths]).reviews] == [moved.after.path]


def test_a_rename_among_the_named_paths_comes_before_a_likelier_one_elsewhere(made: Made) -> None:
    made.commit(specs__one=ONE)
    made.commit(specs__one=None, specs__uno=ONE.replace("depth: 1", "depth: 2"), copy=ONE + "# a comment\n")
    for paths in (["specs"], ["specs/*.yaml"]):
        report = compare_request(["HEAD~..HEAD", *paths])
        assert [(found.before.path, found.after.path) for found in report.reviews] == [
            ("specs/one.yaml", "specs/uno.yaml")
        ]
        assert not report.added
    assert [found.after.path for found in compare_request(["HEAD~..HEAD"]).reviews] == ["copy.yaml"]


def test_the_working_tree_with_what_git_does_not_know_yet(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.commit(specs__one=ONE)
    made.write(specs__one=ONE + "# a comment\n", specs__small=BASE)
    (made.root / ".gitignore").write_text("ignored.yaml\n", encoding="utf-8")
    made.write(ignored=BASE)
    report = compare_request(["HEAD"])
    assert keys(report) == [("specs/one.yaml", "cosmetic")]
    assert [side.path for side in report.added] == ["specs/small.yaml"]
    monkeypatch.chdir(made.root / "specs")
    report = compare_request(["HEAD", "one.yaml"])
    assert [review.after.path for review in report.reviews] == ["one.yaml"]
    assert compare_request(["HEAD:./one.yaml", "one.yaml"]).reviews[0].impact == "cosmetic"
    assert compare_request(["HEAD:specs/one.yaml", "one.yaml"]).before == "HEAD:specs/one.yaml"


def test_equal_specs_are_not_checked_twice(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    made.commit(specs__child=CHILD, specs__base__size=SMALL)
    made.commit(one=ONE)
    checked: list[str] = []
    from legoc.review import sides

    def counted(text: str, name: str, *rest: object, **more: object) -> object:
        checked.append(name)
        return original(text, name, *rest, **more)  # type: ignore[arg-type]

    original = sides.check_text
    monkeypatch.setattr(sides, "check_text", counted)
    assert compare_request(["HEAD~1..HEAD", "specs"]).unchanged == 1
    assert checked == ["specs/child.yaml"]


def test_a_spec_that_no_longer_checks_is_never_no_change(made: Made) -> None:
    made.commit(one=ONE)
    made.commit(one=ONE.replace("heads: 4", "heads: 5"))
    for what in (["HEAD~1..HEAD"], ["HEAD..HEAD~1"], ["HEAD~1"], ["HEAD~1:one.yaml", "one.yaml"]):
        report = compare_request(what)
        assert report.unreadable[0].diagnostics[0].code == "LG203", what
        assert not report.reviews
    made.commit(one=ONE.replace("legoc: 1\n", ""))
    assert compare_request(["HEAD~2..HEAD"]).unreadable[0].diagnostics[0].code == "LG102"
    made.write(one="{legoc: 1, name: [")
    assert compare_request(["HEAD~2"]).unreadable[0].diagnostics[0].code == "LG004"


def test_errors_of_the_new_state_are_annotated_on_its_files(made: Made) -> None:
    made.commit(child=CHILD, base__size=SMALL)
    made.commit(child=CHILD, base__size=SMALL.replace("heads: 4", "heads: 5"))

    def place(*what: str) -> str:
        return render_github(compare_request(list(what))).partition(",")[0]

    assert place("HEAD~1", "HEAD") == place("HEAD~1:child.yaml", "HEAD:child.yaml") == "::error file=base/size.yaml"
    assert "HEAD" not in render_sarif(compare_request(["HEAD~1..HEAD"]))
    assert place("HEAD", "HEAD~1") == "::error file=HEAD%3Abase/size.yaml"  # no line of the new state


def test_a_base_outside_of_the_repository_is_not_read(made: Made) -> None:
    (made.root.parent / "size.yaml").write_text(SMALL, encoding="utf-8")
    made.commit(child=CHILD.replace("base/size.yaml", "../size.yaml"))
    report = compare_request(["HEAD..HEAD"])
    assert report.unreadable[0].diagnostics[0].code == "LG601"
    made.commit(child=CHILD.replace("base/size.yaml", str(made.root.parent / "size.yaml")))
    assert compare_request(["HEAD..HEAD"]).unreadable[0].diagnostics[0].code == "LG601"


def test_links_are_followed_within_a_revision(made: Made) -> None:
    made.commit(specs__child=CHILD, specs__base__real=SMALL)
    (made.root / "specs/base/size.yaml").symlink_to("real.yaml")
    made.commit()
    made.commit(specs__base__real=LARGE)
    assert keys(compare_request(["HEAD~1..HEAD"]))[0] == ("specs/child.yaml", "breaks")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (["nowhere"], "there is no revision `nowhere`"),
        (["--output=x"], "there is no revision"),
        (["HEAD", "nothing.yaml"], "there is no spec at `nothing.yaml`"),
        (["HEAD", "one.yaml", "-o"], "there is no spec at `-o`"),
        (["one.yaml"], "one thing to compare"),
        (["one.yaml", "one.yaml", "one.yaml"], "3 things to compare"),
        (["-", "-"], "both sides cannot be standard input"),
    ],
)
def test_bad_requests_say_what_is_wrong(made: Made, what: list[str], message: str) -> None:
    made.commit(one=ONE)
    with pytest.raises(UsageError, match=message):
        compare_request(what)
    assert sorted(path.name for path in made.root.iterdir()) == [".git", "one.yaml"]


def test_outside_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match=r"there is nothing at main...HEAD, .* is in no working tree of git"):
        compare_request(["main...HEAD"])


def test_a_revision_without_such_a_file_cannot_be_read(made: Made) -> None:
    made.commit(one=ONE)
    report = compare_request(["HEAD:none.yaml", "one.yaml"])
    assert "there is no such file in HEAD" in report.unreadable[0].diagnostics[0].message
    assert "no revision `nope`" in compare_request(["nope:one.yaml", "one.yaml"]).unreadable[0].diagnostics[0].message
