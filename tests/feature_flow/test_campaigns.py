"""Ways to steer that are compared, on tiny random models."""

import pytest
import torch

from reproductions.common.steering import Divergence
from reproductions.feature_flow import campaigns
from reproductions.feature_flow.campaigns import (
    CUMULATIVE,
    ONE_LAYER,
    OTHER_GRAPH,
    RANDOM_GRAPH,
    REPEATED,
    SEED,
    WAYS,
    Atlas,
    Campaign,
    campaign,
    conditions,
    strengths_at,
)
from reproductions.feature_flow.effects import Baseline, ExpectedMass, Steered
from reproductions.feature_flow.experiments import Matched
from reproductions.feature_flow.graphs import Node
from reproductions.feature_flow.readings import read
from reproductions.feature_flow.steering import Steering, amplifier, suppressor
from reproductions.feature_flow.taxonomy import UNEXPLAINED
from reproductions.feature_flow.themes import LEXICON, NO_WORD, Theme, Vocabulary
from tests.feature_flow.tiny_window import tiny_texts, tiny_window
from tests.head_mapping.tiny import VOCABULARY, tiny_llama

PROMPTS = ("w3 w4", "w5 w6 w7")
LAYERS = 5


@pytest.fixture(scope="module")
def model():
    found = tiny_llama(n_layers=LAYERS)
    with torch.no_grad():
        found.ln_final.weight.fill_(1.0)
        found.original_model.lm_head.weight.mul_(3.0)
    return found


@pytest.fixture(scope="module")
def atlas(model):
    matched = Matched.of(tiny_window(model), rate=0.2)
    return Atlas([matched], read(model, [matched.window], tiny_texts(8)))


@pytest.fixture(scope="module")
def themes(atlas):
    """Two latents with a residual predecessor, each with words of its own."""
    word_of = torch.cat([torch.full((10,), NO_WORD), torch.arange(VOCABULARY - 10)])
    places = torch.randn(VOCABULARY - 10, 24, generator=torch.Generator().manual_seed(0))
    vocabulary = Vocabulary(word_of, [f"w{n}" for n in range(10, VOCABULARY)], torch.nn.functional.normalize(places))
    [matched] = atlas.matched
    carried = (matched.cosine.s_R > matched.thresholds.residual).nonzero()[:2, 0].tolist()
    site = matched.window.after.site
    return [
        Theme(Node(site, latent), vocabulary, tuple(range(400 * number, 400 * number + LEXICON)), 0.9)
        for number, latent in enumerate(carried)
    ]


@pytest.fixture(scope="module")
def ways(model, atlas, themes):
    """With another window far above, to which nothing flows."""
    above = Matched.of(tiny_window(model, 4), rate=0.01)
    readings = [*atlas.readings, *read(model, [above.window], tiny_texts(8))]
    return conditions(Atlas([*atlas.matched, above], readings), themes, seed=0)


def matched(model, themes, ways, targets=(0.02,)):
    """A campaign whose ways all reach the targets."""
    return campaign(themes, ways, strengths_at(model, ways, targets, PROMPTS), PROMPTS)


def test_controls_are_as_long_as_the_graph_at_every_site(ways):
    assert tuple(ways) == WAYS
    for whole, repeated, random in zip(ways[CUMULATIVE], ways[REPEATED], ways[RANDOM_GRAPH], strict=True):
        assert set(whole.vectors) == set(repeated.vectors) == set(random.vectors)
        for site, vector in whole.vectors.items():
            for other in (repeated, random):
                torch.testing.assert_close(other.vectors[site].norm(), vector.norm())
            assert vector.norm() == 0 or not torch.allclose(random.vectors[site], vector)


def test_one_layer_is_the_seeds_part_of_the_graph(atlas, themes, ways):
    for theme, seed, layer, whole in zip(themes, ways[SEED], ways[ONE_LAYER], ways[CUMULATIVE], strict=True):
        direction = atlas.dictionaries[theme.seed.site].directions[theme.seed.latent]
        typical = atlas.typical[theme.seed.site][theme.seed.latent]
        assert list(seed.vectors) == [theme.seed.site]
        torch.testing.assert_close(seed.vectors[theme.seed.site], typical * direction)
        assert "blocks.0.hook_resid_post" in whole.vectors
        assert "blocks.0.hook_resid_post" not in layer.vectors
        assert {**whole.vectors, **layer.vectors}.keys() == whole.vectors.keys()
        torch.testing.assert_close(layer.vectors[theme.seed.site], whole.vectors[theme.seed.site])


def test_all_ways_change_the_next_token_as_much(model, themes, ways):
    made = matched(model, themes, ways)
    steered = made.at(0)
    divergence = Divergence(model, PROMPTS)
    edits = steered.edits(torch.arange(len(steered.chosen)), divergence.n_prompts)

    assert len(steered.chosen) > len(themes)
    effects = divergence(edits, len(steered.chosen))
    torch.testing.assert_close(effects, torch.full_like(effects, 0.02), atol=0.0, rtol=0.031)


def test_what_steers_nothing_is_left_out(model, themes, ways):
    nothing = {**ways, SEED: [Steering({}) for _ in themes]}
    made = matched(model, themes, nothing)
    clean = Baseline.of(model, PROMPTS, PROMPTS, 2, 0)

    gains = made.masses(model)
    texts = campaigns.written(model, made, 0, 2, (0, 1), clean)

    assert gains[:, list(nothing).index(SEED)].isnan().all()
    assert texts[SEED][0].amplified.isnan().all()
    assert texts[CUMULATIVE][0].amplified.shape == (2, len(PROMPTS), 2)
    assert not texts[CUMULATIVE][0].amplified.isnan().any()


