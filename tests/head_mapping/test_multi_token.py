"""Longer subjects against prompts in which their first token is spelled out in the template."""

from dataclasses import replace

import pytest
import torch

from reproductions.head_mapping import multi_token
from reproductions.head_mapping.dynamic import HeadReader, Prompt, dynamic_hits
from reproductions.head_mapping.findings import Scores
from reproductions.head_mapping.method import Heads, Pairs, static_hits
from tests.head_mapping.test_method import relation
from tests.head_mapping.tiny import tiny_llama, word_tokenizer


def test_a_longer_subject_is_read_at_its_last_token():
    """The subject " w11 w20" in "w3 {} w4" is " w20" in "w3 w11 {} w4"; a longer one among them changes nothing."""
    model = tiny_llama()
    heads = Heads.of(model)
    words = [(source, (source * 7) % 1200 + 3) for source in range(20, 60)]
    short = relation("r", words, top_k=400)
    longer = replace(short, pairs=tuple((f"w11 {source}", target) for source, target in short.pairs))
    subjects = multi_token.multi_token_sources(longer, word_tokenizer())
    subjects.insert(1, replace(subjects[0], source_ids=(5, 6, 7)))
    prompts = [Prompt.of(template, word_tokenizer()) for template in ("w3 {} w4", "{} w9 w8")]
    with HeadReader(model) as reader:
        found = multi_token._dynamic_hits(reader, heads, prompts, subjects, [400] * len(subjects))
    pairs = Pairs.of({"r": short}, word_tokenizer(), most=99)
    kept = [i for i in range(len(subjects)) if i != 1]
    for row, template in zip(found, ("w3 w11 {} w4", "w11 {} w9 w8"), strict=True):
        expected = dynamic_hits(model, [heads], pairs, template)[0].without_context.promoted
        assert torch.equal(row[kept], expected)


def scored(model, heads, pairs) -> Scores:
    dynamic = tuple(dynamic_hits(model, [heads], pairs, template)[0] for template in ("w3 {}", "{} w4"))
    return Scores(pairs, (0,), static_hits(heads, pairs), (static_hits(heads, pairs.shuffled(0)),), dynamic)


def test_relations_with_few_longer_subjects_are_left_out():
    model = tiny_llama()
    heads = Heads.of(model)
    few = relation("few", [(source, source) for source in range(20, 60)])
    few = replace(few, pairs=(*few.pairs, ("w5 w6", "w7")))
    pairs = Pairs.of({"few": few}, word_tokenizer(), most=40)
    found = multi_token.multi_token_agreements(
        model, heads, {"few": few}, scored(model, heads, pairs), ["w3 {}", "{} w4"], most=50
    )
    assert found == []


def test_relations_that_are_read_together_get_what_each_gets_alone():
    model = tiny_llama()
    heads = Heads.of(model)
    made = {
        name: relation(name, [(s, s + 1) for s in range(start, start + 40)], top_k=top_k)
        for name, start, top_k in (("a", 20, 300), ("b", 70, 30))
    }
    made = {
        name: replace(r, pairs=(*r.pairs, *((f"w{length} w6 {source}", target) for source, target in r.pairs[:9])))
        for (name, r), length in zip(made.items(), (5, 8), strict=True)
    }
    scores = scored(model, heads, Pairs.of(made, word_tokenizer(), most=40))
    templates = ["w3 {}", "{} w4"]
    both = multi_token.multi_token_agreements(model, heads, made, scores, templates, most=9)
    assert [found.relation for found in both] == ["a", "b"]
    for index, (name, found) in enumerate(zip(made, both, strict=True)):
        subjects = multi_token.multi_token_sources(made[name], word_tokenizer())
        prompts = [Prompt.of(template, word_tokenizer()) for template in templates]
        with HeadReader(model) as reader:
            hits = multi_token._dynamic_hits(reader, heads, prompts, subjects, [made[name].top_k] * len(subjects))
        assert found == multi_token._compared(name, index, hits, scores)


def test_both_kinds_of_subject_are_new_to_the_static_score():
    """Longer subjects that do exactly what the held-out one-token subjects do lose nothing."""
    model = tiny_llama()
    heads = Heads.of(model)
    pairs = Pairs.of({"r": relation("r", [(s, s + 1) for s in range(20, 60)], top_k=300)}, word_tokenizer(), most=40)
    scores = scored(model, heads, pairs)
    held_out = pairs.halves(0)[1]
    hits = torch.stack([found.without_context.promoted[held_out] for found in scores.dynamic])
    found = multi_token._compared("r", 0, hits, scores)
    assert found.n == 20
    assert found.multiple == pytest.approx(found.single)
    assert found.multiple_rank == pytest.approx(found.single_rank)
    assert found.shuffled != pytest.approx(found.single)


def test_losses_are_differences_of_correlations():
    found = [
        multi_token.MultiToken("a", 9, 0.9, 0.8, 0.1, 0.6, 0.5),
        multi_token.MultiToken("b", 9, 0.7, 0.5, 0.2, 0.4, 0.1),
    ]
    single, loss, null, rank = multi_token.metrics(found)
    assert single.value == pytest.approx(0.8)
    assert loss.value == pytest.approx(0.15)
    assert null.value == pytest.approx(0.65)
    assert rank.value == pytest.approx(0.2)
