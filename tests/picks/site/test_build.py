"""The small site as MkDocs built it: every link holds, nothing hostile is alive, programs find what they look for."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from html import unescape
from pathlib import Path

import jsonschema
import pytest
from lxml import html as lxml_html

from picks.site.addresses import slug
from picks.site.build import build, pack, write_pages
from picks.site.generate import generate
from reproductions.common.errors import UserError
from reproductions.common.explorers import KINDS
from reproductions.common.verdicts import VERDICTS
from tests.fixtures import built_site, mini_site
from tests.fixtures.mini_site import ATTACK, HOSTILE, HOSTILE_NAME, NAME
from tests.picks.site.conftest import REPOSITORY, SITE


def _page(html: Path, address: str) -> lxml_html.HtmlElement:
    return built_site.page(html / address / "index.html")


def _text(element: lxml_html.HtmlElement) -> str:
    return " ".join(element.text_content().split())


@pytest.fixture(scope="module")
def offline(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The offline site, unpacked."""
    folder = tmp_path_factory.mktemp("offline")
    pack(root, folder / "site.zip")
    with zipfile.ZipFile(folder / "site.zip") as archive:
        archive.extractall(folder)
    return folder / "daily-picks"


def test_every_internal_link_leads_somewhere(html: Path, offline: Path) -> None:
    assert built_site.broken_links(html) == []
    assert built_site.broken_links(offline) == []


def test_the_check_of_links_sees_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        "<p id=a><a href='#a'>1</a><a href='#b'>2</a><a href='c/'>3</a>", encoding="utf8"
    )
    assert built_site.broken_links(tmp_path) == ["index.html: #b", "index.html: c/"]


def test_nothing_on_any_page_could_run_but_our_own_scripts(html: Path, offline: Path) -> None:
    for folder in (html, offline):
        alive = {
            path.relative_to(folder): found for path in built_site.pages(folder) if (found := built_site.dangers(path))
        }
        assert alive == {}


def test_the_hostile_entry_is_shown_word_for_word(html: Path) -> None:
    page = _page(html, f"papers/{HOSTILE}")
    assert ATTACK[:200].replace("  ", " ") in _text(page.xpath("//h1")[0])
    assert "<script>window.hacked=1</script>" in _text(page.xpath("//*[@class='summary']")[0])
    assert page.xpath("//title")[0].text.startswith("</p></div></section><script>")


def test_the_hostile_entry_is_text_in_search_and_data(html: Path) -> None:
    docs = json.loads((html / "search" / "search_index.json").read_text(encoding="utf8"))["docs"]
    assert docs
    assert not [doc for doc in docs if re.search(r"<(script|img)", doc["title"] + doc["text"])]
    script = (html / "assets" / "data" / "picks.js").read_text(encoding="utf8")
    listed = json.loads(script.removeprefix("window.PICKS = ").rstrip(";\n"))
    (hostile,) = [pick for pick in listed["picks"] if pick["id"] == HOSTILE]
    assert "<script>" in hostile["title"]


def test_notebooks_and_figures_are_ours_not_theirs(html: Path) -> None:
    notebook = json.loads((html / "notebooks" / f"{HOSTILE_NAME}.ipynb").read_text(encoding="utf8"))
    assert all(cell.get("outputs", []) == [] for cell in notebook["cells"])
    for figure in (html / "figures").rglob("*"):
        assert figure.is_dir() or figure.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_every_page_has_a_policy_that_allows_no_inline_script(html: Path) -> None:
    for path in built_site.pages(html):
        (policy,) = built_site.page(path).xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy


def test_a_papers_page_has_everything_about_it(html: Path) -> None:
    page = _page(html, "papers/2501.00001")
    buttons = page.xpath("//p[@class='links']/a")
    assert [(button.text, button.get("href")) for button in buttons][:3] == [
        ("arXiv 2501.00001", "https://arxiv.org/abs/2501.00001"),
        ("PDF", "https://arxiv.org/pdf/2501.00001"),
        ("Hugging Face", "https://huggingface.co/papers/2501.00001"),
    ]
    [old] = _page(html, "papers/cs-0101001").xpath("//p[@class='links']/a[text()='PDF']/@href")
    assert old == "https://arxiv.org/pdf/cs/0101001"
    assert "Built on by" in _text(page)
    assert page.xpath("//ol[@class='related']/li")
    formats = page.xpath("//details[@class='cite']//code/@id")
    assert formats == ["cite-bibtex", "cite-ris", "cite-csl-json", "cite-markdown"]
    assert "@inproceedings{" in page.xpath("//*[@id='cite-bibtex']")[0].text_content()
    assert f"{REPOSITORY}/edit/main/papers/2501.00001.yml" in page.xpath("//a/@href")


