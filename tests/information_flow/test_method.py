"""The decomposition against brute force, routes against a walk by hand, and heads that are chosen on planted ones."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.head_choice import above_others, contrasted, crossed, top
from reproductions.common.verdicts import HOLDS, judge_claim
from reproductions.common.word_pieces import words
from reproductions.information_flow import explorer, findings
from reproductions.information_flow.method import TINY, flow, layers, nearness, route
from tests.common.tiny_bridge import random_tokens

TAUS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)
CLAIMS = load_claims(findings.Path(findings.__file__).with_name("reproduction.yml"))


@pytest.fixture(scope="module")
def tokens():
    return random_tokens(1, 9)[0]


@pytest.fixture(scope="module")
def passed(model, tokens):
    return layers(model, tokens)


def test_parts_sum_to_the_states(passed):
    for layer in passed:
        brought = torch.einsum("hij,hjd->id", layer.weight, layer.value)
        added = layer.active @ layer.out

        assert torch.allclose(layer.before + brought, layer.between, rtol=1e-4, atol=1e-4 * layer.between.abs().max())
        assert torch.allclose(layer.between + added, layer.after, rtol=1e-4, atol=1e-4 * layer.after.abs().max())


def test_states_are_those_of_the_model(model, tokens, passed):
    states = model.original_model(tokens[None], output_hidden_states=True).hidden_states

    for state, layer in zip(states[:-1], passed, strict=True):
        assert torch.allclose(state[0], layer.before, atol=1e-4)


def test_each_head_brings_what_it_writes_alone(model, tokens, passed):
    """Brute force: what attention writes with all other heads at zero, before the norm, and by the norm's own scale."""
    found, head, kept = passed[1], 1, []

    def alone(z, hook):
        return z * torch.eye(z.shape[-2])[head][:, None]

    def keep(written, hook):
        kept.append(written[0])

    with model.hooks([("blocks.1.attn.hook_z", alone), ("blocks.1.attn.hook_out", keep)]):
        model(tokens[None])
    normed = hasattr(model.blocks[1], "ln1_post")
    gain = model.blocks[1].ln1_post(torch.ones_like(kept[0])) if normed else 1
    scale = (found.weight / found.pattern)[0].diagonal()[:, None]  # 1 where nothing is normed

    brought = (found.weight[head, :, :, None] * found.value[head]).sum(1)
    assert torch.allclose(brought, kept[0] * gain * scale, atol=1e-4 * brought.abs().max())
    assert normed != bool((scale == 1).all())


def test_importances_sum_to_one_and_are_those_of_a_loop(passed):
    found = flow(passed)
    assert torch.allclose(found.joined.sum(-1), torch.ones_like(found.stay), atol=1e-5)
    layer, to = passed[2], 6
    whole = layer.between[to]

    near = {"stay": max(whole.abs().sum() - (whole - layer.before[to]).abs().sum(), TINY)}
    for head in range(len(layer.value)):
        for source in range(to + 1):
            part = layer.weight[head, to, source] * layer.value[head, source]
            near[head, source] = max(whole.abs().sum() - (whole - part).abs().sum(), TINY)
    total = sum(near.values())

    assert found.stay[2, to].item() == pytest.approx(float(near.pop("stay") / total), rel=1e-3)
    for (head, source), value in near.items():
        assert found.heads[2, head, to, source].item() == pytest.approx(float(value / total), rel=1e-3, abs=1e-6)
    assert not found.heads[2, :, to, to + 1 :].any()


def test_nearness_of_parts_that_are_known():
    whole = torch.tensor([1.0, -2.0, 3.0])

    assert nearness(whole, whole).item() == 6
    assert nearness(whole, -whole).item() == pytest.approx(TINY)
    assert nearness(whole, torch.tensor([0.5, 0.0, 0.0])).item() == 0.5


def test_neurons_and_the_state_before_share_out_the_state_after(passed):
    layer = passed[1]
    found = layer.neurons(3)
    parts = nearness(layer.after[3], torch.cat([layer.between[3, None], layer.active[3, :, None] * layer.out]))

    assert torch.allclose(found, (parts / parts.sum())[1:])
    assert 0 < found.sum() < 1


