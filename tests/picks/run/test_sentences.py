"""A sentence about what was found takes its numbers from the record, and is refused where that says otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from picks.run.sentences import said
from reproductions.common.claims import Claims, load_claims
from reproductions.common.metrics import mean_of
from reproductions.common.schema import FileError
from reproductions.common.verdicts import Judgement, judge
from tests.picks.check.shelf import FIXTURES

FILE = FIXTURES / "invalid" / "found-sentences" / "reproduction" / "reproduction.yml"
HEADS, FAIR = (0.8, 0.9, 0.85, 0.95), (0.4, 0.6, 0.5, 0.5)


@pytest.fixture
def claims() -> Claims:
    return load_claims(FILE)


def judged(claims: Claims, heads: tuple[float, ...] = HEADS) -> tuple[Judgement, ...]:
    metrics = {metric.name: metric for metric in (mean_of("heads", heads), mean_of("fair", FAIR))}
    return judge(claims, metrics, "full")


def test_numbers_come_from_the_record(claims: Claims) -> None:
    [sentence] = said(FILE, claims, {"smollm2-135m": judged(claims)})
    assert sentence.text == "On this small model the coin falls heads more often than tails (0.88 [0.77, 0.98])."
    assert (sentence.model, sentence.verdicts) == ("smollm2-135m", {"C1": "holds"})


def test_the_number_of_a_control_can_stand_beside_it(claims: Claims) -> None:
    [plain] = claims.found
    told = replace(claims, found=(replace(plain, text="Heads fall in {C1}, with a fair coin in {C1_control}."),))
    [sentence] = said(FILE, told, {"smollm2-135m": judged(claims)})
    assert sentence.text == "Heads fall in 0.88 [0.77, 0.98], with a fair coin in 0.50."


def test_a_minus_is_a_minus(claims: Claims) -> None:
    below = [replace(one, value=-0.5, interval=(-0.6, -0.4)) for one in judged(claims)]
    [sentence] = said(FILE, claims, {"smollm2-135m": below})
    assert "(−0.50 [−0.60, −0.40])" in sentence.text


@pytest.mark.parametrize(
    ("model", "heads", "told"),
    [
        ("smollm2-135m", (0.4, 0.6, 0.5, 0.55), "'cannot tell'"),
        ("gemma3-270m", HEADS, "nothing"),
    ],
)
def test_a_sentence_that_the_record_contradicts_is_refused_with_its_place(
    claims: Claims, model: str, heads: tuple[float, ...], told: str
) -> None:
    with pytest.raises(FileError, match=rf"reproduction.yml:22:\d+: .*C1 being 'holds'.*{told}; write"):
        said(FILE, claims, {model: judged(claims, heads)})


def test_without_sentences_nothing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "reproduction.yml"
    text = FILE.read_text(encoding="utf8")
    path.write_text(text[: text.index("found:")] + text[text.index("claims:") :], encoding="utf8")
    assert said(path, load_claims(path), {}) == ()