def test_a_pick_knows_its_neighbours(html: Path) -> None:
    links = _page(html, "papers/2501.00002").xpath("//nav[@class='neighbours']/a")
    heads = _page(html, "papers/2501.00002").xpath("//head/link[@rel='prev' or @rel='next']")
    neighbours = {"next": "../../papers/cs-0101001/", "prev": "../../papers/2501.00001/"}
    assert {link.get("rel"): link.get("href") for link in links} == neighbours
    assert {link.get("rel"): link.get("href") for link in heads} == neighbours


def test_a_page_begins_with_what_was_found_and_the_figure_that_shows_it(html: Path) -> None:
    page = _page(html, "papers/2501.00002")
    headings = [_text(heading) for heading in page.xpath("//h2")]
    assert [heading.rstrip("¶") for heading in headings][:3] == [
        "What we found",
        "Claims",
        "What differs from the paper",
    ]
    [sentence] = page.xpath("//p[@class='found-sentence']")
    assert _text(sentence).startswith("On this small model coins fall heads, 0.90 [0.85, 0.95] of the time.")
    assert sentence.xpath("a/@href") == ["#claim-C1"]
    assert [_text(button) for button in page.xpath("//p[@class='found-tally']/button")] == [
        "1 holds",
        "1 is the opposite",
        "1 is not tested",
    ]
    [caption] = page.xpath("//figure[@id='figure-smollm2-135m-full-toss']/figcaption")
    assert caption.xpath("a/@href") == ["#claim-C1", "../../explore/coin_flips/head_map/"]


def test_a_claims_number_is_drawn_on_the_axis_of_its_block(html: Path) -> None:
    page = _page(html, "papers/2501.00002")
    blocks = page.xpath("//h2[@id='claims']/following-sibling::div[1]//div[@class='block']")
    units = [_text(block.xpath(".//h3")[0]) for block in blocks]
    assert units == ["Share", "Difference of shares", "Without an interval"]
    drawings = page.xpath("//section[@id='claim-C1']//svg/@aria-label")
    assert drawings[0] == "0.90 [0.85, 0.95] share; must be above 0.5; control 0.50"
    assert len(drawings) == 3
    assert not page.xpath("//section[@id='claim-C2']//svg")


def test_the_notebook_is_shown_as_it_ran(html: Path) -> None:
    page = _page(html, f"notebooks/{NAME}/smollm2-135m.full")
    assert page.xpath("//div[@class='executed']//figure//img")
    assert _text(page.xpath("//div[@class='executed']//h1")[0]) == "Coins"
    assert "print" in _text(page.xpath("//div[contains(@class, 'executed-code')]")[0])


def test_units_can_be_taken_away(html: Path) -> None:
    path = html / "results" / NAME / "smollm2-135m.full" / "claim-C1.csv"
    rows = path.read_text(encoding="utf8").splitlines()
    assert rows[:3] == ["unit,side,share", "1,value,0.8", "2,value,0.9"]
    assert len(rows) == 13
    link = "../../results/coin_flips/smollm2-135m.full/claim-C1.csv"
    assert link in _page(html, "papers/2501.00002").xpath("//section[@id='claim-C1']//a/@href")


def test_the_reproductions_panel_tells_every_run(html: Path) -> None:
    page = _page(html, "papers/2501.00002")
    assert page.xpath("//*[@id='command']")[0].text_content().splitlines()[-1] == "tools/repro 2501.00002"
    runs = page.xpath("//section[@id='claim-C1']//tbody/tr[th]")
    assert [_text(run.xpath(".//*[starts-with(@class, 'verdict')]")[0]) for run in runs] == [
        "holds",
        "holds",
        "cannot tell",
    ]
    assert "0.90 [0.85, 0.95]" in _text(runs[0]) and "all above 0.5" in _text(runs[0])
    assert "it takes fifty years" in _text(page.xpath("//section[@id='claim-C2']")[0])
    assert len(page.xpath("//figure[@id='figure-smollm2-135m-full-toss']/img")) == 2
    assert "#figure-smollm2-135m-full-toss" in page.xpath("//section[@id='claim-C1']//dd/a/@href")
    assert "The model is small." in _text(page.xpath("//div[@class='differences']")[0])
    assert "repro:2501.00002" in _text(page.xpath("//div[@class='provenance']")[0])


def test_a_claim_says_what_must_be_true_and_why_it_is_not_told(html: Path) -> None:
    page = _page(html, "papers/2501.00002")
    claim = page.xpath("//section[@id='claim-C1']")[0]
    assert "Must be above 0.5" in _text(claim)
    assert "over all of the authors' models and columns 0.70 to 0.90" in _text(claim)
    assert "cannot tell spans 0.5" in _text(claim)
    assert "spans 0.5: n = 12 sees gaps of 0.0" in _text(claim.xpath(".//details")[0])
    other = _text(page.xpath("//section[@id='claim-C6']")[0])
    assert "same fact as C1" in other
    assert "Released files" in other and "Paper" not in other