def test_without_the_first_token_the_rest_sums_to_one(passed):
    found = flow(passed).without_first()

    assert torch.allclose(found.joined.sum(-1), torch.ones_like(found.stay), atol=1e-5)
    assert not found.heads[:, :, 1:, 0].any()


def test_routes_shrink_as_the_threshold_rises(passed):
    found = flow(passed)
    routes = [route(found, tau) for tau in TAUS]

    for wide, narrow in pairwise(routes):
        assert narrow.size < wide.size
        for name in ("states", "between", "past", "mlps", "edges"):
            assert (getattr(wide, name) | ~getattr(narrow, name)).all()


@pytest.mark.parametrize("tau", TAUS)
def test_everything_on_a_route_is_reached_from_the_top(passed, tau):
    found = flow(passed)
    met = route(found, tau)
    n_layers, n = found.mlp.shape
    reached = {(n_layers, n - 1)}  # a walk by hand
    for layer in reversed(range(n_layers)):
        for to in range(n):
            on = (layer + 1, to) in reached and max(found.mlp[layer, to], 1 - found.mlp[layer, to]) > tau
            assert bool(met.between[layer, to]) == on
            reached |= {(layer, j) for j in range(n) if on and found.joined[layer, to, j] > tau}
    assert {tuple(place) for place in met.states.nonzero().tolist()} == reached


def test_the_explorer_draws_the_route(model):
    content = explorer.explorer(model, ["w1 w2 w3 w4"], tau=0.05)

    checked = explorers.check("graph", content)
    (graph,) = checked["graphs"]
    found = flow(layers(model, explorer.cut_to_size(model, "w1 w2 w3 w4")[0]))
    met = route(found, 0.05)
    assert len(graph["edges"]) == met.size
    assert len(graph["nodes"]) == met.states.sum() + met.between.sum() + met.mlps.sum()
    assert all(edge["weight"] >= 0.05 for edge in graph["edges"])
    assert all(lists for node in graph["nodes"] for row in node["parts"][0]["lists"] for lists in row["lists"].values())


def test_a_long_sentence_keeps_its_end_and_says_so(model):
    tokens, note = explorer.cut_to_size(model, " ".join(["w1"] * 30 + ["w2"]))

    assert len(tokens) == explorer.LONGEST + 1
    assert note == " (its last 24 tokens of 31)"
    assert model.to_string(tokens)[-2:] == "w2"


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_no_sentence_leaves_ours(text):
    assert explorer.sentences(text) == list(explorer.SENTENCES)


@pytest.mark.parametrize("text", ["w1", "w1\n\tw2", "<s> w3", "“é” 🙂 " + "w4 " * 40, "\u202ew5"])
def test_any_sentence_can_be_drawn(model, text):
    assert explorers.check("graph", explorer.explorer(model, [text], tau=0.1))


def test_second_tokens_of_words_are_found():
    class Pieces:
        @staticmethod
        def convert_ids_to_tokens(_):
            return ["<s>", "▁The", "▁token", "izer", "s", "▁run", ".", "▁A", "▁day"]

    class Model:
        tokenizer = Pieces

    second, single = words(Model, torch.arange(9))

    assert second.nonzero()[:, 0].tolist() == [3]
    assert single.nonzero()[:, 0].tolist() == [5, 8]


