"""Facts from a file of BibTeX, and refusals of what gives none."""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picks.add.bibtex import Read, read
from picks.add.bibtex_file import LIMIT
from picks.add.facts import Facts
from picks.add.people import people
from reproductions.common.errors import UserError
from tests.picks.add.server import RECORDED

FOUND = {
    "2501.08319": Facts(
        id="2501.08319",
        title="Enhancing Automated Interpretability with Output-Centric Feature Descriptions",
        authors=("Yoav Gur-Arieh", "Roy Mayan", "Mor Geva"),
        venue="ACL 2025",
        venue_kind="proceedings",
        doi="10.18653/v1/2025.acl-long.288",
        links={"anthology": "https://aclanthology.org/2025.acl-long.288"},
    ),
    "2408.05147": Facts(
        id="2408.05147",
        title="Gemma Scope: Open Über-Autoencoders & More",
        authors=(
            "Tom Lieberum",
            "Arthur Conmy",
            "János Kramár",
            "{DeepMind, London}",
            "TODO – the authors after these",
        ),
        published="2024-08-09",
        category="cs.LG",
    ),
    "2404.03646": Facts(
        id="2404.03646",
        title="Locating and Editing Factual Associations in Mamba",
        authors=("Arnab Sen Sharma", "David Bau"),
    ),
    "2309.16042": Facts(
        id="2309.16042",
        title="Towards Best Practices of Activation Patching",
        authors=("Fred Zhang", "Neel Nanda"),
        venue="ICLR 2024",
        venue_kind="proceedings",
        links={"openreview": "https://openreview.net/forum?id=Hf17y6u9BC"},
    ),
    "2401.12181": Facts(
        id="2401.12181",
        title="Universal Neurons in GPT2 Language Models",
        authors=("Wes Gurnee", "Ann Blake Jr."),
        venue="TMLR 2024",
        venue_kind="journal",
    ),
    "2401.13835": Facts(
        id="2401.13835",
        title="What Large Language Models Know",
        authors=("Mark Steyvers",),
        venue="Nature Machine Intelligence 2025",
        venue_kind="journal",
        volume="7",
        pages="221–231",
        doi="10.1038/s42256-024-00976-7",
    ),
    "lw-really-strong-features-found-in-residual-stream": Facts(
        id="lw-really-strong-features-found-in-residual-stream",
        title="Really Strong Features",
        authors=("Logan Riggs",),
        published="2023-07-08",
        address="https://www.lesswrong.com/posts/Q76CpqHeEMykKpFdB/really-strong-features-found-in-residual-stream",
    ),
}


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "given.bib"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf8"))
    return path


def entry(fields: str) -> str:
    return f"@misc{{a, title={{T}}, author={{A B}}, eprint={{2412.00001}}, {fields}}}"


def test_every_entry_of_a_file_is_read() -> None:
    assert [facts.id for facts in read(RECORDED / "papers.bib").facts] == list(FOUND)


@pytest.mark.parametrize("name", FOUND)
def test_an_entry_gives_these_facts_and_no_others(name: str) -> None:
    assert read(RECORDED / "papers.bib", [name]) == Read((FOUND[name],))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://arxiv.org/abs/2501.08319v1", "2501.08319"),
        ("10.18653/v1/2025.acl-long.288", "2501.08319"),
        ("https://doi.org/10.18653/v1/2025.ACL-LONG.288", "2501.08319"),
        ("2025.acl-long.288", "2501.08319"),
        ("https://aclanthology.org/2025.acl-long.288/", "2501.08319"),
        ("gur-arieh-etal-2025-enhancing", "2501.08319"),
        (
            "https://www.lesswrong.com/posts/Q76CpqHeEMykKpFdB/really-strong-features-found-in-residual-stream#comments",
            "lw-really-strong-features-found-in-residual-stream",
        ),
    ],
)
def test_an_entry_is_found_under_any_of_its_names(text: str, name: str) -> None:
    assert read(RECORDED / "papers.bib", [text]).facts == (FOUND[name],)


@pytest.mark.parametrize("place", ["", "url={https://aclanthology.org/2024.emnlp-main.9999/}"])
def test_a_published_version_without_arxiv_number_takes_the_one_given(place: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"@inproceedings{{a, title={{T}}, author={{M G}}, booktitle={{ACL}}, year=2025, {place}}}")
    (facts,) = read(path, ["2412.11965"]).facts
    assert (facts.id, facts.venue, facts.address) == ("2412.11965", "ACL 2025", None)


