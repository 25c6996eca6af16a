"""The comment: written once, found again, never a second one; and what the API may answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from legoc.github.api import MAX_PAGES, Api, ApiError
from legoc.github.comment import Pull, Written, write_comment
from legoc.github.page import marker
from legoc.review.render.markdown import MARKER
from legoc_runtime.errors import UsageError
from tests.github.fake_api import REPOSITORY, Account, FakeApi, Reply

PULL = Pull(REPOSITORY, 7)
PERSON = {"login": "someone", "type": "User"}
LIMITED = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}


@pytest.fixture
def fake() -> Iterator[FakeApi]:
    with FakeApi() as fake:
        yield fake


def write(
    fake: FakeApi, text: str, token: str = "ghs_workflow", *, create: bool = True, waits: list[float] | None = None
) -> Written:
    api = Api(fake.address, token, sleep=(waits if waits is not None else []).append)
    sizes = (100_000, 1_000)
    return write_comment(api, PULL, MARKER, lambda most: f"{MARKER}\n{text}"[:most], sizes, create=create)


def test_it_is_written_once_and_then_updated(fake: FakeApi) -> None:
    fake.says("Nice!", PERSON)
    first = write(fake, "one")
    assert (first.how, first.address) == ("created", f"https://github.com/{REPOSITORY}/pull/7#issuecomment-1001")
    assert write(fake, "two").how == "updated"
    assert write(fake, "two").how == "same"
    assert fake.bodies() == ["Nice!", f"{MARKER}\ntwo"]
    assert [call.split()[0] for call in fake.calls] == ["GET", "POST", "GET", "PATCH", "GET"]


def test_it_is_found_on_a_later_page(fake: FakeApi) -> None:
    fake.page = 2
    for number in range(5):
        fake.says(f"{number}", PERSON)
    write(fake, "one")
    assert write(fake, "two").how == "updated"
    assert fake.bodies()[5:] == [f"{MARKER}\ntwo"]


def test_where_nothing_is_to_be_said_none_is_made_but_one_is_kept_true(fake: FakeApi) -> None:
    assert write(fake, "no changes", create=False).how == "none"
    assert fake.comments == []
    write(fake, "breaks")
    assert write(fake, "no changes", create=False).how == "updated"


def test_a_persons_copy_or_quotation_stays_as_it_is(fake: FakeApi) -> None:
    fake.says(f"{MARKER}\na copy", PERSON)
    fake.says(f"> {MARKER}\n> a quotation")
    fake.says(f"I saw {MARKER}", PERSON)
    assert write(fake, "ours").how == "created"
    assert fake.bodies()[:3] == [f"{MARKER}\na copy", f"> {MARKER}\n> a quotation", f"I saw {MARKER}"]
    assert write(fake, "again").how == "updated"
    assert len(fake.comments) == 4


def test_a_persons_own_token_finds_that_persons_comment(fake: FakeApi) -> None:
    fake.accounts["ghp_person"] = Account(PERSON)
    fake.says(f"{MARKER}\nanother's", {"login": "other", "type": "User"})
    assert write(fake, "one", "ghp_person").how == "created"
    assert write(fake, "two", "ghp_person").how == "updated"
    assert fake.bodies() == [f"{MARKER}\nanother's", f"{MARKER}\ntwo"]


def test_one_that_people_edited_is_written_over_and_one_without_its_first_line_is_theirs(fake: FakeApi) -> None:
    write(fake, "one")
    fake.comments[0]["body"] = f"{MARKER}\r\nedited in a browser\r\n"
    assert write(fake, "one").how == "updated"
    fake.comments[0]["body"] = f"{MARKER}\r\none\r\n"
    assert write(fake, "one").how == "same"
    fake.comments[0]["body"] = "all mine now"
    assert write(fake, "one").how == "created"
    assert fake.bodies() == ["all mine now", f"{MARKER}\none"]


def test_one_that_is_deleted_between_two_calls_is_written_anew(fake: FakeApi) -> None:
    fake.says("first", PERSON)
    comment = fake.says(f"{MARKER}\nold")
    api = Api(fake.address, "ghs_workflow")

    def render(most: int) -> str:
        if comment in fake.comments:  # somebody deletes it after it was listed
            fake.comments.remove(comment)
        return f"{MARKER}\nnew"

    assert write_comment(api, PULL, MARKER, render, (100,), create=True).how == "created"
    assert fake.bodies() == ["first", f"{MARKER}\nnew"]


def test_copies_of_runs_that_ran_at_once_are_removed(fake: FakeApi) -> None:
    for text in ("one", "two", "three"):
        fake.says(f"{MARKER}\n{text}")
    assert write(fake, "four").how == "updated"
    assert fake.bodies() == [f"{MARKER}\nfour"]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_post_that_was_done_without_an_answer_makes_no_second_comment(fake: FakeApi, status: int) -> None:
    fake.replies.append(Reply("POST", status, b"<html>Unicorn!</html>", does=True))
    assert write(fake, "one").how == "same"
    assert len(fake.comments) == 1
    fake.comments.clear()
    fake.replies.append(Reply("POST", status, b"<html>Unicorn!</html>", does=False))
    assert write(fake, "one").how == "created"
    assert len(fake.comments) == 1


def test_what_harms_nobody_is_repeated(fake: FakeApi) -> None:
    waits: list[float] = []
    fake.says(f"{MARKER}\nold")
    fake.replies += [Reply("GET", 502), Reply("GET", 500), Reply("PATCH", 503)]
    assert write(fake, "one", waits=waits).how == "updated"
    assert waits == [1, 2, 1]
    fake.replies += [Reply("GET", 502)] * 3
    with pytest.raises(ApiError, match="the server answered 502"):
        write(fake, "one")


@pytest.mark.parametrize(
    ("status", "headers", "body", "waits"),
    [
        (403, {"retry-after": "7"}, LIMITED, [7]),
        (429, {"retry-after": "3"}, None, [3]),
        (403, {}, LIMITED, [10]),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1"}, {"message": "API rate limit exceeded"}, [0]),
    ],
)
def test_a_rate_limit_is_waited_for(
    fake: FakeApi, status: int, headers: dict[str, str], body: object, waits: list[float]
) -> None:
    slept: list[float] = []
    fake.replies.append(Reply("POST", status, body, headers))
    assert write(fake, "one", waits=slept).how == "created"
    assert slept == waits


def test_a_rate_limit_of_an_hour_is_not_waited_for(fake: FakeApi) -> None:
    fake.replies.append(Reply("GET", 403, LIMITED, {"retry-after": "3600"}))
    with pytest.raises(ApiError, match="403: You have exceeded a secondary rate limit"):
        write(fake, "one")


def test_a_text_that_is_too_long_is_written_shorter(fake: FakeApi) -> None:
    assert write(fake, "x" * 70_000).how == "created"
    assert len(fake.bodies()[0]) == 1_000
    fake.comments.clear()
    fake.max_body = 10
    with pytest.raises(ApiError, match="422: Validation Failed: Body is too long"):
        write(fake, "x" * 70_000)


def test_refusals_are_told_and_never_with_the_token(fake: FakeApi) -> None:
    with pytest.raises(ApiError, match="403: Resource not accessible by integration") as refused:
        write(fake, "one", "ghs_fork")
    assert refused.value.status == 403
    for token in ("ghs_unknown", "ghs_secret\nX-Evil: 1", "", "ghs_sécret"):
        with pytest.raises(ApiError) as refused:
            write(fake, "one", token)
        assert "ghs_" not in str(refused.value)
    fake.replies.append(Reply("GET", 200, b"<html>a proxy's own page</html>"))
    with pytest.raises(ApiError, match="no JSON"):
        write(fake, "one")


@pytest.mark.parametrize("address", ["http://api.example.org", "ftp://127.0.0.1", "file:///etc", "api.example.org"])
def test_the_token_goes_to_https_alone(address: str) -> None:
    with pytest.raises(ApiError, match="not https"):
        Api(address, "ghs_workflow")


def test_the_token_goes_to_no_other_server(fake: FakeApi) -> None:
    api = Api(fake.address, "ghs_workflow")
    with FakeApi() as other:
        fake.replies.append(Reply("GET", 301, None, {"Location": f"{other.address}/user"}))
        with pytest.raises(ApiError, match="refers to another"):
            api.call("GET", "/user")
        fake.replies.append(Reply("GET", 200, [], {"Link": f'<{other.address}/x>; rel="next"'}))
        with pytest.raises(ApiError, match="refers to another"):
            list(api.pages("/x"))
        assert other.calls == []


def test_a_repository_that_was_renamed_is_followed(fake: FakeApi) -> None:
    fake.replies.append(Reply("POST", 307, None, {"Location": f"/repos/{REPOSITORY}/issues/7/comments"}))
    api = Api(fake.address, "ghs_workflow")
    api.call("POST", "/repositories/1/issues/7/comments", {"body": "hello"})
    assert fake.bodies() == ["hello"]
    fake.replies += [Reply("GET", 302, {"message": "x"}, {"Location": "/again"})] * 4
    with pytest.raises(ApiError, match="302"):
        api.call("GET", "/again")


def test_pages_end(fake: FakeApi) -> None:
    fake.replies += [Reply("GET", 200, [], {"Link": '</again>; rel="next"'})] * MAX_PAGES
    with pytest.raises(ApiError, match="more than 100 pages"):
        list(Api(fake.address, "ghs_workflow").pages("/again"))


def test_a_server_that_is_down_is_told(fake: FakeApi) -> None:
    waits: list[float] = []
    with FakeApi() as gone:
        address = gone.address
    with pytest.raises(ApiError, match="no answer: "):
        Api(address, "ghs_workflow", sleep=waits.append).call("GET", "/user")
    assert waits == [1, 2]


def test_names_tell_comments_apart(fake: FakeApi) -> None:
    assert marker("") == MARKER
    assert marker("small-stacks") == "<!-- legoc-diff small-stacks -->"
    for name in ("-->", "a b", "a--b", "-a", "x" * 101, "a\nb"):
        with pytest.raises(UsageError, match="no name for a comment"):
            marker(name)
    api = Api(fake.address, "ghs_workflow")
    for first in (marker(""), marker("small"), marker("large"), marker("small")):
        write_comment(api, PULL, first, lambda most, first=first: f"{first}\ntext", (100,), create=True)
    assert len(fake.comments) == 3
