"""Longer subjects against prompts in which their first token is spelled out in the template."""

import torch

from reproductions.head_mapping import multi_token
from reproductions.head_mapping.dynamic import HeadReader, dynamic_hits
from reproductions.head_mapping.findings import Scores
from reproductions.head_mapping.method import Heads, Pairs, static_hits
from tests.head_mapping.test_method import relation
from tests.head_mapping.tiny import tiny_llama, word_tokenizer


def test_a_longer_subject_is_read_at_its_last_token(monkeypatch):
    """The subject " w11 w20" in "w3 {} w4" is the subject " w20" in "w3 w11 {} w4"."""
    monkeypatch.setattr(multi_token, "TEMPLATES", ("w3 {} w4", "{} w9 w8"))
    model = tiny_llama()
    heads = Heads.of(model)
    words = [(source, (source * 7) % 1200 + 3) for source in range(20, 60)]
    short = relation("r", words, top_k=400)
    longer = relation("r", words, top_k=400).__class__(
        **{**vars(short), "pairs": tuple((f"w11 {source}", target) for source, target in short.pairs)}
    )
    subjects = multi_token.multi_token_sources(longer, word_tokenizer())
    with HeadReader(model) as reader:
        found = multi_token._dynamic_scores(reader, heads, subjects, 400)
    pairs = Pairs.of({"r": short}, word_tokenizer(), most=99)
    for row, template in zip(found, ("w3 w11 {} w4", "w11 {} w9 w8"), strict=True):
        expected = dynamic_hits(model, heads, pairs, [template])[0].without_context.promoted.float().mean(0)
        torch.testing.assert_close(row, expected)


def test_relations_with_few_longer_subjects_are_left_out():
    model = tiny_llama()
    heads = Heads.of(model)
    few = relation("few", [(source, source) for source in range(20, 60)])
    few = few.__class__(**{**vars(few), "pairs": (*few.pairs, ("w5 w6", "w7"))})
    pairs = Pairs.of({"few": few}, word_tokenizer(), most=40)
    scores = Scores(
        pairs, (0,), static_hits(heads, pairs), (static_hits(heads, pairs.shuffled(0)),),
        tuple(dynamic_hits(model, heads, pairs, ["w3 {}"])),
    )  # fmt: skip
    assert multi_token.multi_token_agreements(model, heads, {"few": few}, scores, most=50) == []


def test_losses_are_differences_of_correlations():
    found = [multi_token.MultiToken("a", 9, 0.9, 0.8, 0.1), multi_token.MultiToken("b", 9, 0.7, 0.5, 0.2)]
    loss, null = multi_token.metrics(found)
    assert round(loss.value, 6) == 0.15
    assert round(null.value, 6) == 0.65
