"""Numbers follow from planted outcomes, and the whole of a tiny run declares every number and judges every claim."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import mannwhitneyu

import reproductions.feature_flow as here
from reproductions.common.claims import NOT_TESTED, Metric, judge, load_claims
from reproductions.feature_flow import campaigns, experiments, figures, findings, steering_findings
from reproductions.feature_flow.campaigns import CONDITIONS, CUMULATIVE, RANDOM_GRAPH, Atlas
from reproductions.feature_flow.deactivation import Outcome
from reproductions.feature_flow.effects import Baseline
from reproductions.feature_flow.experiments import RANDOM, TOP_1, Matched, alone
from reproductions.feature_flow.findings import absolute, between, over
from reproductions.feature_flow.graphs import Node
from reproductions.feature_flow.groups import MLP, RES, Cases
from reproductions.feature_flow.matching import MODULES
from reproductions.feature_flow.readings import read
from reproductions.feature_flow.taxonomy import seed_level
from reproductions.feature_flow.themes import LEXICON, NO_WORD, Theme, Vocabulary
from reproductions.feature_flow.transitions import Explained
from reproductions.feature_flow.windows import WindowError
from tests.feature_flow.tiny_window import tiny_texts, tiny_window
from tests.head_mapping.tiny import VOCABULARY, tiny_llama

PROMPTS = ("w3 w4", "w5 w6 w7")
KINDS = ("prose", "technical")
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def model():
    found = tiny_llama(n_layers=5)
    with torch.no_grad():
        found.ln_final.weight.fill_(1.0)
        found.original_model.lm_head.weight.mul_(3.0)
    return found


@pytest.fixture(scope="module")
def matched(model):
    return [Matched.of(tiny_window(model, layer), rate=0.2) for layer in (1, 4)]


@pytest.fixture(scope="module")
def readings(model, matched):
    return [read(model, each.window, tiny_texts(8)) for each in matched]


@pytest.fixture(scope="module")
def trials(model, matched, readings):
    texts = tiny_texts(12)
    return [trial for seed in SEEDS for trial in experiments.trials(model, matched, readings, texts, seed)]


@pytest.fixture(scope="module")
def removed(model, matched, readings, trials):
    by_window = dict(zip(matched, readings, strict=True))
    return [experiments.remove(model, trial, by_window[trial.matched], 3, 2) for trial in trials]


@pytest.fixture(scope="module")
def themes(matched):
    word_of = torch.cat([torch.full((10,), NO_WORD), torch.arange(VOCABULARY - 10)])
    places = torch.randn(VOCABULARY - 10, 24, generator=torch.Generator().manual_seed(0))
    names = [f"w{number}" for number in range(10, VOCABULARY)]
    vocabulary = Vocabulary(word_of, names, torch.nn.functional.normalize(places))
    site = matched[0].window.after.site
    return [
        Theme(Node(site, latent), vocabulary, tuple(range(start, start + LEXICON)), 0.9)
        for latent, start in ((3, 0), (7, 400), (11, 800))
    ]


@pytest.fixture(scope="module")
def atlas(matched, readings):
    return Atlas(matched, readings)


@pytest.fixture(scope="module")
def ways(atlas, themes):
    return campaigns.conditions(atlas, themes, 5, 0)


def taken(model, matched, trials, removed, themes, atlas, ways):
    """All metrics of a run."""
    readings = dict(zip(atlas.matched, atlas.readings, strict=True))
    rows = matched[0].window.after.directions
    pairs = experiments.pairs_of_values(model, matched[0].window, tiny_texts(8).tokens)
    after = (matched[0].window.after, tiny_window(model, 1).attention)
    maps = [experiments.transitions(matched[0].window.residual, b, pairs, pairs) for b in after]
    made = campaigns.campaign(model, themes, ways, (0.01, 0.02), PROMPTS)
    gains = dict(zip(made.ways, made.masses(model).unbind(1), strict=True))
    clean = Baseline.of(model, PROMPTS, PROMPTS, 2, 0)
    texts = campaigns.written(model, made, 1, 2, SEEDS, clean)
    by_layer = [[campaigns.by_layer(model, themes, ways[way], 0.02, PROMPTS)] * 2 for way in (CUMULATIVE, RANDOM_GRAPH)]
    return [
        *findings.taxonomy_metrics(matched),
        *findings.seed_metrics(seed_level(rows, rows, 0.5), len(rows)),
        *findings.group_metrics(trials, readings),
        *findings.layer_metrics(trials),
        *findings.robustness_metrics(trials, readings),
        *findings.removal_metrics(removed),
        *findings.rival_metrics(removed),
        *findings.ceiling_metrics(removed),
        *findings.circuit_metrics(removed),
        *findings.loss_metrics(removed),
        *findings.transition_metrics(maps),
        *steering_findings.mass_metrics(*({way: gain[:, place] for way, gain in gains.items()} for place in (1, 0))),
        *steering_findings.text_metrics(texts),
        *steering_findings.suppression_metrics(campaigns.suppressed(model, atlas, themes, 0.02)),
        *steering_findings.best_layer_metrics([1] * len(themes), *by_layer),
    ]


@pytest.fixture(scope="module")
def metrics(model, matched, trials, removed, themes, atlas, ways):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campaigns, "prompts_about", lambda theme: list(PROMPTS))
        found = taken(model, matched, trials, removed, themes, atlas, ways)
    return {metric.name: metric for metric in found}


def test_every_number_is_declared_and_every_claim_can_be_judged(metrics):
    claims = load_claims(Path(here.__file__).with_name("claims.yml"))

    assert set(metrics) == set(claims.metrics)
    assert len(judge(claims, metrics)) == len(claims.claims)


def test_without_a_second_window_or_training_their_claims_are_not_tested(metrics, matched, trials):
    claims = load_claims(Path(here.__file__).with_name("claims.yml"))
    few = [trial for trial in trials if trial.matched is matched[0]]
    lacking = [*findings.depth_metrics(matched[:1]), *findings.layer_metrics(few), *findings.seed_metrics(None, 40)]
    once = {way: Explained(0.5, 0.5) for way in _map_names()}
    changed = metrics | {metric.name: metric for metric in (*lacking, *findings.transition_metrics([once]))}

    verdicts = {found.claim.id: found.verdict for found in judge(claims, changed)}

    assert {verdicts[claim] for claim in ("C5", "C5b", "C5c")} == {"not tested"}
    assert verdicts["C7"] == "inconclusive"


def _map_names():
    names = ("COSINE", "BACKWARD", "PERMUTED", "PEARSON", "RANDOM")
    kinds = [getattr(experiments, f"{name}_MAP") for name in names]
    return ["own code", *kinds, *(kind + experiments.FOLDED for kind in kinds)]


def test_shares_of_states_are_those_of_all_windows_together(metrics, matched):
    states = torch.cat([each.states for each in matched])

    assert metrics["share_newborn"].value == pytest.approx((states == 2).double().mean().item())
    assert metrics["share_explained"].value == pytest.approx(1 - metrics["share_unexplained"].value)
    assert metrics["share_explained_null"].value < 0.6  # three sources at a rate of 0.2


def test_separation_is_the_mann_whitney_area(model, matched, trials, monkeypatch):
    monkeypatch.setattr(findings, "LEAST", 2)
    trial = trials[0]
    cases = trial.cases
    scores = trial.matched.cosine.residual.best
    areas = []
    for group in range(8):
        if group & RES:
            on, off = (cases.target[cases.group == g].unique() for g in (group, group & ~RES))
            if min(len(on), len(off)) >= 2:
                test = mannwhitneyu(scores[on].double(), scores[off].double())
                areas.append(test.statistic / len(on) / len(off))

    found = findings._areas([trial], ("residual",), 0)

    assert areas
    assert found[0].item() == pytest.approx(sum(areas) / len(areas), abs=1e-6)


def test_planted_scores_are_told_apart_and_shuffled_ones_are_not(matched, trials, monkeypatch):
    monkeypatch.setattr(findings, "LEAST", 5)
    latents = torch.arange(40)
    group = torch.where(latents < 20, RES, 0)
    scores = torch.where(latents < 20, 0.9, 0.1) + 0.01 * torch.rand(40, generator=torch.Generator().manual_seed(0))
    cosine = matched[0].cosine
    planted = replace(cosine, residual=replace(cosine.residual, scores=scores[:, None].repeat(1, 5)))
    own = Matched(matched[0].window, planted, matched[0].null, matched[0].thresholds)
    mixed = group[torch.randperm(40, generator=torch.Generator().manual_seed(1))]
    trial = replace(trials[0], matched=own, cases=Cases(latents, latents, group))

    told = findings._separation("told", [trial], ("residual",))
    not_told = findings._separation("not told", [replace(trial, cases=Cases(latents, latents, mixed))], ("residual",))

    assert told.value == 1
    assert not_told.interval[0] < 0.5 < not_told.interval[1]


def test_exchanged_scores_are_those_of_latents_that_fire_as_often(matched, monkeypatch):
    monkeypatch.setattr(experiments, "ALIKE", 4)
    rates = torch.rand(40, generator=torch.Generator().manual_seed(2))

    found = matched[0].exchanged(rates)

    order = rates.argsort()
    for module in MODULES:
        before, after = (getattr(m.cosine, module).best[order] for m in (matched[0], found))
        assert not torch.equal(before, after)
        for block in range(0, 40, 4):
            torch.testing.assert_close(before[block : block + 4].sort().values, after[block : block + 4].sort().values)


def planted_removal(removed, after, method=TOP_1):
    """A removal after which the targets have these activations, from 2 before."""
    cases = removed.cases
    outcome = Outcome(cases, torch.full((len(cases),), 2.0), after)
    return replace(removed, outcomes={**removed.outcomes, method: outcome})


def test_removals_are_counted_text_by_text(removed):
    first = removed[0]
    texts = first.trial.found.row[first.cases.token]
    after = torch.where(texts == texts[0], 0.0, 1.0)

    found = {m.name: m for m in findings.removal_metrics([planted_removal(first, after)])}

    n_texts = len(texts.unique())
    assert found["deactivated_top1"].value == pytest.approx(1 / n_texts)
    assert found["change_top1"].value == pytest.approx((1 + 0.5 * (n_texts - 1)) / n_texts)
    assert found["coverage_top1"].value == 1


def test_rivals_are_compared_where_both_removed_something(removed):
    first = removed[0]
    n = len(first.cases)
    own = planted_removal(first, torch.zeros(n))
    half = torch.where(torch.arange(n) % 2 == 0, torch.nan, 1.0)
    found = {m.name: m for m in findings.rival_metrics([planted_removal(own, half, RANDOM)])}

    assert found["top1_over_random"].value == 1


def test_a_circuit_needs_all_of_its_predecessors(removed):
    first = removed[0]
    n = len(first.cases)
    cases = replace(first.cases, group=torch.full((n,), RES | MLP))
    parts = {alone(TOP_1, module): Outcome(cases, torch.ones(n), torch.full((n,), 0.4)) for module in MODULES}
    whole = {TOP_1: Outcome(cases, torch.ones(n), torch.zeros(n))}
    planted = replace(first, cases=cases, outcomes={**first.outcomes, **whole, **parts})

    found = {m.name: m for m in findings.circuit_metrics([planted])}

    assert found["all_over_one"].value == 1
    assert found["alone_over_combined"].n == 0


def test_a_ceiling_is_over_the_targets_that_it_was_sought_of(removed):
    with_single = next(each for each in removed if len(each.single))
    found = {m.name: m for m in findings.ceiling_metrics([with_single])}

    own = with_single.ceiling.outcome.deactivated
    assert found["ceiling_deactivated"].n <= len(own)
    assert found["ceiling_over_top1"].value >= 0  # the matched latent is among those tried


def test_a_map_is_judged_beside_the_seed_noise():
    base = {way: Explained(0.5, 0.5) for way in _map_names()}
    cosine, permuted = experiments.COSINE_MAP + experiments.FOLDED, experiments.PERMUTED_MAP + experiments.FOLDED
    first = base | {cosine: Explained(0.60, 0.6), permuted: Explained(0.59, 0.6)}
    second = base | {cosine: Explained(0.63, 0.6), permuted: Explained(0.62, 0.6)}

    found = {m.name: m for m in findings.transition_metrics([first, second])}["cosine_map_over_permutation"]

    assert found.value == pytest.approx(0.01)
    assert found.interval == pytest.approx((-0.02, 0.04))
    assert found.per_seed == pytest.approx((0.01, 0.01))


def test_the_best_layer_is_chosen_on_some_prompts_and_tested_on_others():
    chosen = {1: torch.tensor([1.0, 0.0]), 4: torch.tensor([2.0, torch.nan])}
    tested = {1: torch.tensor([0.5, 0.2]), 4: torch.tensor([0.1, torch.nan])}

    found, random = steering_findings.best_layer_metrics([1, 1], (chosen, tested), (tested, tested))

    assert found.value == pytest.approx((0.1 - 0.5) / 2)
    assert random.value == 0


def test_themes_are_resampled_in_pairs():
    high = [torch.full((2, 2, 3), 0.9) + theme / 100 for theme in range(4)]
    low = [each - 0.5 for each in high]

    found = steering_findings._theme_gap("gap", high, low)
    nothing = steering_findings._theme_gap("gap", high[:1], low[:1])

    assert found.value == pytest.approx(0.5)
    assert found.interval == pytest.approx((0.5, 0.5))
    assert found.per_seed == pytest.approx((0.5, 0.5))
    assert nothing.n == 0
    assert math.isnan(nothing.value)


def test_alike_means_near_zero_on_either_side():
    assert absolute(Metric("gap", -0.2, 9, (-0.1, -0.3), (-0.3, -0.1))).interval == (0.1, 0.3)
    assert absolute(Metric("gap", -0.2, 9, (), (-0.5, 0.1))).interval == (0.0, 0.5)
    assert absolute(Metric("gap", -0.2, 9, (-0.1, -0.3), (-0.3, -0.1))).per_seed == (0.1, 0.3)


def test_means_are_over_what_is_known():
    found = over("mean", [[1.0, math.nan, 3.0], [2.0]])

    assert (found.value, found.n, found.per_seed) == (2.0, 3, (2.0, 2.0))
    assert between("gap", [[1.0, 1.0]], [[math.nan]]).n == 0


def test_a_campaign_has_equal_effects_and_its_own_words(model, themes, ways):
    made = campaigns.campaign(model, themes, ways, (0.02,), PROMPTS)
    mass = campaigns.ExpectedMass(model, PROMPTS)
    steered = made.at(0)
    row = 1 * len(CONDITIONS) + list(made.ways).index(CUMULATIVE)

    gains = made.masses(model)

    assert gains.shape == (len(themes), len(CONDITIONS), 1)
    place = steered.chosen.index(row)
    expected = (mass(themes, steered)[place, 1] / mass(themes)[0, 1]).log2()
    assert gains[1, row % len(CONDITIONS), 0].item() == pytest.approx(expected.item(), abs=1e-5)


def test_an_unshipped_window_ends_in_one_sentence():
    with pytest.raises(WindowError, match="for gemma3-270m this project has no autoencoders"):
        experiments.chosen_layers("gemma3-270m", [15])


def test_figures_are_drawn(model, matched, trials, removed, metrics, atlas, themes):
    swept = {"layer 1": experiments.rescaled(model, removed[0], 5, (0.0, 1.0, 2.0))}
    gains = {way: {0.25: 1.0, 0.5: 2.0} for way in CONDITIONS}
    graph = matched[0].graph.component(themes[0].seed)
    drawn = [
        figures.scores(matched),
        figures.states(matched),
        figures.groups(trials),
        figures.deactivation(metrics),
        figures.sweep(swept),
        figures.steering(gains, metrics),
        figures.transitions(metrics),
        figures.flow(graph, 1, dict.fromkeys(graph.nodes, "word")),
    ]

    assert all(figure.axes for figure in drawn)


def test_without_texts_their_claim_is_not_tested_and_their_panel_not_drawn(metrics):
    kept = {
        name: metric for name, metric in metrics.items() if not name.startswith(("text_", *steering_findings.FIELDS))
    }
    kept |= {metric.name: metric for metric in steering_findings.text_metrics({})}

    claims = load_claims(Path(here.__file__).with_name("claims.yml"))
    verdicts = {judgement.claim.id: judgement.verdict for judgement in judge(claims, kept)}

    assert verdicts["C8b"] == NOT_TESTED and verdicts["C8"] != NOT_TESTED
    assert steering_findings.text_table(kept) == []
    assert len(figures.steering({CUMULATIVE: {0.25: 1.0, 0.5: 2.0}}, kept).axes) == 1
    assert len(steering_findings.text_table(metrics)) == len(CONDITIONS)