def test_a_negative_verdict_shows_all_that_it_took(html: Path) -> None:
    claim = _page(html, "papers/2501.00002").xpath("//section[@id='claim-C4']")[0]
    assert "set after results were seen" in _text(claim.xpath(".//summary")[0])
    assert "the first coin had no edge" in _text(claim)
    told = _text(claim.xpath(".//details")[0])
    for part in ("coin with two heads; must be above 0.9", "counted by eye; why it may differ here: our table is soft"):
        assert part in told
    assert "positive control 0.98; second route −0.27" in told
    assert "all below 0" in _text(claim.xpath(".//tr")[1])


def test_our_own_checks_stand_apart_and_have_no_number_of_the_paper(html: Path) -> None:
    page = _page(html, "papers/2501.00002")
    ours = page.xpath("//h3[@id='own-checks']/following-sibling::div[1]//section")
    assert [section.get("id") for section in ours] == ["claim-C3"]
    assert "Paper" not in ours[0].xpath(".//dt/text()")
    [row, *_] = _page(html, "results").xpath("//a[contains(@href, '2501.00002/#claim-C3')]/ancestor::tr")
    assert not row.xpath("td[@data-label='Paper']")
    assert _text(row.getparent().xpath("tr[1]")[0]).startswith("Our own checks: ")


def test_what_follows_from_the_settings_has_no_verdict(html: Path) -> None:
    claim = _page(html, "papers/2501.00002").xpath("//section[@id='claim-C5']")[0]
    assert not claim.xpath(".//*[starts-with(@class, 'verdict ')]")
    assert "60 tosses" in _text(claim) and "follows from the settings" in _text(claim)
    assert not claim.xpath(".//svg")
    assert "Must be" not in _text(claim)


def test_no_page_gives_a_score_or_an_earlier_word(html: Path) -> None:
    for path in built_site.pages(html):
        text = _text(built_site.page(path).xpath("//body")[0])
        assert not re.search(r"\d+ of \d+ (claims|facts)|(not|partially) reproduced|inconclusive", text), path


def test_every_verdict_has_its_colours(html: Path) -> None:
    style = (html / "assets" / "css" / "picks.css").read_text(encoding="utf8")
    for verdict in VERDICTS:
        assert f".verdict--{slug(verdict)} {{" in style
        assert f".bar-{slug(verdict)} {{" in style


def test_results_show_each_claim_once_for_each_model(html: Path) -> None:
    rows = _page(html, "results").xpath("//table[@id='results']//tr[@data-verdicts][@data-paper='2501.00002']")
    shown = [(row.xpath("td[1]/a")[0].text, *map(_text, row.xpath("td[@data-model]/*[1]"))) for row in rows]
    assert shown == [
        *(("C1", "holds", "cannot tell"), ("C6", "holds", "cannot tell"), ("C2", "not tested", "not tested")),
        *(("C4", "opposite", "cannot tell"), ("C5", "follows from the settings", "follows from the settings")),
        ("C3", "holds", "holds"),
    ]
    differing = [row.xpath("td[1]/a")[0].text for row in rows if row.get("data-differs") is not None]
    assert differing == ["C1", "C6", "C4"]


def test_findings_are_sentences_that_lead_to_their_claims(html: Path) -> None:
    page = _page(html, "findings")
    [finding] = page.xpath("//section[@class='finding'][.//a[contains(@href, '2501.00002')]]//li")
    assert _text(finding).startswith("On this small model coins fall heads, 0.90 [0.85, 0.95] of the time.")
    assert finding.xpath(".//a/@href") == ["../papers/2501.00002/#claim-C1"]
    assert _text(finding.xpath(".//a")[0]) == "C1 holds"


def test_results_are_a_table_and_json_that_fits_its_schema(html: Path) -> None:
    content = json.loads((html / "results.json").read_text(encoding="utf8"))
    jsonschema.validate(content, json.loads((html / "results.schema.json").read_text(encoding="utf8")))
    with (html / "results.csv").open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(content["results"])
    first = next(row for row in rows if row["paper"] == "2501.00002")
    assert (first["claim"], first["unit"], first["value"], first["verdict"]) == (
        "C1",
        "share, mean over tosses",
        "0.9",
        "holds",
    )
    assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "@"))]


def test_the_schemas_of_explorers_are_published(html: Path) -> None:
    for kind in KINDS:
        assert json.loads((html / "schemas" / f"{kind}.json").read_text(encoding="utf8"))["type"] == "object"


def test_an_edition_stands_together_at_the_top_of_the_home_page(html: Path) -> None:
    heroes = built_site.page(html / "index.html").xpath("//h2[@class='hero-title']")
    assert {_text(hero) for hero in heroes} == {"Many coins at once", "One coin, many times"}


