"""The corpus: what is fetched, what is refused, how it is read, and how it is split."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from reproductions.common import clients as clients_of
from reproductions.common import corpus
from reproductions.common.autoencoders import shipped
from reproductions.common.corpus import CorpusError, Passage, load_sources, passages
from tests.common.tiny_corpus import clients, deb, dictd, source, sources_yml, speeches, tgz

LONG = "a text that is long enough not to be taken for a heading or a cross-reference, as a menu would be, yes"


@pytest.fixture(autouse=True)
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the package clients were asked."""
    return clients(tmp_path, monkeypatch)


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
    corpus.stored(found).write_bytes(b"damaged")
    assert _texts(found) == first


@pytest.mark.parametrize(
    ("client", "version", "asked"),
    [("npm", "1.0", "npm pack .* speeches@1.0$"), ("apt", "1:1.0", "speeches=1:1.0$")],
)
def test_a_package_is_asked_for_by_name_and_version(
    client: str, version: str, asked: str, tmp_path: Path, fetched: Path
) -> None:
    assert _texts(source(tmp_path, tgz(speeches(3)), client=client, version=version))
    assert re.search(asked, fetched.read_text(encoding="utf8"), re.MULTILINE)


def test_an_archive_that_was_put_into_the_cache_by_hand_needs_no_client(tmp_path: Path, fetched: Path) -> None:
    found = source(tmp_path, tgz(speeches(3)))
    corpus.stored(found).parent.mkdir(parents=True)
    corpus.stored(found).write_bytes(tgz(speeches(3)))
    assert _texts(found)
    assert not fetched.exists()


@pytest.mark.parametrize(("client", "why"), [("npm", "it comes with Node.js"), ("apt", "it is Debian's")])
def test_without_the_client_it_is_said_what_to_do(
    client: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(CorpusError, match=f"is not on this machine .{why}.*or put the archive of speeches 1.0 into /"):
        _texts(source(tmp_path, tgz(speeches(3)), client=client))


def test_no_file_of_the_project_names_the_host_of_a_registry() -> None:
    hosts = "|".join(("npm" + "js.org", "deb" + "ian.org", "pypi" + ".org", "python" + "hosted.org"))
    root = Path(__file__).parents[2]
    listed = subprocess.run(
        ["git", "grep", "-lIE", hosts], cwd=root, capture_output=True, text=True, check=False
    ).stdout.split()
    assert listed == []


def test_the_hash_of_the_texts_is_of_what_decides_them_and_not_of_whence(tmp_path: Path) -> None:
    found = source(tmp_path, tgz(speeches(3)))
    same = replace(found, client="apt", package="other", version="2", title="Other", licence="Other", ship=False)
    assert corpus.digest([found]) == corpus.digest([same])
    for changed in ({"sha256": "0" * 64}, {"files": "*"}, {"reader": "html"}, {"most_chars": 1}, {"name": "other"}):
        assert corpus.digest([found]) != corpus.digest([replace(found, **changed)])


@pytest.mark.parametrize("card", sorted(shipped.FOLDER.glob("*/*.json")), ids=lambda card: card.stem)
def test_the_autoencoders_that_come_along_were_trained_on_the_texts_that_are_named(card: Path) -> None:
    assert json.loads(card.read_text(encoding="utf8"))["texts_sha256"] == corpus.digest(load_sources())


def test_an_archive_that_is_not_the_one_named_is_refused_and_not_kept(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(CorpusError, match=r"of speeches 1\.0 has sha256 [0-9a-f]{64}, but corpus.yml names 0000"):
        _texts(source(tmp_path, tgz(speeches(3)), sha256="0" * 64))
    assert not list(cache.rglob("speeches*"))


def test_what_a_client_cannot_fetch_is_told_in_its_last_word(tmp_path: Path) -> None:
    found = source(tmp_path, tgz(speeches(3)))
    (tmp_path / "speeches.archive").unlink()
    with pytest.raises(CorpusError, match=r"speeches cannot be fetched: npm pack .* failed; .*no package speeches;"):
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
        assert found.client in clients_of.CLIENTS
        assert found.package
        assert found.version
    assert load_sources(sources_yml(tmp_path, *sources)) == sources
