"""Runs of circuits against whole runs, patches of nodes and, of the pinned models, hooks without TransformerLens.

Scores against finite differences of such runs.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import torch
from transformers import AutoModelForCausalLM

from reproductions.common import edges as common
from reproductions.common import fetch
from reproductions.common.answer_metrics import kl, logit_difference
from reproductions.common.catalogue import model_card
from reproductions.common.edges import (
    EMBEDDING,
    HEAD,
    KEY,
    LOGITS,
    MLP_INPUT,
    QUERY,
    VALUE,
    Edges,
    EdgesError,
    Graph,
    among_nodes,
    circuit,
    dealt,
    greedy,
)
from reproductions.common.models import load_model
from reproductions.common.patching import Node, Patching
from reproductions.common.prompt_pairs import pairs
from tests.common.tiny_bridge import LAYERS, random_pair

BEGIN, LENGTH = 4, 8
STEP = 1e-2


@pytest.fixture(scope="module")
def texts():
    return random_pair(LENGTH, BEGIN)


@pytest.fixture(scope="module")
def edges(model, texts):
    return Edges(model, *texts)


def difference(logits):
    return logit_difference(logits, torch.tensor([3]), torch.tensor([7]))


def random_circuits(graph, n, share=0.5, seed=0):
    left = torch.rand(n, *graph.edges.shape, generator=torch.Generator().manual_seed(seed)) < share
    return left & graph.edges


def slope(edges, x, metric=difference):
    return next(iter(edges.gradients(x, [metric])))


def test_what_sources_add_is_the_residual_stream(edges, model, texts):
    for text, flow in zip(texts, (edges.clean, edges.corrupted), strict=True):
        logits, values = model.run_with_cache(text[None])
        torch.testing.assert_close(edges.logits(flow.inputs[-1, -1]), logits[0, -1])
        for layer in range(LAYERS):
            before = edges.graph.before(layer)
            for place, point, n in ((0, "resid_pre", before), (1, "resid_mid", before + edges.graph.heads)):
                state = values[f"blocks.{layer}.hook_{point}"][0, BEGIN:]
                torch.testing.assert_close(flow.sources[:n].sum(0), state)
                torch.testing.assert_close(flow.inputs[2 * layer + place], state)


def test_all_edges_are_the_clean_run_and_none_the_corrupted_one(edges):
    whole = edges.graph.edges
    found = edges.left(torch.stack([whole, whole & False]))
    torch.testing.assert_close(found[0], edges.logits(edges.clean.inputs[-1, -1]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[1], edges.logits(edges.corrupted.inputs[-1, -1]), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(found[0], found[1])


def test_a_run_patched_with_itself_is_the_run_whatever_is_left(edges):
    found = edges.left(random_circuits(edges.graph, 3), edges.clean)
    torch.testing.assert_close(found, edges.logits(edges.clean.inputs[-1, -1]).expand_as(found), atol=1e-4, rtol=1e-4)


def test_circuits_run_together_as_each_alone(edges, monkeypatch):
    circuits = random_circuits(edges.graph, 5, 0.8)
    alone = torch.cat([edges.left(each[None]) for each in circuits])
    for rows in (32, 2):
        monkeypatch.setattr(common, "ROWS", rows)
        torch.testing.assert_close(edges.left(circuits), alone)
    assert alone.std(0).max() > 0.01


@pytest.mark.parametrize("kind", [QUERY, KEY, VALUE, MLP_INPUT])
def test_a_destination_that_reads_nothing_of_the_clean_run_is_a_patched_node(model, texts, edges, kind):
    """Cutting all edges into a query is to patch that query, and so on."""
    point = {QUERY: "attn.hook_q", KEY: "attn.hook_k", VALUE: "attn.hook_v", MLP_INPUT: "mlp.hook_post"}[kind]
    patching = Patching(model, *texts, [point])
    own = (edges.graph.destination_kinds == kind).nonzero()[:, 0]
    place = own[len(own) // LAYERS]  # the first of layer 1
    left = edges.graph.edges.clone()
    left[:, place] = False
    node = Node(1, point, None if kind == MLP_INPUT else 0)
    patched = patching.logits(patching.patched(patching.clean, patching.corrupted, [[node]]))[0]
    torch.testing.assert_close(edges.left(left[None])[0], patched, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(patched, patching.logits(patching.clean.states[-1]))


@pytest.mark.parametrize("source", ["mlp 0", "1.1"])
def test_a_source_that_nobody_reads_is_a_patched_node(model, texts, edges, source):
    post_norm = hasattr(model.blocks[0], "ln1_post")
    if source == "1.1" and post_norm:
        pytest.skip("a head's share of a norm is not what a patch of that head changes")
    node = Node(0, "hook_mlp_out") if source == "mlp 0" else Node(1, "attn.hook_z", 1)
    patching = Patching(model, *texts, [node.point])
    left = edges.graph.edges.clone()
    left[edges.graph.source_names().index(source)] = False
    patched = patching.logits(patching.patched(patching.clean, patching.corrupted, [[node]]))[0]
    torch.testing.assert_close(edges.left(left[None])[0], patched, atol=1e-4, rtol=1e-4)


def test_scores_are_finite_differences_of_cutting_edges(edges):
    scores = edges.scores(slope(edges, edges.clean.sources[:1])[0])
    places = edges.graph.edges.nonzero()[::7]
    cut = edges.graph.edges.float().repeat(2 * len(places), 1, 1)
    for row, (source, destination) in enumerate(places.tolist()):
        cut[2 * row, source, destination] -= STEP
        cut[2 * row + 1, source, destination] += STEP
    down, up = difference(edges.left(cut)).view(-1, 2).T
    found = scores[places[:, 0], places[:, 1]]
    torch.testing.assert_close(found, (down - up) / (2 * STEP), rtol=2e-2, atol=3e-3)
    assert found.abs().max() > 0.05
    assert scores[~edges.graph.edges].abs().max() == 0


def test_scores_are_exact_where_nothing_bends(edges, monkeypatch):
    """Edges into a final state whose norm is left out, and a metric that is linear in it."""
    direction = torch.randn(edges.clean.sources.shape[-1], generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(Edges, "logits", lambda self, final: final)
    scores = edges.scores(slope(edges, edges.clean.sources[:1], lambda final: final @ direction)[0])
    sources = torch.arange(len(edges.graph.source_kinds))
    left = edges.graph.edges.repeat(len(sources), 1, 1)
    left[sources, sources, -1] = False
    moved = (edges.left(left) - edges.clean.inputs[-1, -1]) @ direction
    torch.testing.assert_close(scores[:, -1], moved, atol=1e-4, rtol=1e-4)


def test_scores_of_edges_from_the_embedding_add_up_along_the_path(edges):
    """Integrated gradients: what is missing falls with the step."""
    change = difference(edges.logits(edges.corrupted.inputs[-1, -1])) - difference(
        edges.logits(edges.clean.inputs[-1, -1])
    )
    missing = [
        abs(float(edges.scores(slope(edges, edges.between(steps)[:-1]).mean(0))[0].sum() - change))
        for steps in (4, 64, 1024)
    ]
    assert missing[2] < 0.02 * abs(change) and missing[2] < missing[1] < missing[0]


def test_kl_has_no_slope_at_the_clean_run(edges):
    clean = edges.logits(edges.clean.inputs[-1, -1])
    at_clean, between = (
        edges.scores(slope(edges, x, lambda logits: kl(logits, clean)).mean(0)).abs().max()
        for x in (edges.clean.sources[:1], edges.between(5)[:-1])
    )
    assert at_clean < 1e-5 * between and between > 0.01


def test_many_metrics_share_a_run(edges):
    x = edges.between(2)
    both = list(edges.gradients(x, [difference, lambda logits: logits[..., 5]]))
    torch.testing.assert_close(both[0], slope(edges, x))
    torch.testing.assert_close(both[1], slope(edges, x, lambda logits: logits[..., 5]))


def test_edges_of_a_graph_are_those_that_can_be():
    graph = Graph(layers=2, heads=4, groups=2)
    names = graph.source_names()
    assert graph.edges.shape == (11, 19) and names[1:7] == ["0.0", "0.1", "0.2", "0.3", "mlp 0", "1.0"]
    assert graph.edges.sum() == 8 * 1 + 5 + 8 * 6 + 10 + 11
    assert graph.feeds[:, names.index("1.3")].nonzero()[:, 0].tolist() == [12, 14, 16]
    assert graph.feeds[:, names.index("mlp 1")].nonzero()[:, 0].tolist() == [17]
    assert not graph.feeds[-1].any() and not graph.feeds[:, 0].any()


def test_greedy_search_takes_the_largest_edge_that_leads_somewhere():
    graph = Graph(layers=2, heads=1, groups=1)
    scores = torch.zeros(graph.edges.shape)
    name = graph.source_names().index
    q1, mlp1, logits = graph.first(1), graph.first(1) + 3, graph.first(2)
    strengths = {
        (name("1.0"), logits): -2,
        (name("mlp 0"), q1): 9,
        (0, mlp1): 99,
        (0, logits): 1,
        (name("mlp 1"), logits): 0.5,
    }
    for (source, destination), strength in strengths.items():
        scores[source, destination] = strength
    found = [tuple(edge) for edge in greedy(graph, scores, 5).tolist()]
    assert found == [(name("1.0"), logits), (name("mlp 0"), q1), (0, logits), (name("mlp 1"), logits), (0, mlp1)]
    every = greedy(graph, scores, int(graph.edges.sum()))
    assert torch.equal(circuit(graph, every), graph.edges)


def test_greedy_circuits_are_those_of_a_plain_search(edges):
    """A search that looks at all edges each time."""
    graph, scores = edges.graph, edges.scores(slope(edges, edges.clean.sources[:1])[0])
    found, reached = [], graph.destination_kinds == LOGITS
    free = graph.edges.clone()
    for _ in range(40):
        place = int((scores.abs() * (free & reached)).argmax())
        source, destination = divmod(place, len(reached))
        found.append([source, destination])
        free[source, destination] = False
        reached |= graph.feeds[:, source]
    assert greedy(graph, scores, 40).tolist() == found


def test_dead_edges_do_nothing(edges):
    graph = edges.graph
    circuits = random_circuits(graph, 4, 0.15)
    live = torch.stack([graph.live(each) for each in circuits])
    assert (live.sum((1, 2)) < circuits.sum((1, 2))).any() and not (live & ~circuits).any()
    torch.testing.assert_close(edges.left(live), edges.left(circuits), atol=1e-4, rtol=1e-4)


def test_dealt_edges_keep_their_kinds_and_drawn_ones_their_nodes(edges):
    graph, generator = edges.graph, torch.Generator().manual_seed(0)
    chosen = circuit(graph, greedy(graph, edges.scores(slope(edges, edges.clean.sources[:1])[0]), 25))
    other = dealt(graph, chosen, generator)
    kinds = graph.source_kinds[:, None] * 10 + graph.destination_kinds
    assert torch.equal(kinds[other].sort()[0], kinds[chosen].sort()[0]) and not torch.equal(other, chosen)
    drawn = among_nodes(graph, chosen, generator)
    assert (
        drawn.sum() == 25 and not (graph.nodes(drawn) & ~graph.nodes(chosen)).any() and not torch.equal(drawn, chosen)
    )
    assert not (other & ~graph.edges).any() and not (drawn & ~graph.edges).any()
    assert graph.nodes(chosen)[graph.source_kinds == HEAD].any() and graph.nodes(chosen)[EMBEDDING]


def test_a_model_with_other_parts_is_refused(model, texts, monkeypatch):
    monkeypatch.setattr(
        common._Parts, "heads", lambda self, layer, z: torch.einsum("nthe,hed->nhtd", z, 2 * self.out[layer])
    )
    with pytest.raises(EdgesError, match="not the sum"):
        Edges(model, *texts)


@pytest.mark.parametrize("name", ["smollm2-135m", "gemma3-270m"])
def test_edges_of_real_models_are_those_of_the_transformers_library_alone(name):
    """What an early MLP says, cut from one query, key or value of a later layer, from its MLP, or from the logits."""
    model = load_model(name, "cpu")
    pair = pairs(model, "indirect objects", 1)[0]
    ours = Edges(model, pair.clean, pair.corrupted)
    graph, early, late = ours.graph, 2, model.cfg.n_layers // 2
    first = graph.first(late)
    places = [first + 1, first + graph.heads, first + graph.heads + graph.groups, first + graph.reads, -1]
    left = graph.edges.repeat(len(places), 1, 1)
    left[range(len(places)), graph.source_names().index(f"mlp {early}"), places] = False
    plain = AutoModelForCausalLM.from_pretrained(
        fetch.ensure(model_card(name)), dtype=torch.float32, attn_implementation="eager", local_files_only=True
    )
    change = said_by_mlp(plain, pair.corrupted, early) - said_by_mlp(plain, pair.clean, early)
    for kind, logits in zip((QUERY, KEY, VALUE, MLP_INPUT, LOGITS), ours.left(left), strict=True):
        cut = without_an_edge(plain, pair.clean, change, late, kind, model.cfg.d_head)
        torch.testing.assert_close(logits, cut, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(cut, ours.ends()[0], atol=2e-3)


@torch.no_grad()
def said_by_mlp(plain, text, layer):
    """What an MLP adds [P + T, d], behind the norm where there is one."""
    block, kept = plain.model.layers[layer], []
    module = getattr(block, "post_feedforward_layernorm", block.mlp)
    with ExitStack() as stack:
        stack.callback(module.register_forward_hook(lambda _, given, made: kept.append(made[0])).remove)
        plain(text[None])
    return kept[0]


@torch.no_grad()
def without_an_edge(plain, text, change, layer, kind, width):
    """Logits where one destination reads a changed residual stream: head 1's query, the first key or value, an MLP."""
    block, stream = plain.model.layers[layer], []
    norm = {MLP_INPUT: getattr(block, "pre_feedforward_layernorm", block.post_attention_layernorm)}
    norm[LOGITS] = plain.model.norm
    own = slice(width, 2 * width) if kind == QUERY else slice(0, width)

    def project(module, given, made):
        read = block.input_layernorm(stream[0] + change)
        made[..., own] = torch.nn.functional.linear(read, module.weight, module.bias)[..., own]
        return made

    with ExitStack() as stack:
        if kind in norm:
            handles = [norm[kind].register_forward_pre_hook(lambda _, given: (given[0] + change,))]
        else:
            module = getattr(block.self_attn, {QUERY: "q_proj", KEY: "k_proj", VALUE: "v_proj"}[kind])
            keep = block.register_forward_pre_hook(lambda _, given: stream.append(given[0]))
            handles = [keep, module.register_forward_hook(project)]
        for handle in handles:
            stack.callback(handle.remove)
        return plain(text[None]).logits[0, -1]
