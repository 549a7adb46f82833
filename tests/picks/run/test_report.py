"""What `tools/repro` prints of a run: two lines a claim, no score, and what to do next."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from picks.run.report import show_verdicts
from reproductions.common.claims import Claims, load_claims
from tests.fixtures import mini_site

SENTENCE = "Coins that are tossed by hand fall on the side that faced upwards more often than chance would have it."


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Claims:
    path = tmp_path_factory.mktemp("claims") / "reproduction.yml"
    content = {"paper": "2501.00002", **mini_site.PARAMETERS, "metrics": mini_site.METRICS}
    content["claims"] = mini_site.claims(SENTENCE)
    path.write_text(json.dumps(content), encoding="utf8")
    return load_claims(path)


def _record(declared: Claims, model: str = "smollm2-135m", profile: str = "full") -> dict[str, Any]:
    return mini_site.record("coin_flips", "2501.00002", model, profile, declared)


def _shown(record: dict[str, Any], declared: Claims, capsys: pytest.CaptureFixture[str], width: int = 80) -> str:
    paper = SimpleNamespace(id="2501.00002", title="Coins")
    model = SimpleNamespace(name=record["model"]["name"], title="A model", note="small")
    plan: Any = SimpleNamespace(
        reproduction=SimpleNamespace(paper=paper),
        model=model,
        profile=record["profile"],
        claims=declared,
        autoencoders=(),
    )
    show_verdicts(Console(width=width), plan, record, Path("runs") / "it", [])
    return capsys.readouterr().out


def _lines_of(claim: str, shown: str) -> list[str]:
    """The lines of a claim: those up to the next one, or to an empty one."""
    lines = shown.splitlines()
    start = next(place for place, line in enumerate(lines) if line.lstrip().startswith(f"{claim} "))
    ends = (place for place in range(start + 1, len(lines)) if lines[place][:4].strip() or not lines[place])
    return lines[start : next(ends)]


def test_a_claim_takes_two_lines_on_a_wide_terminal(declared: Claims, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = _lines_of("C1", _shown(_record(declared), declared, capsys, 160))
    assert first == "C1    holds       0.90 [0.85, 0.95] share  control 0.50  must be above 0.5"
    assert second == f"      {SENTENCE}"


def test_nothing_of_a_claim_is_wider_than_80_columns(declared: Claims, capsys: pytest.CaptureFixture[str]) -> None:
    shown = _shown(_record(declared), declared, capsys)
    lines = [line for claim in ("C1", "C2", "C3", "C4", "C5", "C6") for line in _lines_of(claim, shown)]
    assert max(map(len, lines)) <= 80
    assert len(_lines_of("C1", shown)) == 3
    assert not [line for line in lines if line != line.rstrip()]
    assert "\x1b" not in shown


def test_the_reason_stands_under_what_does_not_hold(declared: Claims, capsys: pytest.CaptureFixture[str]) -> None:
    shown = _shown(_record(declared, "gemma3-270m", "quick"), declared, capsys)
    assert _lines_of("C1", shown)[-1].startswith("      why: spans 0.5: n = 12 sees gaps of 0.0")
    assert _lines_of("C2", shown) == ["C2    not tested   it takes fifty years", "      Not tried."]
    assert not any("why:" in line for line in _lines_of("C3", shown))


def test_claims_of_one_fact_stand_together_and_ours_apart(declared: Claims, capsys: pytest.CaptureFixture[str]) -> None:
    shown = _shown(_record(declared), declared, capsys)
    places = [shown.index(f"\n{claim}") for claim in ("C1 ", "  C6 ", "C2 ", "C4 ", "C5 ", "\nOur own checks\nC3 ")]
    assert places == sorted(places)


def test_what_follows_from_the_settings_has_no_verdict(declared: Claims, capsys: pytest.CaptureFixture[str]) -> None:
    first, *_ = _lines_of("C5", _shown(_record(declared), declared, capsys))
    assert first.split() == ["C5", "60", "tosses", "follows", "from", "the", "settings"]


def test_a_check_chosen_after_results_were_seen_says_so(declared: Claims, capsys: pytest.CaptureFixture[str]) -> None:
    shown = _shown(_record(declared), declared, capsys)
    assert [claim for claim in ("C1", "C3", "C4") if "chosen after" in "".join(_lines_of(claim, shown))] == ["C4"]


def test_facts_are_counted_in_words_and_the_scale_is_named(
    declared: Claims, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "1 fact holds, 1 is the opposite, 1 is not tested"
    shown = _shown(_record(declared), declared, capsys)
    assert f"\n{told}; 1 still holds after Holm's correction: on this model, at this scale.\n" in shown


def test_it_ends_with_what_to_do_next(declared: Claims, capsys: pytest.CaptureFixture[str]) -> None:
    quick, full = (_shown(_record(declared, profile=profile), declared, capsys) for profile in ("quick", "full"))
    assert "tools/repro 2501.00002 --model smollm2-135m --profile full" in quick
    assert "--profile full" not in full
    for shown, stem in ((quick, "smollm2-135m.quick"), (full, "smollm2-135m.full")):
        assert f"runs/it/{stem}.toss.light.png\n" in shown
        assert "tools/repro verify runs/it/results.json" in shown
        assert "with an explorer" in shown
        assert "README.md" in shown