def test_scholars_tools_find_the_citation(html: Path) -> None:
    page = _page(html, "papers/2501.00001")
    tags = {meta.get("name"): meta.get("content") for meta in page.xpath("//meta[starts-with(@name, 'citation_')]")}
    assert tags["citation_title"] == "On the fairness of coins"
    assert tags["citation_arxiv_id"] == "2501.00001"
    assert tags["citation_publication_date"] == "2025"
    data = json.loads(_page(html, "papers/2501.00002").xpath("//script[@type='application/ld+json']")[0].text)
    assert data["@type"] == "ScholarlyArticle"
    assert data["review"][0]["url"] == f"{SITE}papers/2501.00002/#claim-C1"
    assert not any("not tested" in review["reviewBody"] for review in data["review"])
    assert data["name"] == "“Heads”, co-occurrence and half-coins"


def test_the_sitemap_and_robots_name_public_addresses(html: Path) -> None:
    assert f"<loc>{SITE}papers/2501.00001/</loc>" in (html / "sitemap.xml").read_text(encoding="utf8")
    assert f"Sitemap: {SITE}sitemap.xml" in (html / "robots.txt").read_text(encoding="utf8")


def test_the_offline_site_needs_no_server(offline: Path) -> None:
    assert (offline / "papers" / "2501.00001.html").is_file()
    home = built_site.page(offline / "index.html")
    assert not home.xpath("//link[@rel='stylesheet'][starts-with(@href, 'http')]")
    data = (offline / "assets" / "data" / "picks.js").read_text(encoding="utf8")
    assert '"url":"papers/2501.00001.html"' in data


def test_two_builds_write_the_same_pages_and_the_second_writes_nothing(root: Path) -> None:
    assert generate(root) == generate(root)
    write_pages(root, root / "build" / "html")
    before = {path: path.stat().st_mtime_ns for path in (root / "build" / "pages").rglob("*")}
    write_pages(root, root / "build" / "html")
    assert {path: path.stat().st_mtime_ns for path in (root / "build" / "pages").rglob("*")} == before


def test_a_given_up_address_sends_its_reader_on(tmp_path: Path) -> None:
    root = mini_site.build(tmp_path)
    (root / "site" / "moved.yml").write_text("papers/old: papers/2501.00001.md\n", encoding="utf8")
    page = generate(root)["papers/old/index.html"].decode()
    assert 'content="0; url=../../papers/2501.00001/"' in unescape(page)


def test_a_fault_that_mkdocs_finds_ends_the_build(tmp_path: Path) -> None:
    root = mini_site.build(tmp_path)
    (root / "site" / "pages" / "about.md").write_text("# About\n\n[nowhere](nowhere.md)\n", encoding="utf8")
    with pytest.raises(UserError, match="MkDocs did not build"):
        build(root)


def test_a_faulty_entry_is_named_before_anything_is_written(tmp_path: Path) -> None:
    root = mini_site.build(tmp_path)
    (root / "papers" / "2501.00005.yml").write_text("title: Only a title\n", encoding="utf8")
    with pytest.raises(UserError, match=r"2501\.00005\.yml"):
        build(root)
    assert not (root / "build" / "pages").exists()


def test_the_small_site_has_the_reproduction_of_each_name(html: Path) -> None:
    for name in (NAME, HOSTILE_NAME):
        assert (html / "explore" / name / "head_map" / "index.html").is_file()
        source = _page(html, f"explore/{name}/head_map").xpath("//option/@data-source")[0]
        script = (html / "explore" / name / "head_map" / source).resolve().read_text(encoding="utf8")
        assert json.loads(script.removeprefix("window.EXPLORER = ").rstrip(";\n"))["kind"] == "grid"


def test_data_of_no_kind_are_published_and_have_no_page(root: Path, tmp_path: Path) -> None:
    copy = mini_site.build(tmp_path)
    for path in (copy / "reproductions" / NAME / "results").glob("*.head_map.json"):
        path.write_text('{"some": "numbers"}', encoding="utf8")

    made = generate(copy)

    assert f"results/{NAME}/smollm2-135m.full.head_map.json" in made
    assert not [path for path in made if path.startswith((f"explore/{NAME}/", f"assets/data/{NAME}/"))]


@pytest.mark.parametrize(
    ("content", "told"),
    [("{", "not JSON"), ('{"kind": "map"}', "of the kind grid, map, but all have to be of one of cards, curves")],
)
def test_data_that_no_page_can_draw_are_named(tmp_path: Path, content: str, told: str) -> None:
    root = mini_site.build(tmp_path)
    path = root / "reproductions" / NAME / "results" / "smollm2-135m.quick.head_map.json"
    path.write_text(content, encoding="utf8")

    with pytest.raises(UserError, match=told) as refused:
        generate(root)

    assert str(path) in str(refused.value)
