"""The corpus: what is fetched, what is refused, how it is read, and how it is split."""

from pathlib import Path

import pytest

from reproductions.common import corpus, store
from reproductions.common.corpus import CorpusError, Passage, load_sources, passages
from tests.common.tiny_corpus import deb, dictd, source, sources_yml, speeches, tgz

LONG = "a text that is long enough not to be taken for a heading or a cross-reference, as a menu would be, yes"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAILY_PICKS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _texts(found: corpus.Source) -> set[str]:
    return {passage.text for passage in passages(found)}


def test_documents_are_read_from_a_tar_archive_and_other_files_in_it_are_not(tmp_path: Path) -> None:
    archive = tgz({"data/1.json": b'{"text": "One\\nline.\\n\\nNext."}', "README.md": b"not JSON"})
    assert _texts(source(tmp_path, archive)) == {"One line.\n\nNext."}


def test_a_dictionary_is_read_from_a_debian_package_a_dozen_entries_at_a_time(tmp_path: Path) -> None:
    entries = [(f"word{i}", f"{{linked}} {LONG} {i}") for i in range(13)] + [("short", "See other.")]
    archive = deb({"./usr/share/dictd/it.dict.dz": dictd(entries)})
    found = _texts(source(tmp_path, archive, files="*.dict.dz", reader="dictd"))
    assert sorted(text.count("word") for text in found) == [1, 12]
    assert all("{" not in text and "See other" not in text for text in found)


def test_entries_that_were_copied_from_another_source_are_left_out(tmp_path: Path) -> None:
    archive = deb({"a.dz": dictd([("own", LONG), ("copied", f"{LONG}\n   [{{Jargon File}}]")])})
    (text,) = _texts(source(tmp_path, archive, files="*.dz", reader="dictd"))
    assert text.startswith("own")
    assert "copied" not in text


def test_glosses_are_read_without_the_licence_at_their_head(tmp_path: Path) -> None:
    data = (
        b"  1 This software and database\n00001740 03 n 01 living_thing 0 002 ~ 00 | a living (or once living) one  \n"
    )
    archive = deb({"./data.noun": data})
    found = _texts(source(tmp_path, archive, files="./data.*", reader="wordnet"))
    assert found == {"living thing: a living (or once living) one"}


def test_of_a_page_the_running_text_is_read_and_neither_code_nor_menus(tmp_path: Path) -> None:
    page = f"<html><title>{LONG}</title><p>Menu</p><p>{LONG} <em>indeed</em>.</p><pre>{LONG} code</pre></html>"
    found = _texts(source(tmp_path, tgz({"a.html": page.encode()}), files="*.html", reader="html"))
    assert found == {f"{LONG} indeed."}


def test_an_archive_is_fetched_once(tmp_path: Path) -> None:
    found = source(tmp_path, tgz(speeches(3)))
    first = _texts(found)
    (tmp_path / "speeches.archive").unlink()
    assert _texts(found) == first


def test_a_damaged_copy_is_fetched_again(tmp_path: Path) -> None:
    found = source(tmp_path, tgz(speeches(3)))
    first = _texts(found)
    (store.root() / "corpus" / "speeches.archive").write_bytes(b"damaged")
    assert _texts(found) == first


def test_an_archive_that_is_not_the_one_named_is_refused_and_not_kept(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(CorpusError, match=r"has sha256 [0-9a-f]{64}, but corpus.yml names 0000"):
        _texts(source(tmp_path, tgz(speeches(3)), sha256="0" * 64))
    assert not list(cache.rglob("*archive*"))


def test_without_a_network_it_is_said_what_could_not_be_fetched(tmp_path: Path) -> None:
    found = source(tmp_path, tgz(speeches(3)))
    (tmp_path / "speeches.archive").unlink()
    with pytest.raises(CorpusError, match=r"speeches cannot be fetched from file://.*No such file"):
        _texts(found)


def test_a_package_without_data_is_refused(tmp_path: Path) -> None:
    archive = deb({})[: 8 + 60 + 4]
    with pytest.raises(CorpusError, match=r"without data\.tar"):
        _texts(source(tmp_path, archive))


def test_the_split_depends_on_the_text_alone(tmp_path: Path) -> None:
    members = speeches(400)
    forward = {p.text: p.held_out for p in passages(source(tmp_path, tgz(members), name="a"))}
    backward = {p.text: p.held_out for p in passages(source(tmp_path, tgz(dict(reversed(members.items()))), name="b"))}
    assert forward == backward
    assert 0.02 < sum(forward.values()) / len(forward) < 0.09


def test_of_a_long_source_a_mixed_part_is_taken(tmp_path: Path) -> None:
    members = speeches(100)
    whole = list(passages(source(tmp_path, tgz(members), name="whole")))
    part = list(passages(source(tmp_path, tgz(members), name="part", most_chars=2000)))
    assert [p.text for p in part] == [p.text for p in whole[: len(part)]]
    assert 2000 <= sum(len(p.text) for p in part) < 2500


def test_a_passage_never_changes_sides() -> None:
    assert Passage("a", "Call me Ishmael.").held_out == Passage("b", "Call me Ishmael.").held_out


def test_the_real_sources_are_complete_and_pinned(tmp_path: Path) -> None:
    sources = load_sources()
    assert len({found.name for found in sources}) == len(sources) > 3
    for found in sources:
        assert found.reader in corpus.READERS
        assert len(found.sha256) == 64
        assert found.url.startswith("https://")
    assert load_sources(sources_yml(tmp_path, *sources)) == sources
