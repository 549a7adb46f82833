"""What the site draws of a window: seeds, where they come from, and what each feature is."""

import json
from dataclasses import replace

import pytest

from reproductions.common import explorers
from reproductions.feature_flow import cards
from reproductions.feature_flow.cards import WindowCards, flow_graph
from reproductions.feature_flow.experiments import Matched
from reproductions.feature_flow.graphs import Node
from reproductions.feature_flow.readings import read
from reproductions.feature_flow.taxonomy import STATES, Thresholds
from tests.feature_flow.tiny_window import LATENTS, tiny_texts, tiny_window
from tests.head_mapping.tiny import tiny_llama

SEEDS = (3, 7, 11)


@pytest.fixture(scope="module")
def model():
    return tiny_llama(n_layers=3)


@pytest.fixture(scope="module")
def window_cards(model):
    matched = Matched.of(tiny_window(model), rate=0.2)
    seeds = [Node(matched.window.after.site, latent) for latent in SEEDS]
    return WindowCards(model, matched, read(model, [matched.window], tiny_texts(8))[0], seeds)


@pytest.fixture(scope="module")
def drawn(window_cards):
    return json.loads(explorers.text("graph", flow_graph([window_cards])))


def part(graph, name, title):
    [node] = [node for node in graph["nodes"] if node["name"] == name]
    return next(part for part in node["parts"] if part["title"] == title)


def test_a_seed_has_its_three_nearest_predecessors(window_cards, drawn):
    [graph] = drawn["graphs"]
    into = {(e["from"], e["weight"]) for e in graph["edges"] if e["to"] == "R1/3"}
    found = window_cards.matched.cosine

    assert into == {
        (f"{site}/{int(matches.source[3])}", round(matches.best[3].item(), 3))
        for site, matches in (("R0", found.residual), ("M1", found.mlp), ("A1", found.attention))
    }


def test_other_edges_are_above_the_thresholds_and_few(window_cards, drawn):
    [graph] = drawn["graphs"]
    others = [e for e in graph["edges"] if e["to"] not in graph["starts"]]
    least = vars(window_cards.matched.thresholds)

    for source in {e["from"] for e in others}:
        own = [e["weight"] for e in others if e["from"] == source]
        module = {"R": "residual", "M": "mlp", "A": "attention"}[source[0]]
        assert len(own) <= cards.COUSINS
        assert min(own) >= round(least[module], 3)


def test_every_end_of_an_edge_is_a_node_of_a_site(drawn):
    [graph] = drawn["graphs"]
    nodes = {node["name"]: node for node in graph["nodes"]}
    columns = {place["name"]: place["column"] for place in graph["places"]}

    assert set(nodes) == {*graph["starts"], *(e[end] for e in graph["edges"] for end in ("from", "to"))}
    assert graph["starts"] == [f"R1/{latent}" for latent in SEEDS]
    for e in graph["edges"]:
        assert columns[nodes[e["from"]]["place"]] < columns[nodes[e["to"]]["place"]]


def test_only_latents_behind_the_layer_have_a_kind(drawn):
    [graph] = drawn["graphs"]

    assert [kind["name"] for kind in drawn["kinds"]] == list(STATES)
    for node in graph["nodes"]:
        assert (node["kind"] in STATES) == (node["place"] == "R1")


def test_contexts_are_where_the_latent_is_most_active(window_cards, drawn):
    [graph] = drawn["graphs"]
    texts = part(graph, "R1/3", "Contexts")["texts"]
    codes = window_cards.readings.codes[window_cards.matched.window.after.site].csr

    peaks = [max(each["weights"]) for each in texts]
    assert peaks
    assert peaks[0] == pytest.approx(codes[:, [3]].max(), abs=0.06)
    assert peaks == sorted(peaks, reverse=True)
    for each in texts:
        assert len(each["tokens"]) == len(each["weights"]) <= cards.BEFORE + cards.BEHIND + 1


def test_promoted_tokens_lead_and_suppressed_ones_trail(window_cards, drawn):
    [graph] = drawn["graphs"]
    [row] = part(graph, "R1/7", "Tokens")["lists"]
    model = window_cards.model
    direction = window_cards.matched.window.after.directions[7]
    logits = model.original_model.lm_head(model.ln_final(direction[None]))[0]

    assert row["lists"]["promoted"][0] == model.tokenizer.decode([int(logits.argmax())])
    assert row["lists"]["suppressed"][0] == model.tokenizer.decode([int(logits.argmin())])


def test_no_edge_is_drawn_twice(window_cards):
    site = window_cards.matched.window.after.site
    everything = replace(window_cards, seeds=[Node(site, latent) for latent in range(LATENTS)])

    ends = [(edge["from"], edge["to"]) for edge in everything.to_json(Thresholds(0.0, 0.0, 0.0))["edges"]]

    assert len(set(ends)) == len(ends) >= 3 * LATENTS
