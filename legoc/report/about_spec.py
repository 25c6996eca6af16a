"""A spec: what checking it found, every value with the place that says it, and the files themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from legoc.diagnostics import Diagnostic
from legoc.hashes import spec_hashes
from legoc.render.lines import counted
from legoc.report.html import Html, joined, paragraphs, tag
from legoc.report.parts import Section, captioned, code, facts, prose
from legoc.review.sides import Side
from legoc.source import SourceFile, Span
from legoc.spec.origins import Origin, origins

HEADS = ("key", "value", "written at")


@dataclass(frozen=True)
class Sources:
    """The files that say the values of a spec, in order of first use; each line has a place in the page."""

    files: tuple[SourceFile, ...]

    @classmethod
    def of(cls, found: Sequence[Origin]) -> Sources:
        """The files behind the values."""
        spans = (origin.span for origin in found if origin.kind == "file")
        return cls(tuple({span.file.name: span.file for span in spans if span is not None}.values()))

    def place(self, span: Span) -> Html:
        """A place, with a link to its line where the page has the file."""
        for i, file in enumerate(self.files):
            if file.name == span.file.name:
                return tag("a", str(span), href=f"#{line_anchor(i, span.line)}", class_="place")
        return tag("span", str(span), class_="place")


def line_anchor(file: int, line: int) -> str:
    """The name of a line's place in the page."""
    return f"f{file + 1}-{line}"


def spec_sections(side: Side) -> Iterator[Section]:
    """Every value with its origin; the files."""
    found = origins(side.spec)
    sources = Sources.of(found)
    body = (_counts(found), _values(found, sources), tag("h3", "Hashes"), facts(asdict(spec_hashes(side.spec)).items()))
    yield Section("values", "Values and where they come from", joined(body))
    if sources.files:
        title = "The file" if len(sources.files) == 1 else "The files"
        listings = joined(_listing(file, i) for i, file in enumerate(sources.files))
        yield Section("files", title, listings)


def warnings(side: Side) -> Html:
    """What checking the spec found, or nothing."""
    return problems(side.warnings) if side.warnings else Html()


def problems(diagnostics: Sequence[Diagnostic]) -> Html:
    """Diagnostics as a list: code, sentence, place, what to do."""
    return tag("ul", *(_problem(diagnostic) for diagnostic in diagnostics), class_="problems")


def described(side: Side) -> Html:
    """The spec's own words on itself."""
    text = side.spec.description
    return tag("div", paragraphs(text), class_="description") if text and text.strip() else Html()


def _problem(found: Diagnostic) -> Html:
    place = tag("span", str(found.primary.span), class_="place") if found.primary else None
    help = tag("span", "help: ", prose(found.help), class_="help") if found.help else None
    head = tag("span", f"{found.severity} {found.code}", class_=f"badge {found.severity}")
    return tag("li", head, " ", tag("span", prose(found.message)), " ", place, " ", help)


def _counts(found: Sequence[Origin]) -> Html:
    """How many values were said, and how many are the language's."""
    written = sum(origin.kind == "file" for origin in found)
    given = sum(origin.kind == "set" for origin in found)
    words = [f"{counted(written, 'value')} written", f"{given} by --set" if given else ""]
    words.append(f"{len(found) - written - given} of the language's defaults")
    return tag("p", ", ".join(filter(None, words)) + ".", class_="sub")


def _values(found: Sequence[Origin], sources: Sources) -> Html:
    by_group: dict[str, list[Origin]] = {}
    for origin in found:
        by_group.setdefault(_group(origin), []).append(origin)
    groups = [
        tag(
            "tbody",
            tag("tr", tag("th", name, colspan=len(HEADS), scope="rowgroup"), class_="group"),
            *(_value(origin, name, sources) for origin in group),
        )
        for name, group in by_group.items()
    ]
    head = tag("thead", tag("tr", *(tag("th", text, scope="col") for text in HEADS)))
    caption = "Every value of the spec, resolved, and the place that says it"
    return captioned(tag("table", head, *groups, class_="values"), caption)


def _group(origin: Origin) -> str:
    first, *rest = origin.path.split(".")
    return f"bricks.{rest[0]}" if first == "bricks" and rest else first if rest else "stack"


def _value(origin: Origin, group: str, sources: Sources) -> Html:
    said = sources.place(origin.span) if origin.kind == "file" and origin.span else tag("span", str(origin))
    return tag(
        "tr",
        tag("th", code(origin.path.removeprefix(f"{group}.")), scope="row"),
        tag("td", code(origin.text)),
        tag("td", said),
        class_=origin.kind,
    )


def _listing(file: SourceFile, number: int) -> Html:
    lines = [
        joined([tag("span", file.line(line), id=line_anchor(number, line), class_="line"), Html("\n")])
        for line in range(1, len(file.line_starts) + (not file.text.endswith("\n")))
    ]
    listing = tag("pre", *lines, class_="source", tabindex=0, aria_label=f"Text of {file.name}")
    return tag("figure", tag("figcaption", code(file.name)), listing, class_="listing")
