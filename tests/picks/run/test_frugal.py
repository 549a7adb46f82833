"""What a kernel sends of what a notebook prints and shows."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.session import Session

from picks.run import frugal
from picks.run.frugal import AT_ONCE, FrugalSession
from picks.run.outputs import COUNT_LIMIT, TEXT_LIMIT, CappedText, shorten

PARENT = {"header": {"msg_id": "cell", "msg_type": "execute_request"}, "msg_id": "cell"}


class Wire:
    """What a session sends, and a clock that only the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[dict[str, Any]] = []
        self.now = 0.0
        monkeypatch.setattr(Session, "send", lambda _, stream, message, **more: self.sent.append(message))
        monkeypatch.setattr(frugal.time, "monotonic", lambda: self.now)
        self.session = FrugalSession()

    def prints(self, text: str, name: str = "stdout") -> None:
        self.session.send(None, "stream", {"name": name, "text": text}, PARENT)

    def shows(self, data: Any, kind: str = "display_data") -> None:
        self.session.send(None, kind, {"data": data, "metadata": {}}, PARENT)

    def ends(self) -> None:
        self.session.send(None, "status", {"execution_state": "idle"}, PARENT)

    def kinds(self) -> list[str]:
        return [message["msg_type"] for message in self.sent]

    def text(self) -> str:
        return "".join(message["content"]["text"] for message in self.sent if message["msg_type"] == "stream")


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


def test_a_few_lines_go_out_as_they_come(wire: Wire) -> None:
    for line in range(AT_ONCE):
        wire.prints(f"{line}\n")
    assert len(wire.sent) == AT_ONCE


def test_many_lines_go_out_together_and_before_the_cell_ends(wire: Wire) -> None:
    for line in range(10_000):
        wire.prints(f"{line}\n")
    assert len(wire.sent) == AT_ONCE
    wire.ends()
    assert wire.kinds() == ["stream"] * (AT_ONCE + 1) + ["status"]
    assert wire.text().endswith("9998\n9999\n")
    assert sum(message["content"].get("cut", 0) for message in wire.sent) + len(wire.text()) == 48_890


def test_text_waits_no_longer_than_a_moment(wire: Wire) -> None:
    for step in range(1000):
        wire.now = step * 0.01
        wire.prints("x")
    assert AT_ONCE + 9 / frugal.PAUSE - 2 <= len(wire.sent) <= AT_ONCE + 9 / frugal.PAUSE + 2


def test_no_message_is_large(wire: Wire) -> None:
    wire.prints("x" * 5_000_000)
    wire.shows({"image/png": "x" * 5_000_000})
    wire.shows({"text/plain": "x" * 5_000_000}, "execute_result")
    wire.session.send(None, "error", {"ename": "E", "evalue": "x" * 5_000_000, "traceback": ["x" * 5_000_000]}, PARENT)
    assert len(wire.sent) == 4
    assert all(len(repr(message["content"])) < 3 * TEXT_LIMIT for message in wire.sent)
    assert wire.sent[0]["content"]["cut"] == 5_000_000 - TEXT_LIMIT


def test_pictures_without_end_stop(wire: Wire) -> None:
    for _ in range(1000):
        wire.shows({"image/png": "x"})
    wire.ends()
    assert wire.kinds() == ["display_data"] * (COUNT_LIMIT + 1) + ["status"]


def test_two_streams_are_held_apart(wire: Wire) -> None:
    for _ in range(1000):
        wire.prints("o")
        wire.prints("e", "stderr")
    wire.ends()
    by_name = dict.fromkeys(("stdout", "stderr"), "")
    for message in wire.sent[:-1]:
        by_name[message["content"]["name"]] += message["content"]["text"]
    assert by_name == {"stdout": "o" * 1000, "stderr": "e" * 1000}


def test_a_forked_child_holds_nothing_back(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    child = os.getpid() + 1
    monkeypatch.setattr(frugal.os, "getpid", lambda: child)
    for _ in range(AT_ONCE + 50):
        wire.prints("x")
    assert len(wire.sent) == AT_ONCE + 50


@given(st.lists(st.tuples(st.text(alphabet="ab\n", min_size=1, max_size=9000), st.booleans()), max_size=40))
def test_what_is_kept_is_the_same_by_way_of_the_kernel(pieces: list[tuple[str, bool]]) -> None:
    """Pieces, each of which may wait for the next one, against the whole at once."""
    whole, kept = CappedText(), CappedText()
    held, cut = "", 0
    for text, goes_out in [*pieces, ("", True)]:
        whole.add(text)
        held, more = shorten(held + text)
        cut += more
        if goes_out:
            kept.add(held, cut)
            held, cut = "", 0
    assert str(kept) == str(whole)
