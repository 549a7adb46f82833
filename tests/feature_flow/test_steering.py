"""Themes, steerings and their effects on tiny random models, held against plain computations."""

import math

import pytest
import torch

from reproductions.common.edits import Edited, final_states, generate, unembed
from reproductions.common.steering import Divergence
from reproductions.feature_flow import effects, steering
from reproductions.feature_flow.effects import Baseline, ExpectedMass, Scores, Steered, surprise, write
from reproductions.feature_flow.graphs import Node, Step
from reproductions.feature_flow.graphs import Window as GraphWindow
from reproductions.feature_flow.method import predecessors, top_matches
from reproductions.feature_flow.steering import (
    along,
    amplifier,
    at_layer,
    matched_strengths,
    random_graph,
    reached,
    repeated_seed,
    suppressor,
    up_to,
)
from reproductions.feature_flow.taxonomy import Thresholds
from reproductions.feature_flow.themes import LEXICON, NO_WORD, Theme, Vocabulary, _places, find_themes
from tests.feature_flow.tiny_window import LATENTS, tiny_window
from tests.head_mapping.tiny import VOCABULARY, tiny_llama

PROMPTS = ("w3 w4", "w5 w6 w7")


@pytest.fixture(scope="module")
def model():
    found = tiny_llama(n_layers=5)
    with torch.no_grad():
        found.ln_final.weight.fill_(1.0)  # so that the direction of a token's embedding leads to the token
        found.original_model.lm_head.weight.mul_(3.0)  # and the next token is no matter of chance
    return found


@pytest.fixture(scope="module")
def windows(model):
    return [tiny_window(model, layer) for layer in (1, 4)]


@pytest.fixture(scope="module")
def dictionaries(windows):
    return {each.site: each for window in windows for each in window.dictionaries}


@pytest.fixture(scope="module")
def vocabulary():
    """Every token from 10 on is a word; words 0 to 29 lie close to each other, so do 30 to 59, the rest anywhere."""
    generator = torch.Generator().manual_seed(0)
    word_of = torch.cat([torch.full((10,), NO_WORD), torch.arange(VOCABULARY - 10)])
    places = torch.randn(VOCABULARY - 10, 24, generator=generator)
    places[:30, 0] += 12
    places[30:60, 1] += 12
    names = [f"w{number}" for number in range(10, VOCABULARY)]
    return Vocabulary(word_of, names, torch.nn.functional.normalize(places))


@pytest.fixture(scope="module")
def theme(windows, vocabulary):
    return Theme(Node(windows[0].after.site, 3), vocabulary, tuple(range(LEXICON)), 0.9)


def flow_of(windows):
    return {windows[0].after.site: [3], windows[1].residual.site: [1, 2], windows[1].after.site: [5]}


def test_words_are_folded_and_pieces_of_words_are_none():
    class Tokenizer:
        texts = (" early", " Wedding", " wedding", "wedding", " ox", " dances", " 1234", " danc")

        def decode(self, tokens):
            return self.texts[tokens[0]]

    class Model:
        tokenizer, W_E = Tokenizer(), torch.randn(8, 4)

    found = Vocabulary.of(Model(), ["An early wedding, with", "an ox;\nshe Dances."], frequent=1)
    assert found.names == ["wedding", "dances"]
    assert found.word_of.tolist() == [NO_WORD, 0, 0, NO_WORD, NO_WORD, 1, NO_WORD, NO_WORD]
    mean = Model.W_E[1:3].mean(0) - (Model.W_E[1:3].mean(0) + Model.W_E[5]) / 2
    torch.testing.assert_close(found.places[0], torch.nn.functional.normalize(mean, dim=0))
    assert found.tokens_of([0]).nonzero()[:, 0].tolist() == [1, 2]
    assert found.first_words(torch.tensor([3, 2, 1, 5]), 2) == [0, 1]


def test_what_tells_frequent_words_from_rare_ones_is_taken_out():
    """One direction in which words differ much more than in all others."""
    generator = torch.Generator().manual_seed(0)
    W_E = torch.randn(300, 100, generator=generator)
    frequency = torch.nn.functional.normalize(torch.randn(100, generator=generator), dim=0)
    found = _places(W_E + 30 * torch.randn(300, 1, generator=generator) * frequency, torch.arange(300), 300)
    assert (found @ frequency).abs().max() < 0.05
    torch.testing.assert_close(found.norm(dim=1), torch.ones(300))


