"""A policy into the text of a spec: everything else stays as it is, byte for byte, comments too."""

from __future__ import annotations

import re
from collections.abc import Mapping

from legoc.diagnostics import Diagnostic
from legoc.policies.predicates import policy_of
from legoc.spec import check_text
from legoc_runtime.errors import UsageError

MEASURED = ("LG309", "LG311")
"""Doubts that a search has an answer to: bricks that go together, and a bottom brick that is left out."""

_BLOCK = re.compile(r"^skip_policies:[ \t]*(#.*)?$", re.MULTILINE)
_FLOW = re.compile(r"^skip_policies:[ \t]*\{", re.MULTILINE)
_INDENT = re.compile(r"\n([ ]+)[^\s#]")


def policy_yaml(name: str, predicates: Mapping[str, str]) -> str:
    """A policy as an entry of `skip_policies`, on one line."""
    skips = ", ".join(f'{brick}: "{text}"' for brick, text in predicates.items())
    return f"{name}: {{{skips}}}"


def with_policy(text: str, where: str, name: str, predicates: Mapping[str, str]) -> str:
    """The text of a spec with one more policy.

    Args:
        text: the spec.
        where: how messages call it.
        name: the policy's name.
        predicates: brick -> predicate.

    Raises:
        UsageError: the spec has a policy of that name, does not check, or is laid out in a way that this does not edit.
    """
    before = check_text(text, where).spec
    entry = policy_yaml(name, predicates)
    if before is None:
        raise UsageError(f"{where} does not check, so nothing was written to it", help=f"see `legoc check {where}`")
    if name in before.policies:
        raise UsageError(f"{where} has a policy `{name}` already", help="choose another --name, or remove it there")
    after = _inserted(text, entry)
    after = _vouched_for(after, where, entry, name)
    spec = check_text(after, where).spec
    wanted = {known: dict(policy.skips) for known, policy in before.policies.items()}
    wanted[name] = dict(policy_of(name, predicates).skips)
    found = {} if spec is None else {known: dict(policy.skips) for known, policy in spec.policies.items()}
    if spec is None or found != wanted or spec.shape != before.shape:
        raise UsageError(
            f"the policy could not be written into {where}", help=f"add it under `skip_policies:`: {entry}"
        )
    return after


def _vouched_for(text: str, where: str, entry: str, name: str) -> str:
    """The text with a comment above the entry for what its check doubts and a search measured, where it has a line."""
    codes = sorted({finding.code for finding in check_text(text, where).diagnostics if _is_answered(finding, name)})
    line = re.search(rf"^([ ]+){re.escape(entry)}$", text, re.MULTILINE)
    if not codes or line is None:
        return text
    comment = f"{line[1]}# legoc: ignore[{', '.join(codes)}] measured by `legoc policy search`\n"
    return f"{text[: line.start()]}{comment}{text[line.start() :]}"


def _is_answered(finding: Diagnostic, name: str) -> bool:
    return finding.code in MEASURED and f"policy `{name}`" in finding.message


def _inserted(text: str, entry: str) -> str:
    if block := _BLOCK.search(text):
        indent = _INDENT.match(re.sub(r"^(\s*\n|\s*#[^\n]*\n)*", "\n", text[block.end() + 1 :]))
        return f"{text[: block.end()]}\n{indent[1] if indent else '  '}{entry}{text[block.end() :]}"
    if flow := _FLOW.search(text):
        rest = text[flow.end() :]
        return f"{text[: flow.end()]}{entry}{'' if rest.lstrip().startswith('}') else ', '}{rest}"
    return f"{text}{'' if text.endswith(chr(10)) else chr(10)}skip_policies:\n  {entry}\n"
