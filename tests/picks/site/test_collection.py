"""Picks in their order, and what stands beside them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from picks.papers import load_papers
from picks.site.collection import Library, load_library, newest_first
from reproductions.common.errors import UserError
from tests.fixtures.mini_site import HOSTILE, NAME, build, entry, write_entry


def test_picks_stand_by_day_above_the_founding_collection_in_its_order(tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    entries = {
        "2401.00001": entry("First, published late", published="2024-06-01", collection={"order": 1}),
        "2401.00002": entry("Second, published early", published="2024-01-01", collection={"order": 2}),
        "2401.00003": entry("Picked first", published="2024-01-01", picked="2024-05-01"),
        "2401.00004": entry("Picked last", published="2023-01-01", picked="2024-07-01"),
    }
    for paper_id, fields in entries.items():
        write_entry(tmp_path, paper_id, fields)
    ordered = [paper.id for paper in newest_first(load_papers(tmp_path).values())]
    assert ordered == ["2401.00004", "2401.00003", "2401.00002", "2401.00001"]


def test_without_an_entry_there_is_no_site(tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    with pytest.raises(UserError, match="holds no entry"):
        load_library(tmp_path)


def test_an_entry_may_share_the_reproduction_of_another(tmp_path: Path) -> None:
    root = build(tmp_path)
    fields = entry("A tool that computes the same", reproduction=NAME)
    del fields["not_reproduced"]
    write_entry(root, "2501.00009", fields)
    found = load_library(root)
    shared = found.picks["2501.00009"]
    assert shared.reproduced is None
    assert shared.shares == found.picks["2501.00002"].paper
    assert found.picks["2501.00002"].shares is None
    assert [pick.paper.id for pick, _ in found.reproduced].count("2501.00009") == 0


def test_citations_run_both_ways_and_editions_stand_together(library: Library) -> None:
    assert [paper.id for paper in library.picks["2501.00002"].builds_on] == ["2501.00001"]
    assert [paper.id for paper in library.picks["2501.00001"].followed_by] == ["2501.00002", HOSTILE]
    assert [paper.id for paper in library.picks["2501.00003"].together] == ["2501.00004"]


def test_verdicts_are_those_of_the_fullest_run_on_the_first_model(library: Library) -> None:
    pick = library.picks["2501.00002"]
    assert pick.reproduced is not None
    assert [(run.model, run.profile) for run in pick.reproduced.runs] == [
        ("smollm2-135m", "full"),
        ("smollm2-135m", "quick"),
        ("gemma3-270m", "quick"),
    ]
    assert [run.profile for run in pick.reproduced.best_by_model] == ["full", "quick"]
    assert pick.verdicts == {"holds": 1, "opposite": 1, "not tested": 1}
    assert library.picks["2501.00001"].verdicts == {}


def test_groups_hold_their_picks_newest_first(library: Library) -> None:
    by_author = {group.name: [pick.paper.id for pick in group.picks] for group in library.by_author()}
    assert by_author["Béla Example"] == ["2501.00004", "example-org-on-coins", "2501.00002", "2501.00001"]
    assert by_author["王小明"] == ["cs-0101001"]
    assert [group.name for group in library.by_month()] == ["February 2025", "Founding collection"]
    assert {group.name: group.description[:8] for group in library.by_tag()}["survey"] == "An overv"


def test_all_names_of_a_person_lead_to_one_page(library: Library) -> None:
    known = replace(library, people={"Ada Example": "Béla Example"})
    assert [group.name for group in known.by_author() if "Example" in group.name] == ["Béla Example"]
    assert known.person("Ada Example") == "Béla Example"


def test_a_page_may_ask_for_tags_but_only_for_known_ones(library: Library) -> None:
    found = [pick.paper.id for pick in library.tagged("evaluation", "circuits", most=3)]
    assert set(found[:2]) == {"2501.00002", HOSTILE}
    assert len(found) == 3
    with pytest.raises(UserError, match="no tag astrology"):
        library.tagged("astrology")
