"""What the site draws of a window: seeds, where they come from, and what each feature is."""

import json
from dataclasses import replace

import pytest

from reproductions.feature_flow import cards
from reproductions.feature_flow.cards import WindowCards, flow_graph
from reproductions.feature_flow.experiments import Matched
from reproductions.feature_flow.graphs import Node
from reproductions.feature_flow.readings import read
from reproductions.feature_flow.taxonomy import STATES
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
    return json.loads(json.dumps(flow_graph([window_cards]), allow_nan=False))


def test_a_seed_has_its_three_nearest_predecessors(window_cards, drawn):
    [window] = drawn["windows"]
    into = {(e["from"], e["score"]) for e in window["edges"] if e["to"] == "R1/3"}
    found = window_cards.matched.cosine

    assert into == {
        (f"{site}/{int(matches.source[3])}", round(matches.best[3].item(), 3))
        for site, matches in (("R0", found.residual), ("M1", found.mlp), ("A1", found.attention))
    }


def test_other_edges_are_above_the_thresholds_and_few(window_cards, drawn):
    [window] = drawn["windows"]
    others = [e for e in window["edges"] if e["to"] not in window["seeds"]]
    least = vars(window_cards.matched.thresholds)

    for source in {e["from"] for e in others}:
        own = [e["score"] for e in others if e["from"] == source]
        module = {"R": "residual", "M": "mlp", "A": "attention"}[source[0]]
        assert len(own) <= cards.COUSINS
        assert min(own) >= round(least[module], 3)


def test_every_end_of_an_edge_is_a_node_of_a_site(drawn):
    [window] = drawn["windows"]
    nodes = {node["id"]: node for node in window["nodes"]}
    columns = {site["id"]: site["column"] for site in window["sites"]}

    assert set(nodes) == {*window["seeds"], *(e[end] for e in window["edges"] for end in ("from", "to"))}
    assert window["seeds"] == [f"R1/{latent}" for latent in SEEDS]
    for e in window["edges"]:
        assert columns[nodes[e["from"]]["site"]] < columns[nodes[e["to"]]["site"]]


def test_only_latents_behind_the_layer_have_a_kind(drawn):
    [window] = drawn["windows"]

    assert drawn["kinds"] == list(STATES)
    for node in window["nodes"]:
        assert (node["kind"] in STATES) == (node["site"] == "R1")


def test_contexts_are_where_the_latent_is_most_active(window_cards, drawn):
    [window] = drawn["windows"]
    node = next(node for node in window["nodes"] if node["id"] == "R1/3")
    codes = window_cards.readings.codes[window_cards.matched.window.after.site].csr

    peaks = [max(context["activations"]) for context in node["contexts"]]
    assert peaks
    assert peaks[0] == pytest.approx(codes[:, [3]].max(), abs=0.06)
    assert peaks == sorted(peaks, reverse=True)
    for context in node["contexts"]:
        assert len(context["tokens"]) == len(context["activations"]) <= cards.BEFORE + cards.BEHIND + 1


def test_promoted_tokens_lead_and_suppressed_ones_trail(window_cards, drawn):
    [window] = drawn["windows"]
    node = next(node for node in window["nodes"] if node["id"] == "R1/7")
    model = window_cards.model
    direction = window_cards.matched.window.after.directions[7]
    logits = model.original_model.lm_head(model.ln_final(direction[None]))[0]

    assert node["promoted"][0] == model.tokenizer.decode([int(logits.argmax())])
    assert node["suppressed"][0] == model.tokenizer.decode([int(logits.argmin())])


def test_no_edge_is_drawn_twice(window_cards):
    site = window_cards.matched.window.after.site
    everything = replace(window_cards, seeds=[Node(site, latent) for latent in range(LATENTS)])

    ends = [(edge["from"], edge["to"]) for edge in everything.to_json()["edges"]]

    assert len(set(ends)) == len(ends) >= 3 * LATENTS