def test_coherence_is_the_mean_cosine_of_pairs(vocabulary):
    words = torch.tensor([0, 1, 2, 40, 100])
    cosines = vocabulary.places[words] @ vocabulary.places[words].T
    plain = cosines[~torch.eye(5, dtype=torch.bool)].mean()
    torch.testing.assert_close(vocabulary.coherence(words), plain)
    assert vocabulary.chance(10).mean().abs() < 0.1 < vocabulary.coherence(torch.arange(10))


def test_themes_are_the_coherent_latents_and_no_two_are_alike(model, windows, vocabulary, monkeypatch):
    """Latents 0 and 1 promote the first planted cluster, latent 2 the second, all others random words."""
    promoted = torch.rand(LATENTS, VOCABULARY, generator=torch.Generator().manual_seed(1))
    promoted[0, 10:40] += 2
    promoted[1, 12:42] += 2
    promoted[2, 40:70] += 1
    promoted[:, :10] = 9  # no words
    rows = torch.eye(LATENTS)
    monkeypatch.setattr("reproductions.feature_flow.themes.logit_lens", lambda model, rows: rows @ promoted)

    class Rows:
        site, n, directions = "blocks.1.hook_resid_post", LATENTS, rows

    found = find_themes(None, [Rows()], vocabulary, n=5)
    assert {theme.seed.latent for theme in found[:2]} in ({0, 2}, {1, 2})
    assert not any(theme.seed.latent in (0, 1) for theme in found[2:])
    assert found[0].coherence >= found[1].coherence > vocabulary.chance(10).quantile(0.99)
    assert not set(found[0].choosing) & set(found[0].scoring) and len(found[0].scoring) == LEXICON // 2
    dead = find_themes(None, [Rows()], vocabulary, 1, [torch.arange(LATENTS) != found[0].seed.latent])
    assert dead[0].seed != found[0].seed


def test_texts_are_scored_by_the_words_that_did_not_choose(theme):
    scoring = 10 + torch.tensor(theme.scoring)
    texts = torch.stack([torch.cat([scoring[:2], torch.tensor([900, 901])]), 10 + torch.tensor(theme.choosing[:4])])
    assert theme.hits(texts).tolist() == [0.5, 0.0]


def test_a_graph_is_followed_across_gaps_by_the_largest_cosine(windows, dictionaries):
    """Two windows with nothing between: what the seed came from below, and where it goes above."""

    def graph(window):
        found = predecessors(window.after.directions, window.sources)
        residual, mlp, attention, after = window.sites
        return GraphWindow((Step(residual, attention, mlp, after, found, Thresholds(0.5, 0.5, 0.5)),))

    low, high = map(graph, windows)
    edge = next(edge for edge in high.steps[0].edges() if edge.source.site == windows[1].residual.site)
    flow = reached(edge.target, [low, high], dictionaries, least=0.3)
    rows = windows[1].residual.directions[[edge.source.latent]]
    match = top_matches(rows, windows[0].after.directions)
    assert match.best.item() > 0.3
    entry = Node(windows[0].after.site, int(match.source))
    below = {entry, *low.component(entry).ancestors}
    own = set(high.component(edge.target).nodes)
    assert {Node(site, latent) for site, latents in flow.items() for latent in latents} == below | own
    assert list(flow) == sorted(flow, key=steering.layer_of)
    alone = reached(edge.target, [low, high], dictionaries, least=1.1)
    assert {Node(site, latent) for site, latents in alone.items() for latent in latents} == own
    up = reached(entry, [low, high], dictionaries, least=0.0)
    assert any(site in windows[1].sites for site in up)


def test_one_layer_or_all_up_to_it(windows):
    flow = flow_of(windows)
    assert list(at_layer(flow, 3)) == [windows[1].residual.site]
    assert list(up_to(flow, 3)) == [windows[0].after.site, windows[1].residual.site]


def test_what_is_added_is_the_sum_of_rows_weighted_by_layer(windows, dictionaries):
    flow = flow_of(windows)
    site = windows[1].residual.site
    plain = along(flow, dictionaries)
    rows = dictionaries[site].directions
    torch.testing.assert_close(plain.vectors[site], rows[1] + rows[2])
    folded = along(flow, dictionaries, {name: torch.arange(float(LATENTS)) for name in flow})
    torch.testing.assert_close(folded.vectors[site], rows[1] + 2 * rows[2])
    assert plain.norm == pytest.approx(math.sqrt(sum(row.square().sum().item() for row in plain.vectors.values())))


