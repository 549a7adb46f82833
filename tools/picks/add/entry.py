"""A new entry: its facts filled in, its prose left as TODOs, which `tools/check` points at."""

from __future__ import annotations

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
    "why": ["why: TODO – in one line, why somebody should read this"],
    "tags": ["tags: [TODO]"],
    "kind": ["kind: TODO"],
    "category": ["category: TODO"],
    "builds_on": ["builds_on: []"],
    "not_reproduced": ["not_reproduced: TODO – in one line, why there is no notebook, or that one is planned"],
}
_TODO_OF_A_POST = _TODO | {"kind": ["kind: discussion"], "category": []}


def new_entry(facts: Facts) -> str:
    """The text of an entry, in the layout of this house."""
    todo = _TODO if is_arxiv(facts.id) else _TODO_OF_A_POST
    lines = [line for key in order() for line in _known(key, facts) or todo.get(key, [])]
    return "\n".join(lines) + "\n"


def _known(key: str, facts: Facts) -> list[str]:
    """The lines of a key with all that is known under it."""
    lines = [line for keys, value in facts.known() if keys[0] == key for line in lines_of(keys, value)]
    return [line for index, line in enumerate(lines) if index == 0 or line != f"{key}:"]
