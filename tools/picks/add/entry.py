"""A new entry: its facts filled in, its prose left as TODOs, which `tools/check` points at."""

from __future__ import annotations

from datetime import date

from picks.add.facts import Facts
from picks.add.layout import lines_of, order
from picks.ids import is_arxiv

_TODO = {
    "published": ['published: "TODO – the day of the first version, like 2024-12-16"'],
    "summary": [
        "summary: >-",
        "  TODO – what was asked, what was done and what was found, in two to five sentences of your own, with the",
        "  numbers that matter",
    ],
    "finding": ["finding: TODO – the main result in one sentence, with its number and where it stands (Table 2)"],
    "why": ["why: TODO – in one line, why somebody should read this"],
    "tags": ["tags: [TODO]"],
    "kind": ["kind: TODO"],
    "models": ["models: [TODO]"],
    "data": ["data: [TODO]"],
    "builds_on": ["builds_on: {}"],
    "read": ["read:", "  version: TODO – what you read, and how much of it, like arXiv v2"],
    "not_reproduced": ["not_reproduced: TODO – in one line, why there is no notebook, or that one is planned"],
}
_OF_ARXIV = {"category": ["category: TODO"]}


def new_entry(facts: Facts, picked: date) -> str:
    """The text of an entry, in the layout of this house."""
    todo = _TODO | {"picked": [f'picked: "{picked}"']} | (_OF_ARXIV if is_arxiv(facts.id) else {})
    lines = [line for key in order() for line in _known(key, facts) or todo.get(key, [])]
    return "\n".join(lines) + "\n"


def _known(key: str, facts: Facts) -> list[str]:
    """The lines of a key with all that is known under it."""
    lines = [line for keys, value in facts.known() if keys[0] == key for line in lines_of(keys, value)]
    return [line for index, line in enumerate(lines) if index == 0 or line != f"{key}:"]
