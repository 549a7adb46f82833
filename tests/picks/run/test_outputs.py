"""Caps on what a notebook puts out."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from picks.run.outputs import COUNT_LIMIT, HALF, NOTEBOOK_LIMIT, OUTPUT_LIMIT, TEXT_LIMIT, CappedText, admit, cap_error


def _text(*pieces: str) -> CappedText:
    capped = CappedText()
    for piece in pieces:
        capped.add(piece)
    return capped


def test_text_within_the_limit_stays_as_it_is() -> None:
    assert str(_text("a\n", "b\n")) == "a\nb\n"
    assert str(_text("x" * TEXT_LIMIT)) == "x" * TEXT_LIMIT


@given(st.lists(st.text(alphabet="ab\n", min_size=1, max_size=3000), max_size=60))
def test_start_and_end_stay_and_the_cut_is_told(pieces: list[str]) -> None:
    whole = "".join(pieces)
    capped = _text(*pieces)
    assert capped.cut == max(0, len(whole) - TEXT_LIMIT)
    assert str(capped).startswith(whole[:HALF])
    assert str(capped).endswith(whole[-HALF:])
    assert f"{capped.cut:,} characters cut" in str(capped) or not capped.cut


def test_a_carriage_return_overwrites_its_line() -> None:
    assert str(_text("one\n 10 %", "\r 50 %", "\r100 %\n", "two\r\nthree\r")) == "one\n100 %\ntwo\nthree\r"


def test_a_long_progress_bar_fills_nothing() -> None:
    assert str(_text(*(f"\r{step}" for step in range(50_000)))) == "\r49999"[1:]


def test_one_endless_line_is_no_riddle_for_a_regular_expression() -> None:
    begun = time.process_time()
    _text("x" * 5_000_000 + "\rdone")
    assert time.process_time() - begun < 5  # quadratic time would be hours


def _display(size: int) -> dict[str, object]:
    return {"data": {"image/png": "x" * size}, "metadata": {"width": 1}}


def test_a_display_within_the_limits_is_kept() -> None:
    assert admit(_display(1000), used=0, shown=0) == _display(1000)


def test_a_display_too_large_gives_way_to_a_note() -> None:
    for content, used in ((_display(OUTPUT_LIMIT + 1), 0), (_display(2000), NOTEBOOK_LIMIT - 1000)):
        noted = admit(content, used, shown=0)
        assert noted is not None
        assert "too large to keep" in noted["data"]["text/plain"]
        assert "image/png" not in noted["data"]


def test_after_too_many_displays_one_note_and_then_nothing() -> None:
    noted = admit(_display(10), used=0, shown=COUNT_LIMIT)
    assert noted is not None
    assert f"more than {COUNT_LIMIT}" in noted["data"]["text/plain"]
    assert admit(_display(10), used=0, shown=COUNT_LIMIT + 1) is None


def test_a_long_exception_is_cut() -> None:
    capped = cap_error({"ename": "ValueError", "evalue": "x" * 10**6, "traceback": ["y" * 10**6] * 3})
    assert capped["ename"] == "ValueError"
    assert len(capped["evalue"]) < TEXT_LIMIT + 100
    assert sum(map(len, capped["traceback"])) < TEXT_LIMIT + 100
