"""The canonical layout of a spec: `legoc fmt`. Comments keep their places, values their meaning.

    text --read--> Document: entries with their comments --write--> text --compare--> the same values and comments

takes: the text of a spec
gives: the text laid out anew, or a SpecError
may import: `legoc.spec`, `legoc.source`, `legoc.diagnostics`, `legoc_runtime.errors`
"""

from legoc.fmt.format import format_text

__all__ = ["format_text"]