def test_controls_add_as_much_at_each_site(windows, dictionaries):
    flow = flow_of(windows)
    like = along(flow, dictionaries)
    seed = dictionaries[windows[0].after.site].directions[3]
    repeated = repeated_seed(like, seed)
    drawn = random_graph(like, flow, dictionaries, torch.Generator().manual_seed(0))
    for site, vector in like.vectors.items():
        torch.testing.assert_close(repeated.vectors[site].norm(), vector.norm())
        torch.testing.assert_close(drawn.vectors[site].norm(), vector.norm())
        torch.testing.assert_close(torch.cosine_similarity(repeated.vectors[site], seed, dim=0), torch.tensor(1.0))
        assert torch.cosine_similarity(drawn.vectors[site], vector, dim=0) < 0.999


def test_steerings_in_one_batch_are_those_made_one_at_a_time(model, windows, dictionaries):
    flow = flow_of(windows)
    both = [along(flow, dictionaries), along(at_layer(flow, 1), dictionaries)]
    tokens = model.to_tokens("w3 w4 w5")
    strengths = torch.tensor([2.0, 5.0, 0.5])
    together = final_states(model, tokens.repeat(6, 1), amplifier(both)([1, 0, 1], strengths, 2))
    for number, (which, strength) in enumerate(zip([1, 0, 1], strengths, strict=True)):
        plain = {
            site: lambda values, add=strength * vector: values + add for site, vector in both[which].vectors.items()
        }
        with Edited(model, plain):
            alone = model.original_model.base_model(tokens, use_cache=False).last_hidden_state
        torch.testing.assert_close(together[2 * number : 2 * number + 2], alone.expand(2, -1, -1))


def test_suppression_scales_the_activations_of_a_flow(model, windows, dictionaries):
    """h + (r - 1) sum_j a_j v_j by hand at the one site where there is nothing before it to interact with."""
    site = windows[0].after.site
    dictionary = dictionaries[site]
    values = torch.randn(4, 6, 24, generator=torch.Generator().manual_seed(0))
    latents = dictionary.codes(values).sum((0, 1)).topk(2).indices.tolist()
    edit = suppressor([{site: latents}, {site: []}], dictionaries)([0, 1], torch.tensor([3.0, 3.0]), 2)[site]
    codes = dictionary.codes(values)[..., latents]
    expected = values + (-2.0 - 1.0) * codes @ dictionary.directions[latents]
    torch.testing.assert_close(edit(values)[:2], expected[:2])
    torch.testing.assert_close(edit(values)[2:], values[2:])
    assert (expected != values).any()


def test_every_steering_is_as_strong_as_the_divergence_asks(model, windows, dictionaries):
    flow = flow_of(windows)
    both = [along(flow, dictionaries), along(at_layer(flow, 1), dictionaries)]
    divergence, editor = Divergence(model, PROMPTS), amplifier(both)
    targets = (0.05, 0.1)
    strengths = matched_strengths(divergence, editor, torch.tensor([10.0, 3.0]), targets)
    assert strengths.shape == (2, 2) and strengths.isfinite().all()
    for number in range(2):
        found = divergence(editor([number] * 2, strengths[number], divergence.n_prompts), 2)
        torch.testing.assert_close(found, torch.tensor(targets), rtol=0.035, atol=0)
    nothing = suppressor([{windows[0].after.site: []}], dictionaries)
    assert matched_strengths(divergence, nothing, torch.tensor([10.0]), targets).isnan().all()


def test_the_expected_mass_is_the_probability_of_the_scoring_words(model, windows, dictionaries, theme):
    mass = ExpectedMass(model, PROMPTS)
    clean = mass([theme])
    probabilities = []
    for prompt in PROMPTS:
        tokens = model.to_tokens(prompt)
        for _ in range(effects.AHEAD + 1):
            logits = model.original_model(tokens).logits[0, -1]
            probabilities.append(logits.softmax(-1)[10 + torch.tensor(theme.scoring)].sum())
            tokens = torch.cat([tokens, logits.argmax().view(1, 1)], dim=1)
    torch.testing.assert_close(clean[0, 0], torch.stack(probabilities).mean())
    editor = amplifier([along(flow_of(windows), dictionaries)])
    steered = mass([theme], Steered(editor, (0, 0), torch.tensor([0.0, 8.0])))
    torch.testing.assert_close(steered[0], clean[0])
    assert steered.shape == (2, 1) and (steered[1] - clean[0]).abs() > 1e-4


