"""The language: text to a resolved, checked spec.

    text --compose--> tree --extends, --set--> LocatedTree --load--> written model
         --rules, predicates, policies--> resolve --> StackSpec

takes: a file or its text
gives: StackSpec, or diagnostics for everything that is wrong with it
may import: `legoc.source`, `legoc.diagnostics`, `legoc.codes`, `legoc_runtime.contract`, pydantic_core, ruamel;
    pydantic where the models are, which no check imports; never torch
"""

from legoc.spec.canonical import resolved_yaml
from legoc.spec.check import CheckResult, check_file, check_text, load_spec
from legoc.spec.resolved import StackSpec

__all__ = ["CheckResult", "StackSpec", "check_file", "check_text", "load_spec", "resolved_yaml"]