def test_only_a_number_of_arxiv_is_taken_at_the_word(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no entry 'lw-a-post'; it has 'a'"):
        read(written(tmp_path, "@misc{a, title={T}, author={A B}}"), ["lw-a-post"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no BibTeX entry"),
        ("Inferring Functionality, Elhelo and Geva 2024", "no BibTeX entry"),
        ("@proceedings{a, title={T}, year={2024}}", "no BibTeX entry of a paper"),
        ("@misc{a, title={T, author={A B}, eprint={2412.00001}}", ":1: a is not well-formed BibTeX: one of its braces"),
        ("@misc{a, title={T}}}", ":1: a ends before its last brace"),
        ("@misc{title={T}, author={A B}}", "it begins with a key and a comma"),
        ("@misc{a\x07b, title={T}}", "invisible character U+0007"),
        ("@misc{a,\n title={T\u202eevil}}", ":2: holds the invisible character U+202E"),
        ("@misc{a, title={T}, author={A B}, year=undefined}", "uses the @string 'undefined'"),
        ("@misc{a, title={T} author={A B}}", "not well-formed BibTeX at 'title'"),
        ('@misc{a, title="T "of" U", author={A B}}', "not well-formed BibTeX at 'title'"),
        ("@misc{a, author={A B}, eprint={2412.00001}}", ":1: a has no title; add the field `title`"),
        ("@misc{a, title={T}, eprint={2412.00001}}", ":1: a has no author"),
        ("\n@misc{a, title={T}, author={A B}, note={arXiv:2499.00001}}", ":2: a names no arXiv paper"),
        ("@misc{a, title={T}, author={A B}}", "add a field `eprint`, `doi` or `url`"),
        ("@misc{a, title={T}, author={A B}, eprint={../../x}}", "names no arXiv paper"),
        ("@misc{a, title={T}, author={A B}, url={https://[x}}", "names no arXiv paper"),
        (b"@misc{a, title={T\xff}}", "not UTF-8"),
        ("%" * (LIMIT + 1), "larger than 4 MiB"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(text: str | bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^[^\n]*$") as refusal:
        read(written(tmp_path, text))
    assert why in str(refusal.value)
    assert str(refusal.value).isprintable()


def test_one_bad_entry_of_a_library_costs_one_line_and_little_time(tmp_path: Path) -> None:
    entries = [
        f"@misc{{k{number},\n title={{Title {number}}},\n author={{Orr, Gus and {{\\'E}}clair, Zo{{\\'e}}}},\n"
        f" abstract={{{'word ' * 200}}},\n eprint={{2402.{number:05}}}}}\n"
        for number in range(666)
    ]
    entries[333] = entries[333].replace("{Title", "{{Title")
    path = written(tmp_path, "\n".join(entries))
    start = perf_counter()
    found = read(path)
    assert perf_counter() - start < 3
    assert [facts.title for facts in found.facts] == [f"Title {number}" for number in range(666) if number != 333]
    (line,) = found.refused
    assert line == f"{path}:1999: k333 is not well-formed BibTeX: one of its braces or quotes never closes"


def test_what_is_wanted_is_given_whatever_else_is_damaged_and_refused_if_it_is_damaged_itself(tmp_path: Path) -> None:
    path = written(tmp_path, "@misc{bad, title={T}\n@misc{bare, title={T}, eprint={2412.00002}}\n" + entry(""))
    assert [facts.id for facts in read(path, ["a"]).facts] == ["2412.00001"]
    for name, why in {"bad": ":1: bad is not well-formed", "bare": ":2: bare has no author"}.items():
        with pytest.raises(UserError, match=why):
            read(path, ["a", name])


def test_all_refusals_are_said_where_nothing_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        read(written(tmp_path, "@misc{b, title={T}}\n@misc{a, title={T}, title={U}}"))
    first, second = str(refusal.value).split("\n")
    assert ":1: b names no arXiv paper" in first
    assert ":2: a has the field 'title' twice" in second


def test_strings_are_put_together(tmp_path: Path) -> None:
    text = '@string{of = "Transactions of "}\n@string(lamps = {Lamps})\n' + (
        '@article(a, title="T " # {U}, author={A B}, journal=of # LAMPS, month = 1 # "~" # jan, year=2024, '
        "eprint={2412.00001}, publisher=press # {s})"
    )
    (facts,) = read(written(tmp_path, text)).facts
    assert (facts.title, facts.venue) == ("T U", "Transactions of Lamps 2024")


def test_addresses_are_kept_to_the_letter(tmp_path: Path) -> None:
    url = "https://proceedings.mlr.press/~a_b/v--1.html"
    (facts,) = read(written(tmp_path, entry(f"url={{{url}}}, doi={{10.1000/a\\_b--c}}"))).facts
    assert (facts.links, facts.doi) == ({"proceedings": url}, "10.1000/a_b--c")


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ("url={https://a.example/b\\_c\\%20d\\~{}e}", "https://a.example/b_c%20d~e"),
        (r"url={https://a.example/{\textasciitilde}b}", "https://a.example/~b"),
        ("url={https://a.example/{b}}, howpublished={On the web, \\url{https://a.example/c}}", "https://a.example/c"),
        ("url={https://a.example}, note={See https://a.example/d (last seen in May).}", "https://a.example/d"),
        ("note={(https://a.example/e)}", "https://a.example/e"),
        ("url={http://a.example/f}, doi={10.1000/g}", "https://doi.org/10.1000/g"),
    ],
)
def test_the_first_https_address_counts(fields: str, address: str, tmp_path: Path) -> None:
    (facts,) = read(written(tmp_path, f"@misc{{a, title={{T}}, author={{A B}}, {fields}}}")).facts
    assert facts.address == address


@pytest.mark.parametrize(
    ("fields", "day"),
    [
        ("year=2024, month=dec, day=6", "2024-12-06"),
        ("year={2024}, month={December}, day={06}", "2024-12-06"),
        ("year={2024}, month={12}, day={6}", "2024-12-06"),
        ("date={2024-12-06}", "2024-12-06"),
        ("year=2024, month=dec", None),
        ("year=2024", None),
        ("date={2024-12}", None),
        ("date={2024-12-32}", None),
        ("year=2024, month=feb, day=30", None),
        ("date={2024-12-06}, journal={Nature}", None),
    ],
)
def test_only_a_whole_day_of_the_calendar_is_a_date_of_a_preprint(fields: str, day: str | None, tmp_path: Path) -> None:
    assert read(written(tmp_path, entry(fields))).facts[0].published == day


@pytest.mark.parametrize("text", ["2412.00009", "10.1/x", "nobody2024", "https://[x", "https://a.example/b"])
def test_what_is_not_in_the_file_is_said(text: str) -> None:
    with pytest.raises(UserError, match="has no entry"):
        read(RECORDED / "papers.bib", [text])


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read(tmp_path / "none.bib")


def test_thousands_of_braces_are_read(tmp_path: Path) -> None:
    nested = "{" * 20_000 + "T" + "}" * 20_000
    (facts,) = read(
        written(tmp_path, f"@misc{{a, title={{{nested}}}, author={{{nested}}}, eprint={{2412.00001}}}}")
    ).facts
    assert (facts.title, facts.authors) == ("T", ("T",))


SNIPPETS = ("@misc{a,", "title={T},", "author={A B},", "eprint={2412.00001},", "url={https://a.b/c},", "crossref=a,")


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(max_size=80),
        st.text('@{}"=,\\#a1 \n', max_size=80).map(str.encode),
        st.lists(st.sampled_from((*SNIPPETS, *'@{}"=,\\#1\n')), max_size=20).map("".join).map(str.encode),
    )
)
def test_any_bytes_give_facts_or_sentences(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = read(written(Path(folder), content))
        except UserError as refusal:
            assert all(map(str.isprintable, str(refusal).split("\n")))
        else:
            assert found.facts
            assert all(map(str.isprintable, found.refused))


@settings(deadline=None)
@given(st.lists(st.sampled_from([*"{}\\,;&@=:~ aB1.", " and ", "family=", "given="]), max_size=40).map("".join))
def test_any_names_give_one_line_each(field: str) -> None:
    assert all(name and name.isprintable() for name in people(field))


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("Geva, Mor and Amit Elhelo", ["Mor Geva", "Amit Elhelo"]),
        ("van der Wal, Oskar AND {\\'E}. Galois", ["Oskar van der Wal", "É. Galois"]),
        ("{Barnes and Noble} and {\\O}rsted, H. C.", ["{Barnes and Noble}", "H. C. Ørsted"]),
        ("Blake, Jr., Ann and Oskar van der Wal Jr.", ["Ann Blake Jr.", "Oskar van der Wal Jr."]),
        ("Geva,Mor and\n others", ["Mor Geva", "TODO – the authors after these"]),
        ("Geva, Mor, and Elhelo and and", ["Mor Geva", "Elhelo"]),
        ("and", []),
        (", Mor and {} and -", ["Mor"]),
        ("given=Mor", ["TODO – a name without a family name: given=Mor"]),
        ("", []),
    ],
)
def test_names_are_turned_round(field: str, names: list[str]) -> None:
    assert people(field) == names
