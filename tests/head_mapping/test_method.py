"""MAPS scores against brute force: whole matrices M, sorted."""

import pytest
import torch

from reproductions.head_mapping import method
from reproductions.head_mapping.method import (
    Heads,
    Pairs,
    extreme_tokens,
    norm_gain,
    readout_hits,
    static_hits,
)
from reproductions.head_mapping.reading import Choice
from reproductions.head_mapping.relations import Relation
from tests.head_mapping.tiny import VOCABULARY, tiny_gemma, tiny_gpt2, tiny_llama, word_tokenizer

MODELS = {"llama": tiny_llama, "gpt2": tiny_gpt2, "gemma": tiny_gemma}


def relation(name: str, pairs: list[tuple[int, int]], top_k: int = 10) -> Relation:
    words = tuple((f"w{source}", f"w{target}") for source, target in pairs)
    return Relation(name, name, "algorithmic", "w5 {} w6", (), top_k, "made up", "none", words)


def random_pairs(n: int = 40, seed: int = 0) -> Pairs:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(2, VOCABULARY, (2, n), generator=generator).T.tolist()
    relations = {"copy": relation("copy", [(s, s) for s, _ in rows[: n // 2]], top_k=1), "any": relation("any", rows)}
    return Pairs.of(relations, word_tokenizer(), most=n)


def brute_force(model, pairs: Pairs, layer: int, head: int, sign: int) -> torch.Tensor:
    """One head the plain way: every row of M whole, ranked by a stable sort that puts the target before its equals."""
    e = model.W_E[pairs.source]
    block = model.blocks[0]
    if layer > 0:
        e = block.mlp(block.ln2(e[None]))
        e = (block.ln2_post(e) if hasattr(block, "ln2_post") else e)[0]
    W_V = model.W_V[layer, head * model.W_V.shape[1] // model.W_O.shape[1]]
    M = sign * (e @ W_V @ model.W_O[layer, head] @ model.W_U)
    hits = []
    for row, target, k in zip(M.double(), pairs.target, pairs.top_k, strict=True):
        rank = int((torch.cat([row[:target], row[target + 1 :]]) > row[target]).sum())
        hits.append(rank < k)
    return torch.tensor(hits)


@pytest.mark.parametrize("name", MODELS)
def test_scores_equal_brute_force_for_every_head(name):
    model, pairs = MODELS[name](), random_pairs(300)
    hits = static_hits(Heads.of(model), pairs)
    assert hits.promoted.any()
    assert hits.suppressed.any()
    for layer in range(model.W_O.shape[0]):
        for head in range(model.W_O.shape[1]):
            assert torch.equal(hits.promoted[:, layer, head], brute_force(model, pairs, layer, head, 1))
            assert torch.equal(hits.suppressed[:, layer, head], brute_force(model, pairs, layer, head, -1))


def two_heads() -> Heads:
    """d = 4, V = 4, E = U = 1: head 0 copies every token, head 1 maps token i to i + 1."""
    W_V = torch.eye(4).expand(1, 2, 4, 4).clone()
    W_O = torch.stack([torch.eye(4), torch.eye(4).roll(1, dims=1)])[None]
    return Heads(W_V, W_O, torch.eye(4), torch.eye(4), lambda tokens: (torch.eye(4)[tokens],))


def test_a_hand_made_two_head_model_scores_what_it_was_made_to_do():
    heads = two_heads()
    source = torch.tensor([0, 1, 2, 3])
    for head, target in ((0, source), (1, (source + 1) % 4)):
        hits = readout_hits(heads, heads.values(source), target, torch.ones(4, dtype=torch.long))
        assert hits.promoted[:, 0, head].all()
        assert not hits.promoted[:, 0, 1 - head].any()


def test_the_target_is_not_counted_against_itself():
    """A copying head at k = 1 keeps every hit although the target's logit comes along another route."""
    generator = torch.Generator().manual_seed(0)
    n, d = 1100, 64
    E = torch.randn(n, d, generator=generator)
    E /= E.norm(dim=1, keepdim=True)  # every token is nearest to itself
    heads = Heads(torch.eye(d)[None, None], torch.eye(d)[None, None], E, E.T, lambda tokens: (E[tokens],))
    tokens = torch.arange(n)
    hits = readout_hits(heads, heads.values(tokens), tokens, torch.ones(n, dtype=torch.long))
    assert hits.promoted.all()


def test_ties_are_not_held_against_a_pair():
    """An output of zero gives every token the same logit: nothing beats the target, nothing is beaten by it."""
    heads = two_heads()
    hits = readout_hits(heads, torch.zeros(1, 1, 2, 4), torch.tensor([2]), torch.tensor([1]))
    assert hits.promoted.all()
    assert hits.suppressed.all()


@pytest.mark.parametrize("size", [1, 40, 5000])
def test_scores_do_not_depend_on_how_many_tokens_are_looked_at_first(size, monkeypatch):
    heads, pairs = Heads.of(tiny_llama()), random_pairs(200)
    expected = static_hits(heads, pairs)
    for name in ("SCREEN", "FIRST_BLOCK", "LATER_BLOCK"):
        monkeypatch.setattr(method, name, size)
    monkeypatch.setattr(method, "extreme_tokens", lambda W_U: extreme_tokens(W_U, size))
    found = static_hits(heads, pairs)
    assert torch.equal(found.promoted, expected.promoted)
    assert torch.equal(found.suppressed, expected.suppressed)


def test_promotion_alone_is_the_same_without_suppression():
    heads, pairs = Heads.of(tiny_llama()), random_pairs(200)
    both, one = static_hits(heads, pairs), static_hits(heads, pairs, suppression=False)
    assert torch.equal(one.promoted, both.promoted)
    assert not one.suppressed.any()


def test_extreme_tokens_are_those_farthest_from_the_mean_column():
    W_U = torch.randn(5, 40, generator=torch.Generator().manual_seed(0)) + 3
    distance = (W_U - W_U.mean(1, keepdim=True)).norm(dim=0)
    assert set(extreme_tokens(W_U, 7).tolist()) == set(distance.topk(7).indices.tolist())


def test_grouped_heads_share_their_value_matrix():
    model = tiny_llama()
    z = Heads.of(model).values(torch.tensor([7, 8]))
    assert torch.equal(z[:, :, 0], z[:, :, 1])
    assert not torch.allclose(z[:, :, 1], z[:, :, 2])


@pytest.mark.parametrize("name", MODELS)
def test_norm_gain_is_what_the_norm_multiplies_by(name):
    """norm(x) = gain * x / rms(x) (+ bias, of centred x): check against the definition on random x."""
    model = MODELS[name]()
    norm, x = model.ln_final, torch.randn(5, 24)
    gain = norm_gain(norm, model.W_E)
    x = x - x.mean(1, keepdim=True)
    expected = gain * x / x.square().mean(1, keepdim=True).sqrt() + norm(torch.zeros(1, 1, 24))[0]
    torch.testing.assert_close(norm(x[None])[0], expected, atol=1e-4, rtol=1e-4)


def test_folded_norms_give_the_scores_of_the_written_out_product():
    model, pairs = tiny_llama(), random_pairs(100)
    heads, plain = Heads.of(model, Choice(fold_norms=True)), Heads.of(model)
    layer, head = 2, 3
    x = plain.sources(pairs.source)[1]
    block = model.blocks[layer]
    out = block.ln1(x[None])[0] @ model.W_V[layer, 1] @ model.W_O[layer, head]
    logits = model.ln_final(out[None])[0] @ model.W_U
    rank = (logits > logits.gather(1, pairs.target[:, None])).sum(1)
    assert torch.equal(static_hits(heads, pairs).promoted[:, layer, head], rank < pairs.top_k)


def test_shuffling_moves_every_target_within_its_relation():
    pairs = random_pairs(40)
    other = pairs.shuffled(3)
    for index in range(2):
        rows = pairs.relation == index
        assert sorted(other.target[rows].tolist()) == sorted(pairs.target[rows].tolist())
    copies = pairs.relation == 0
    assert not (other.target[copies] == pairs.source[copies]).any()


def test_halves_split_every_relation():
    pairs = random_pairs(40)
    first, second = pairs.halves(1)
    assert (first ^ second).all()
    for index in range(2):
        assert int(first[pairs.relation == index].sum()) == int((pairs.relation == index).sum()) // 2


def test_phi_is_the_mean_over_a_relations_pairs():
    pairs = random_pairs(4)
    hits = torch.tensor([1, 1, 1, 0, 0, 1], dtype=torch.bool)[:, None, None]
    assert pairs.relation.tolist() == [0, 0, 1, 1, 1, 1]
    assert pairs.mean(hits).flatten().tolist() == [1.0, 0.5]
    assert pairs.mean(hits, torch.tensor([1, 0, 1, 0, 0, 0], dtype=torch.bool)).flatten().tolist() == [1.0, 1.0]


def test_permuted_heads_keep_their_norms():
    heads = Heads.of(tiny_llama())
    null = heads.permuted(0)
    torch.testing.assert_close(null.W_VO(1, 2).norm(), heads.W_VO(1, 2).norm())
    assert not torch.allclose(null.W_VO(1, 2), heads.W_VO(1, 2))
