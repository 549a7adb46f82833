"""A page for each rule, from the docstring of the function that checks it."""

from __future__ import annotations

from picks.check.faults import ERROR, Rule
from picks.check.rules import rules

_LEVELS = {ERROR: "An error: the check fails.", "hint": "A hint: the check passes all the same."}


def rule_pages() -> dict[str, str]:
    """The pages of all rules by id, in Markdown."""
    return {rule.id: page(rule) for rule in rules().values()}


def page(rule: Rule) -> str:
    """What a rule finds, why that matters and how to mend it, in Markdown."""
    parts = [
        f"# {rule.id}",
        f"{_sentence(rule.what)}",
        f"**Why it matters.** {_sentence(rule.why)}",
        f"**How to mend it.** {_sentence(rule.mend)}",
        rule.more,
        f"{_LEVELS[rule.level]} The rule is a function of `tools/picks/check/rules/{rule.module}.py`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