def numbers(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def read(n=20, strong=0.0, **changes):
    """Heads of random importance; one in twenty attends to the previous token, and has so much more importance."""
    heads = (n, 5, 4)
    offsets = 0.1 * numbers(*heads, findings.OFFSETS)
    offsets[:, 2, 1, 0] += 0.5
    share = numbers(*heads)
    share[:, 2, 1] += strong
    joins = 0.1 * numbers(*heads)
    joins[:, 3, 2] += 0.5
    values = {"share": share, "sinkless": share, "offsets": offsets, "second": share, "second_sinkless": share}
    values |= {"single": numbers(*heads), "joins": joins}
    return findings.Read(**(values | {"sink": numbers(n)} | changes))


def verdict(claim_id, metrics):
    claim = next(claim for claim in CLAIMS.claims if claim.id == claim_id)
    return judge_claim(claim, {metric.name: metric for metric in metrics}, "quick").verdict


def test_previous_token_heads_hold_only_where_they_matter():
    assert verdict("H1", findings.head_metrics(read(strong=2.0), 0)) == HOLDS
    assert verdict("H1", findings.head_metrics(read(strong=0.0), 0)) != HOLDS
    assert verdict("H1", findings.head_metrics(read(strong=-2.0), 0)) != HOLDS


def test_heads_that_matter_at_every_word_do_not_join_subwords():
    found = read()
    second, everywhere = found.second.clone(), found.single.clone()
    second[:, 3, 2] += 2
    everywhere[:, 3, 2] += 2

    assert verdict("H2", findings.head_metrics(replace(found, second=second), 0)) == HOLDS
    planted = replace(found, second=second, single=everywhere)
    planted = replace(planted, single=second)
    assert verdict("H2", findings.head_metrics(planted, 0)) != HOLDS


def test_heads_of_a_domain_hold_only_where_domains_differ():
    prose, code = read(16), read(16)
    shifted = code.share + 0.05 * numbers(16, 5, 4)
    shifted[:, 1, 1] += 2

    assert verdict("D1", findings.domain_metrics(replace(code, share=shifted), prose, 0)) == HOLDS
    noise = torch.rand(32, 5, 4, generator=torch.Generator().manual_seed(3)).split(16)
    same = [replace(prose, share=half) for half in noise]
    assert verdict("D1", findings.domain_metrics(*same, 0)) != HOLDS


def test_choosing_and_measuring_use_different_texts():
    """Noise alone: the heads that look best on one half are no better on the other."""
    noise = torch.randn(40, 10, 10, generator=torch.Generator().manual_seed(1))

    def best(those):
        return top(noise[those].mean(0))

    held = torch.tensor(crossed(noise, best, 0)).mean()
    seen = above_others(noise, best(torch.arange(40))).mean()
    ours, theirs = contrasted((noise[:20], noise[20:]), 0)
    assert abs(held) < 0.15 < seen
    assert abs(sum(ours) / 20 - sum(theirs) / 20) < 0.3


def test_prompts_are_judged_by_what_agrees():
    generator = torch.Generator().manual_seed(2)
    effects, other, third = torch.randn(3, 8, 1, 60, generator=generator)
    near = [effects + 0.3 * torch.randn(8, 1, 60, generator=generator) for _ in range(3)]
    given = torch.cat([*near, other], 1)
    routes = torch.cat([near[1].abs(), near[2].abs(), third.abs()], 1)
    seconds = torch.tensor([1.0, 128.0, 2.0]) * (1 + torch.rand(8, 3, generator=generator))

    found = findings.prompt_metrics(findings.Prompts(routes, given, seconds))

    assert [verdict(claim, found) for claim in ("T1", "T2", "K1", "C1")] == [HOLDS] * 4
    faulty = findings.Prompts(routes[:, [2, 0, 1]], given[:, [0, 3, 3, 3]], seconds[:, [1, 0, 2]])
    assert HOLDS not in [verdict(claim, findings.prompt_metrics(faulty)) for claim in ("T1", "K1", "C1")]


def test_ways_to_find_heads_stand_at_their_cost_and_agreement():
    effects = torch.randn(3, 4, 30, generator=torch.Generator().manual_seed(0))
    routes = torch.stack([effects[:, 0].abs(), effects[:, 0], -effects[:, 0].abs()], 1)
    seconds = torch.tensor([1.0, 128.0, 2.0]).repeat(3, 1)

    ways = findings.ways(findings.Prompts(routes, effects, seconds))

    assert [own for own, _ in ways.values()] == [[s] * 3 for s in (1.0, 1.0, 2.0, 2.0, 2.0, 128.0)]
    route, other, contrast, _, together, alone = (agrees for _, agrees in ways.values())
    assert route == together == alone == pytest.approx([1.0] * 3)
    assert other == pytest.approx([-1.0] * 3) and max(contrast) < 0.9
