"""Excerpts in turns, and the sequences from their beginnings."""

import torch

from reproductions.common.excerpts import Texts, in_turns
from reproductions.common.held_out import Excerpt
from tests.common.tiny_bridge import tiny_llama


def words(source, word, n):
    return Excerpt(source, " ".join([word] * n))


def test_sources_take_turns_and_short_excerpts_are_left_out():
    excerpts = [words("a", f"w{n}", 300) for n in range(3)] + [words("b", "w5", 300), words("b", "w6", 3)]
    found = in_turns(excerpts)
    assert [each.source for each in found[:2]] in (["a", "b"], ["b", "a"])
    assert len(found) == 4 and excerpts[-1] not in found
    assert found == in_turns(excerpts) and found != in_turns(excerpts, seed=1)


def test_sequences_know_their_excerpts(tmp_path):
    model = tiny_llama(tmp_path)
    found = Texts.of(model, [words("a", "w1", 400), words("b", "w2", 5), words("c", "w3", 130)], most=2, tokens=10)
    assert found.tokens.shape == (3, 10) and found.excerpt.tolist() == [0, 0, 1]
    assert (found.tokens[:, 0] == 0).all()
    assert torch.equal(found.tokens[0], found.tokens[1]) and not torch.equal(found.tokens[1], found.tokens[2])
