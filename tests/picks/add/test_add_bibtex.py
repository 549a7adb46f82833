"""Facts from BibTeX as it is found in the wild, and refusals of what is worse."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picks.add.bibtex import LIMIT, people, read
from picks.add.facts import Facts
from reproductions.common.errors import UserError
from tests.picks.add.server import RECORDED

FOUND = {
    "2501.08319": Facts(
        id="2501.08319",
        title="Enhancing Automated Interpretability with Output-Centric Feature Descriptions",
        authors=("Yoav Gur-Arieh", "Roy Mayan", "Mor Geva"),
        venue="ACL 2025",
        doi="10.18653/v1/2025.acl-long.288",
        links={"anthology": "https://aclanthology.org/2025.acl-long.288"},
    ),
    "2408.05147": Facts(
        id="2408.05147",
        title="Gemma Scope: Open Über-Autoencoders & More",
        authors=("Tom Lieberum", "Arthur Conmy", "János Kramár", "DeepMind, London", "TODO – the authors after these"),
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
        links={"openreview": "https://openreview.net/forum?id=Hf17y6u9BC"},
    ),
    "2401.12181": Facts(
        id="2401.12181",
        title="Universal Neurons in GPT2 Language Models",
        authors=("Wes Gurnee", "Ann Blake Jr."),
        venue="TMLR 2024",
    ),
    "2401.13835": Facts(
        id="2401.13835",
        title="What Large Language Models Know",
        authors=("Mark Steyvers",),
        venue="Nature Machine Intelligence 7:221–231, 2025",
        doi="10.1038/s42256-024-00976-7",
    ),
    "lw-really-strong-features-found-in-residual-stream": Facts(
        id="lw-really-strong-features-found-in-residual-stream",
        title="Really Strong Features",
        authors=("Logan Riggs",),
        published="2023-07-08",
        links={
            "post": "https://www.lesswrong.com/posts/Q76CpqHeEMykKpFdB/really-strong-features-found-in-residual-stream"
        },
    ),
}


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "given.bib"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf8"))
    return path


def test_every_entry_of_a_file_is_read() -> None:
    assert [facts.id for facts in read(RECORDED / "papers.bib")] == list(FOUND)


@pytest.mark.parametrize("name", FOUND)
def test_an_entry_gives_these_facts_and_no_others(name: str) -> None:
    assert read(RECORDED / "papers.bib", [name]) == [FOUND[name]]


@pytest.mark.parametrize(
    "text",
    [
        "https://arxiv.org/abs/2501.08319v1",
        "10.18653/v1/2025.acl-long.288",
        "https://doi.org/10.18653/v1/2025.ACL-LONG.288",
        "2025.acl-long.288",
        "https://aclanthology.org/2025.acl-long.288/",
        "gur-arieh-etal-2025-enhancing",
    ],
)
def test_an_entry_is_found_under_any_of_its_names(text: str) -> None:
    assert read(RECORDED / "papers.bib", [text]) == [FOUND["2501.08319"]]


def test_a_published_version_without_arxiv_number_takes_the_one_given(tmp_path: Path) -> None:
    path = written(tmp_path, "@inproceedings{a, title={T}, author={Mor Geva}, booktitle={ACL}, year=2025}")
    (facts,) = read(path, ["2412.11965"])
    assert (facts.id, facts.venue) == ("2412.11965", "ACL 2025")
    with pytest.raises(UserError, match="names no arXiv paper"):
        read(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no BibTeX entry"),
        ("Inferring Functionality, Elhelo and Geva 2024", "no BibTeX entry"),
        ("@misc{a, title={T, author={A B}, eprint={2412.00001}}", ":1: 1 of the braces"),
        ("@misc{a, title={T}, year={2024}}\n@misc{b, title={T\n@misc{c, title={T}}", ":2: 2 of the braces"),
        ("@misc{a, title={T}}}", ":1: a brace closes"),
        ("\n@misc{../../etc/passwd, title={T}}", ":2: '../../etc/passwd' cannot be a key"),
        ("@misc{/etc/passwd, title={T}}", "cannot be a key"),
        ("@misc{a\x07b, title={T}}", "invisible character U+0007"),
        ("@misc{a,\n title={T\u202eevil}}", ":2: holds the invisible character U+202E"),
        ("@misc{a, title={T}, author={A B}, year=undefined}", "@string"),
        ("@misc{a, title={T} author={A B}}", "not well-formed"),
        ("@misc{a, author={A B}, eprint={2412.00001}}", "a has no title"),
        ("@misc{a, title={T}, eprint={2412.00001}}", "a has no author"),
        ("@misc{a, title={T}, author={A B}, note={arXiv:2499.00001}}", "names no arXiv paper"),
        ("@misc{a, title={T}, author={A B}}", "names no arXiv paper"),
        ("@misc{a, title={T}, author={A B}, eprint={../../x}}", "names no arXiv paper"),
        (b"@misc{a, title={T\xff}}", "not UTF-8"),
        ("%" * (LIMIT + 1), "larger than 256 KB"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(text: str | bytes, why: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^[^\n]*$") as refusal:
        read(written(tmp_path, text))
    assert why in str(refusal.value)
    assert str(refusal.value).isprintable()


def test_addresses_are_kept_to_the_letter(tmp_path: Path) -> None:
    url = "https://proceedings.mlr.press/~a_b/v--1.html"
    text = f"@misc{{a, title={{T}}, author={{A B}}, eprint={{2412.00001}}, url={{{url}}}, doi={{10.1000/a\\_b--c}}}}"
    (facts,) = read(written(tmp_path, text))
    assert (facts.links, facts.doi) == ({"proceedings": url}, "10.1000/a_b--c")


def test_a_post_needs_its_address(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a has no url"):
        read(written(tmp_path, "@misc{a, title={T}, author={A B}}"), ["lw-a-post"])


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
    ],
)
def test_only_a_whole_day_of_the_calendar_is_a_date(fields: str, day: str | None, tmp_path: Path) -> None:
    entry = f"@misc{{a, title={{T}}, author={{A B}}, eprint={{2412.00001}}, {fields}}}"
    assert read(written(tmp_path, entry))[0].published == day


@pytest.mark.parametrize("text", ["2412.00009", "10.1/x", "nobody2024"])
def test_what_is_not_in_the_file_is_said(text: str) -> None:
    with pytest.raises(UserError, match="has no entry"):
        read(RECORDED / "papers.bib", [text])


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        read(tmp_path / "none.bib")


def test_thousands_of_braces_are_read_or_refused(tmp_path: Path) -> None:
    nested = "{" * 20_000 + "T" + "}" * 20_000
    try:
        (facts,) = read(written(tmp_path, f"@misc{{a, title={{{nested}}}, author={{A B}}, eprint={{2412.00001}}}}"))
        assert facts.title == "T"
    except UserError as refusal:
        assert "well-formed" in str(refusal)


@settings(deadline=None)
@given(st.one_of(st.binary(max_size=80), st.text('@{}"=,\\#a1 \n', max_size=80).map(str.encode)))
def test_any_bytes_give_facts_or_a_sentence(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            assert read(written(Path(folder), content))
        except UserError as refusal:
            assert "\n" not in str(refusal)


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("Geva, Mor and Amit Elhelo", ["Mor Geva", "Amit Elhelo"]),
        ("van der Wal, Oskar AND {\\'E}. Galois", ["Oskar van der Wal", "É. Galois"]),
        ("{Barnes and Noble} and {\\O}rsted, H. C.", ["Barnes and Noble", "H. C. Ørsted"]),
        ("Blake, Jr., Ann", ["Ann Blake Jr."]),
        ("Geva,Mor and\n others", ["Mor Geva", "TODO – the authors after these"]),
        ("", []),
    ],
)
def test_names_are_turned_round(field: str, names: list[str]) -> None:
    assert people(field) == names
