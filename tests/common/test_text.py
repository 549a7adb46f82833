"""Text as sequences, and the held-out text that comes with the project."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from reproductions.common import corpus, held_out
from reproductions.common.corpus import CorpusError, load_sources, passages
from reproductions.common.text import SEQUENCE, sequences, training_sequences
from tests.common.tiny_bridge import tiny_llama
from tests.common.tiny_corpus import clients, source, sources_yml, speeches, tgz

MIB = 2**20


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def tiny_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[corpus.Source]:
    """A corpus of two sources, one of which may not be shipped."""
    clients(tmp_path, monkeypatch)
    monkeypatch.setenv("DAILY_PICKS_CACHE", str(tmp_path / "cache"))
    free = source(tmp_path, tgz(speeches(200, words=300)), name="free")
    bound = source(tmp_path, tgz(speeches(50, words=700, power=3)), name="bound", ship=False)
    path = sources_yml(tmp_path, free, bound)
    for module in ("corpus.load_sources", "text.load_sources"):
        monkeypatch.setattr(f"reproductions.common.{module}", lambda: load_sources(path))
    return [free, bound]


def test_a_sequence_opens_as_to_tokens_does_and_never_spans_two_texts(llama: Any) -> None:
    long, short = " ".join(f"w{i % 50}" for i in range(300)), "w1 w2"
    found = sequences(llama, [long, short, long])
    assert found.shape == (4, SEQUENCE)
    assert torch.equal(found[0], llama.to_tokens(long)[0, :SEQUENCE])
    assert torch.equal(found[1, 1:], llama.to_tokens(long)[0, SEQUENCE : 2 * SEQUENCE - 1])
    assert torch.equal(found[:2], found[2:])


def test_of_no_text_there_are_no_sequences(llama: Any) -> None:
    assert sequences(llama, ["w1"]).shape == (0, SEQUENCE)


def test_training_text_comes_from_every_source_and_from_no_held_out_passage(
    llama: Any, tiny_sources: list[corpus.Source]
) -> None:
    everything = [passage for source in tiny_sources for passage in passages(source)]
    kept = sequences(llama, [passage.text for passage in everything if not passage.held_out])
    found = training_sequences(llama, kept[:, 1:].numel())
    assert sorted(found.tolist()) == sorted(kept.tolist())
    first, second = (len(sequences(llama, [p.text for p in passages(s) if not p.held_out])) for s in tiny_sources)
    half = {tuple(row) for row in kept[:first].tolist()}
    of_first = sum(tuple(row) in half for row in found[: len(found) // 2].tolist())
    assert abs(of_first / (len(found) // 2) - first / (first + second)) < 0.15


@pytest.mark.usefixtures("tiny_sources")
def test_training_text_has_the_tokens_asked_for_and_is_the_same_again(llama: Any) -> None:
    found = training_sequences(llama, 1000)
    assert found.shape == (8, SEQUENCE)
    assert torch.equal(found, training_sequences(llama, 1000))
    assert not torch.equal(found, training_sequences(llama, 1000, seed=1))


@pytest.mark.usefixtures("tiny_sources")
def test_more_text_than_there_is_is_refused(llama: Any) -> None:
    with pytest.raises(CorpusError, match=r"the corpus has [\d,]+ tokens to train on, not 10,000,000"):
        training_sequences(llama, 10_000_000)


def test_held_out_text_is_taken_from_held_out_passages_of_free_sources_only(
    tiny_sources: list[corpus.Source], tmp_path: Path
) -> None:
    free, _ = tiny_sources
    held_out.write(tmp_path / "held_out.jsonl")
    found = held_out.held_out(tmp_path / "held_out.jsonl")
    assert found
    assert {excerpt.source for excerpt in found} == {free.name}
    expected = {text for p in passages(free) if p.held_out for text in held_out.excerpts(p.text)}
    assert {excerpt.text for excerpt in found} == expected


def test_an_excerpt_ends_where_a_sentence_ends_and_nothing_is_lost() -> None:
    text = " ".join(f"This is sentence {number}." for number in range(1000))
    found = list(held_out.excerpts(text))
    assert " ".join(found) == text
    assert all(excerpt.endswith(".") and len(excerpt) < held_out.EXCERPT + 30 for excerpt in found)


def test_without_a_network_writing_it_says_what_is_missing(
    tiny_sources: list[corpus.Source], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "free.archive").unlink()
    assert held_out.main() == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: free cannot be fetched: npm pack")


def test_the_held_out_text_that_comes_along_is_small_free_and_licensed() -> None:
    path = held_out.HELD_OUT
    assert path.stat().st_size < MIB
    free = {source.name for source in load_sources() if source.ship}
    found = held_out.held_out()
    assert {excerpt.source for excerpt in found} == free
    licences = path.with_suffix(".md").read_text(encoding="utf8")
    assert all(f"| {name} |" in licences for name in free)
    assert sum(len(excerpt.text) for excerpt in found) > 400_000
    assert all(set(json.loads(line)) == {"source", "text"} for line in path.read_text(encoding="utf8").splitlines())
