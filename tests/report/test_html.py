"""Text is escaped by construction."""

from __future__ import annotations

from legoc.report.html import Html, escaped, joined, paragraphs, tag


def test_text_is_escaped_and_html_is_not() -> None:
    assert tag("p", "<b> & \"'", tag("b", "x")) == "<p>&lt;b&gt; &amp; &quot;&#x27;<b>x</b></p>"


def test_html_that_was_joined_as_text_is_escaped_again() -> None:
    assert tag("p", "a " + tag("b", "x")) == "<p>a &lt;b&gt;x&lt;/b&gt;</p>"


def test_attributes_cannot_be_left() -> None:
    assert tag("a", href='"><script>', class_=None) == '<a href="&quot;&gt;&lt;script&gt;"></a>'


def test_what_misleads_readers_is_shown_by_number() -> None:
    assert escaped("a\u202eb\x00") == "a&lt;U+202E&gt;b&lt;U+0000&gt;"


def test_pieces_are_joined_and_none_is_left_out() -> None:
    assert joined(["<", None, Html("<br>")], "&") == "&lt;&amp;<br>"


def test_an_empty_line_ends_a_paragraph() -> None:
    assert paragraphs("one\ntwo\n\nthree <") == "<p>one two</p><p>three &lt;</p>"
