"""The day's post."""

from __future__ import annotations

from pathlib import Path

import pytest

from picks.site.announce import ADDRESS, LIMITS, chosen, length, post, short_post, shortened
from reproductions.common.errors import UserError
from tests.fixtures.mini_site import entry, write_entry


@pytest.mark.parametrize("network", LIMITS)
@pytest.mark.parametrize("names", [["2501.00001"], ["2501.00003", "2501.00004"]])
def test_a_post_fits_its_network_and_keeps_whole_addresses(root: Path, network: str, names: list[str]) -> None:
    papers = chosen(root, names)
    text = short_post(papers, network)
    assert length(text, papers, network) <= LIMITS[network]
    assert all(paper.url in text.splitlines() for paper in papers)


def test_the_whole_post_names_authors_summary_and_links(root: Path) -> None:
    text = post(chosen(root, ["https://arxiv.org/abs/2501.00001v2"]))
    assert text.startswith("🔍 Today's pick in Interpretability & Analysis of LMs\n")
    for part in ("by Ada Example and Béla Example", "They are tossed", "Paper: https://arxiv.org/abs/2501.00001"):
        assert part in text
    assert "Code: https://example.org/coins" in text


def test_two_papers_make_an_x2_edition(root: Path) -> None:
    text = post(chosen(root, ["2501.00003", "2501.00004", "2501.00003"]))
    assert "an x2 edition!" in text
    assert text.count("Many coins at once\n") == 1


def test_lengths_are_counted_as_the_networks_do(root: Path) -> None:
    papers = chosen(root, ["2501.00001"])
    url = papers[0].url
    assert length(f"a {url}", papers, "X") == 2 + ADDRESS
    assert length(f"a {url}", papers, "Bluesky") == 2 + len(url)


def test_texts_are_cut_after_a_word() -> None:
    assert shortened("a short text", 20) == "a short text"
    assert shortened("one, two, three", 10) == "one, two…"


def test_long_texts_are_cut_and_too_many_papers_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    for index in range(1, 5):
        write_entry(tmp_path, f"2501.0000{index}", entry("A title of some length " * 5, why="reasons " * 15))
    papers = chosen(tmp_path, [f"2501.0000{index}" for index in range(1, 5)])
    assert "…" in short_post(papers[:1], "X")
    with pytest.raises(UserError, match="4 papers do not fit a post on X"):
        short_post(papers, "X")


def test_an_unknown_paper_is_refused_with_the_closest(root: Path) -> None:
    with pytest.raises(UserError, match=r"2501.00009 is not among the papers here: did you mean 2501.0"):
        chosen(root, ["2501.00009"])