def test_texts_of_a_seed_are_its_own_and_the_same_again(model, themes, ways):
    made = matched(model, themes, ways)
    clean = Baseline.of(model, PROMPTS, PROMPTS, 2, 0)
    both, one = (campaigns.written(model, made, 0, 2, seeds, clean)[CUMULATIVE] for seeds in ((0, 1), (1,)))

    torch.testing.assert_close(both[0].coherence[1], one[0].coherence[0])
    assert not torch.equal(both[0].coherence[0], both[0].coherence[1])


def test_each_layer_is_steered_alone(model, themes, ways):
    found = campaigns.by_layer(model, themes, ways[CUMULATIVE], 0.02, PROMPTS)
    one = matched(model, themes, {ONE_LAYER: ways[ONE_LAYER]}).masses(model)[:, 0, 0]

    assert list(found) == [0, 1]
    torch.testing.assert_close(found[1], one)


def test_some_ways_of_a_campaign_keep_their_strengths_or_take_those_of_one(model, themes, ways):
    made = matched(model, themes, ways, (0.01, 0.02))
    few = made.only((RANDOM_GRAPH, SEED))
    alike = few.as_strong_as(SEED)
    places = [WAYS.index(way) for way in few.ways]

    expected = made.strengths.view(len(themes), len(WAYS), 2)[:, places]
    torch.testing.assert_close(few.strengths.view_as(expected), expected)
    assert few.steerings == [ways[way][theme] for theme in range(len(themes)) for way in few.ways]
    torch.testing.assert_close(alike.strengths.view_as(expected), expected[:, [1]].expand_as(expected))
    torch.testing.assert_close(alike.masses(model)[:, 1], made.masses(model)[:, places[1]])


def test_nothing_is_suppressed_where_nothing_is_active(model, atlas, themes, monkeypatch):
    monkeypatch.setattr(campaigns, "prompts_about", lambda theme: list(PROMPTS))
    monkeypatch.setattr(Atlas, "flow", lambda self, theme: {})

    found = campaigns.suppressed(model, atlas, themes)[0]

    for way in (CUMULATIVE, ONE_LAYER, OTHER_GRAPH):
        torch.testing.assert_close(found[way].score, torch.zeros(len(themes)))
        torch.testing.assert_close(found[way].taken, torch.zeros(len(themes)))


def test_a_flow_is_suppressed_as_far_up_as_its_seed(model, atlas, themes, monkeypatch):
    """Held against removals that are made by hand, one theme and one way after the other."""
    monkeypatch.setattr(campaigns, "prompts_about", lambda theme: list(PROMPTS))
    above = "blocks.4.hook_resid_post"
    flows = {id(theme): {theme.seed.site: [theme.seed.latent, 5], above: [1]} for theme in themes}
    flows[id(themes[0])] |= {"blocks.0.hook_resid_post": [2, 3, 4]}
    monkeypatch.setattr(Atlas, "flow", lambda self, theme: flows[id(theme)])

    found = campaigns.suppressed(model, atlas, themes)[-1]

    at_seed = {themes[0].seed.site: [themes[0].seed.latent, 5]}
    for way, flow in ((ONE_LAYER, at_seed), (CUMULATIVE, {**at_seed, "blocks.0.hook_resid_post": [2, 3, 4]})):
        steered = Steered(suppressor([flow], atlas.dictionaries), (0,), torch.tensor([2.0]))
        alone = ExpectedMass(model, PROMPTS).left(themes[0], steered)
        torch.testing.assert_close(found[way].share[:1], alone.share)
        torch.testing.assert_close(found[way].divergence[:1], alone.divergence)
    assert (found[CUMULATIVE].share[0] - found[ONE_LAYER].share[0]).abs() > 1e-5


def test_seeds_have_predecessors_and_fire_neither_rarely_nor_often(atlas):
    [allowed] = atlas.seeds(rare=0.02, common=0.3)
    [matched], [read_once] = atlas.matched, atlas.readings
    rates = read_once.rates(matched.window.after.site)

    assert allowed.any()
    assert rates[allowed].min() > 0.02
    assert rates[allowed].max() < 0.3
    assert (matched.states[allowed] != UNEXPLAINED).all()


def test_an_amplifier_of_all_ways_leaves_other_sites_alone(ways):
    every = [ways[way][0] for way in WAYS]
    edits = amplifier(every)([0], torch.tensor([2.0]), 1)
    values = torch.randn(1, 3, 24, generator=torch.Generator().manual_seed(0))

    own = every[0].vectors
    for site, edit in edits.items():
        expected = values + 2 * own[site] if site in own else values
        torch.testing.assert_close(edit(values), expected)


def test_an_example_is_a_text_of_the_theme_it_stands_for(model, themes):
    towards = [Steering({"blocks.4.hook_resid_post": model.W_E[70 + number].detach()}) for number in range(2)]
    every = [steering for each in towards for steering in (each, Steering({}))]
    strengths = torch.tensor([[1e3], [1e3], [1e3], [torch.nan]])
    made = Campaign(themes, [CUMULATIVE, SEED], every, strengths, PROMPTS)

    texts = campaigns.examples(model, made, 0, CUMULATIVE, 0)

    assert [theme for theme, _ in texts] == themes
    assert [text.split()[-3:] for _, text in texts] == [["w70"] * 3, ["w71"] * 3]