def test_what_is_left_of_a_theme_is_its_mass_beside_the_clean_model(model, windows, dictionaries, theme):
    mass = ExpectedMass(model, PROMPTS)
    editor = amplifier([along(flow_of(windows), dictionaries)])
    steered = Steered(editor, (0, 0), torch.tensor([0.0, 8.0]))
    found = mass.left(theme, steered)
    torch.testing.assert_close(found.share, mass([theme], steered)[:, 0] / mass([theme])[0, 0], rtol=1e-4, atol=1e-5)
    divergences = []
    for prompt in PROMPTS:
        tokens = model.to_tokens(prompt)
        for _ in range(effects.AHEAD + 1):
            clean = unembed(model, final_states(model, tokens))[0, -1].log_softmax(-1)
            edited = unembed(model, final_states(model, tokens, steered.edits(torch.tensor([1]))))[0, -1]
            divergences.append((clean.exp() * (clean - edited.log_softmax(-1))).sum())
            tokens = torch.cat([tokens, clean.argmax().view(1, 1)], dim=1)
    torch.testing.assert_close(found.divergence, torch.stack([torch.tensor(0.0), torch.stack(divergences).mean()]))
    torch.testing.assert_close(found.score[1], (1 - found.share[1]) * torch.exp(-found.divergence[1]))
    torch.testing.assert_close(found.taken[1], -found.share[1].log2())


def test_texts_are_written_by_the_steered_model(model, windows, dictionaries):
    """A direction that leads to one token, so strong that nothing else is ever written."""
    site = windows[1].after.site
    towards = steering.Steering({site: model.W_E[77].detach()})
    away = steering.Steering({site: torch.zeros(24)})
    editor = amplifier([away, towards])
    chosen = Steered.kept(editor, torch.tensor([torch.nan, 1e3]))
    assert chosen.chosen == (1,)
    texts = write(model, PROMPTS, 3, [0, 1], chosen)
    assert texts.shape == (1, 2, 2, 3, effects.WRITTEN) and (texts == 77).all()
    clean = write(model, PROMPTS, 3, [0])
    assert len(clean.unique()) > 5


def test_texts_behind_prompts_of_many_lengths_are_in_the_places_of_their_prompts(model):
    shorter, longer = "w5", "w5 w6 w7"
    found = write(model, (longer, shorter, longer), 2, [3])[0, 0]
    uniform = torch.rand(3, 2, effects.WRITTEN, generator=torch.Generator().manual_seed(3))
    for number, prompt in enumerate((longer, shorter, longer)):
        alone = generate(model, model.to_tokens(prompt).repeat(2, 1), uniform[number])
        assert torch.equal(found[number], alone)


def test_surprise_is_the_mean_loss_behind_the_prompt(model):
    texts = torch.randint(2, 1000, (2, 2, 3, 5), generator=torch.Generator().manual_seed(0))
    found = surprise(model, PROMPTS, texts)
    for number, prompt in enumerate(PROMPTS):
        tokens = torch.cat([model.to_tokens(prompt)[0], texts[1, number, 2]])
        losses = -unembed(model, final_states(model, tokens[None]))[0, -6:-1].log_softmax(-1)
        plain = losses.gather(1, texts[1, number, 2][:, None]).mean()
        torch.testing.assert_close(found[1, number, 2], plain, rtol=1e-4, atol=1e-4)


def test_strange_text_is_incoherent():
    clean = torch.tensor([1.0, 3.0])
    assert effects.coherence(torch.tensor([1.0, 2.0, 2.0 + math.log(2)]), clean).tolist() == pytest.approx([1, 1, 0.5])


def test_behaviour_is_more_of_the_theme_than_other_prompts_bring(model, theme):
    baseline = Baseline.of(model, PROMPTS, ("w8 w9",), 20, 0)
    assert baseline.others.shape == (20, effects.WRITTEN)
    full = 10 + torch.tensor(theme.scoring)[torch.arange(effects.WRITTEN) % len(theme.scoring)]
    texts = torch.stack([full, torch.full_like(full, 900)])[:, None, None].expand(2, 2, 1, -1)
    behaviour = baseline.about(theme, texts)
    assert behaviour[0].eq(1).all() and behaviour[1].eq(0).all()
    assert baseline.about(theme, baseline.others).mean() <= 0.05
    scores = Scores(behaviour, torch.full_like(behaviour, 0.5))
    assert scores.amplified[0].eq(0.5).all() and scores.amplified[1].eq(0).all()
