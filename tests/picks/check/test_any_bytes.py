"""Whatever bytes a file holds, the checker reports and never breaks; what it passes, the door lets in."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picks.check.faults import Fault
from picks.check.reporters import REPORTERS
from picks.check.rules import rules
from picks.papers import load_paper
from reproductions.common.errors import UserError
from tests.picks.check import shelf

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.dates(), st.just("TODO"),
    st.sampled_from(["2403.19650", "012", "1:30", "*x", "!!int 3", "<b>", "javascript:a", "https://[", "~", "{", "#"]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
LINES = shelf.ENTRY.read_text(encoding="utf8").splitlines()
KEYS = sorted({line.split(":")[0] for line in LINES if line[0].isalpha()})


def _report(content: bytes) -> list[Fault]:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "papers").mkdir()
        (root / "papers" / "2501.01234.yml").write_bytes(content)
        faults = shelf.faults(root)
        _door_agrees(root, faults)
    for write in REPORTERS.values():
        assert write(faults, 1)
    assert faults == sorted(faults)
    assert {fault.rule for fault in faults} <= set(rules())
    return faults


def _door_agrees(root: Path, faults: list[Fault]) -> None:
    """An entry that passes the check can be loaded."""
    if not faults:
        load_paper(root, "2501.01234")
        return
    try:
        load_paper(root, "2501.01234")
    except UserError as refusal:
        assert str(refusal)


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes(content: bytes) -> None:
    assert _report(content)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
@settings(deadline=None)
def test_any_text(content: str) -> None:
    assert _report(content.encode())


@given(st.text(alphabet="[]{}:,-&*!|>'\"%@`#?a1.0 \n\t", max_size=120))
@settings(deadline=None)
def test_anything_that_looks_like_yaml(content: str) -> None:
    assert _report(content.encode())


@given(st.sampled_from(KEYS), VALUES)
@settings(deadline=None)
def test_any_value_under_any_key(key: str, value: object) -> None:
    text = json.dumps(value, default=str)
    blocks = [f"{name}: {text}" if name == key else block for name, block in _blocks()]
    _report("\n".join([*blocks, ""]).encode())


@given(st.sampled_from(KEYS), SCALARS)
@settings(deadline=None)
def test_any_unquoted_value_under_any_key(key: str, value: object) -> None:
    blocks = [f"{name}: {value}" if name == key else block for name, block in _blocks()]
    _report("\n".join([*blocks, ""]).encode("utf8", "replace"))


@given(st.data())
@settings(deadline=None)
def test_lines_left_out_doubled_and_moved(data: st.DataObject) -> None:
    lines = data.draw(st.lists(st.sampled_from(LINES), max_size=len(LINES) + 5))
    _report("\n".join(lines).encode())


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=4))
@settings(deadline=None)
def test_an_entry_with_bytes_thrown_in(place: int, thrown: bytes) -> None:
    content = "\n".join(LINES).encode()
    place %= len(content)
    _report(content[:place] + thrown + content[place:])


@pytest.mark.parametrize(
    "content", [b"[" * 60_000, b"{a: " * 15_000, b"- " * 30_000, b"a:\n" * 20_000, b"\x00" * 60_000]
)
def test_what_grows_without_end_is_reported(content: bytes) -> None:
    assert _report(content)


def test_an_entry_as_it_should_be_passes() -> None:
    assert _report("\n".join([*LINES, ""]).encode()) == []


def _blocks() -> list[tuple[str, str]]:
    """The entry by keys, each with the lines that belong to it."""
    blocks: list[tuple[str, str]] = []
    for line in LINES:
        if line[0].isalpha():
            blocks.append((line.split(":")[0], line))
        else:
            name, block = blocks.pop()
            blocks.append((name, f"{block}\n{line}"))
    return blocks
