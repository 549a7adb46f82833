"""Says what was found: to a person, to a program, to GitHub."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

from picks.check.faults import ERROR, HINT, Fault

Reporter = Callable[[Sequence[Fault], int], str]


def text(faults: Sequence[Fault], files: int) -> str:
    """A line a fault, as editors and terminals take it, and a count."""
    lines = [f"{_place(fault)} {_name(fault)}: {_message(fault)}" for fault in faults]
    if faults:
        lines += ["", _count(faults, files) + "; tools/check --explain RULE tells more about a rule."]
    else:
        lines.append(_count(faults, files) + ".")
    return "\n".join(lines)


def as_json(faults: Sequence[Fault], files: int) -> str:
    """Everything, for programs."""
    found = {
        "files": files,
        "errors": errors(faults),
        "hints": len(faults) - errors(faults),
        "faults": [_flat(fault) for fault in faults],
    }
    return json.dumps(found, indent=1, ensure_ascii=False)


def github(faults: Sequence[Fault], files: int) -> str:
    """Annotations beside the lines of a pull request, and a count."""
    return "\n".join([*map(_annotation, faults), _count(faults, files)])


REPORTERS: dict[str, Reporter] = {"text": text, "json": as_json, "github": github}


def errors(faults: Sequence[Fault]) -> int:
    """How many of the faults fail the check."""
    return sum(fault.level == ERROR for fault in faults)


def _place(fault: Fault) -> str:
    return f"{fault.path}:{fault.position.line}:{fault.position.column}"


def _name(fault: Fault) -> str:
    return fault.rule if fault.level == ERROR else f"{fault.rule} ({HINT})"


def _message(fault: Fault) -> str:
    return f"{fault.what} – {fault.why} – {fault.mend}"


def _flat(fault: Fault) -> dict[str, object]:
    fields = asdict(fault)
    return {"path": fields.pop("path"), **fields.pop("position"), **fields}


def _count(faults: Sequence[Fault], files: int) -> str:
    if not faults:
        return f"{_number(files, 'file')}: no faults"
    wrong = errors(faults)
    found = f"{_number(wrong, 'error')}, {_number(len(faults) - wrong, 'hint')}"
    return f"{_number(files, 'file')}: {found} in {len({fault.path for fault in faults})} of them"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _annotation(fault: Fault) -> str:
    kind = "error" if fault.level == ERROR else "notice"
    place = {"file": fault.path, "line": fault.position.line, "col": fault.position.column, "title": fault.rule}
    properties = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in place.items())
    return f"::{kind} {properties}::{_escaped(_message(fault))}"


def _escaped(value: str, special: str = "") -> str:
    return "".join(f"%{ord(letter):02X}" if letter in f"%\r\n{special}" else letter for letter in value)
