"""SVG elements that the pictures share: text, lines, boxes, paths, and the document around them."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from xml.etree.ElementTree import Element, SubElement


def document(width: float, height: float, *, title: str, description: str, style: str) -> Element:
    """An empty picture with a page behind it.

    Args:
        width: in pixels.
        height: in pixels.
        title: its name, for screen readers and tooltips.
        description: what it shows, for those who do not see it.
        style: CSS; the page is the class `page`.
    """
    size = {"width": f"{width:g}", "height": f"{height:g}", "viewBox": f"0 0 {width:g} {height:g}"}
    svg = Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img"})
    SubElement(svg, "title").text = title
    SubElement(svg, "desc").text = description
    SubElement(svg, "style").text = style
    SubElement(svg, "rect", {"class": "page", "width": f"{width:g}", "height": f"{height:g}", "rx": "6"})
    return svg


def serialise(svg: Element) -> str:
    """The picture's text, one element a line, ends with a newline; the same for the same picture."""
    ElementTree.indent(svg, " ")
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def group(parent: Element, x: float, y: float) -> Element:
    """A part of the picture with coordinates of its own, whose origin is at a point."""
    return SubElement(parent, "g", {"transform": f"translate({x:g} {y:g})"})


def text(parent: Element, x: float, y: float, words: str, kind: str = "", *, anchor: str = "start") -> None:
    """A line of text whose baseline starts, ends or has its middle (`anchor`) at a point."""
    attributes = {"x": f"{x:.2f}", "y": f"{y:.2f}", "text-anchor": anchor}
    SubElement(parent, "text", attributes | ({"class": kind} if kind else {})).text = words


def line(parent: Element, kind: str, x1: float, y1: float, x2: float, y2: float) -> None:
    """A straight line."""
    ends = {"x1": f"{x1:.2f}", "y1": f"{y1:.2f}", "x2": f"{x2:.2f}", "y2": f"{y2:.2f}"}
    SubElement(parent, "line", {"class": kind, **ends})


def box(parent: Element, kind: str, x: float, y: float, width: float, height: float, *, radius: float = 0) -> None:
    """A rectangle, with rounded corners where `radius` is not 0."""
    place = {"x": f"{x:.2f}", "y": f"{y:.2f}", "width": f"{width:.2f}", "height": f"{height:.2f}"}
    SubElement(parent, "rect", {"class": kind, **place} | ({"rx": f"{radius:g}"} if radius else {}))


def path(parent: Element, kind: str, commands: str) -> None:
    """A path."""
    SubElement(parent, "path", {"class": kind, "d": commands})
