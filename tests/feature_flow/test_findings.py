"""Numbers follow from planted outcomes, and the whole of a tiny run declares every number and judges every claim."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import mannwhitneyu

import reproductions.feature_flow as here
from reproductions.common.activations import Reader
from reproductions.common.claims import load_claims
from reproductions.common.encoding import decode, encode
from reproductions.common.verdicts import CANNOT_TELL, HOLDS, NOT_SEEN, NOT_TESTED, judge, judge_claim
from reproductions.feature_flow import campaigns, experiments, figures, findings, steering_findings
from reproductions.feature_flow.campaigns import CUMULATIVE, ONE_LAYER, RANDOM_GRAPH, SEED, WAYS, WRITTEN, Atlas
from reproductions.feature_flow.deactivation import Outcome
from reproductions.feature_flow.effects import MEASURES, Baseline, Left, Scores
from reproductions.feature_flow.experiments import BEST, PEARSON, RANDOM, TOP_1, Matched, Part, exchanged
from reproductions.feature_flow.findings import over_texts
from reproductions.feature_flow.graphs import Node
from reproductions.feature_flow.groups import Cases, sample
from reproductions.feature_flow.method import MLP, MODULES, RESIDUAL
from reproductions.feature_flow.readings import read
from reproductions.feature_flow.taxonomy import seed_level
from reproductions.feature_flow.themes import LEXICON, NO_WORD, Theme, Vocabulary
from reproductions.feature_flow.transitions import COSINE_MAP, PREDICTORS, SHUFFLED_MAP
from reproductions.feature_flow.windows import WindowError
from tests.feature_flow.tiny_window import tiny_texts, tiny_window
from tests.head_mapping.tiny import VOCABULARY, tiny_llama

PROMPTS = ("w3 w4", "w5 w6 w7")
SEEDS = (0, 1)
CLAIMS = load_claims(Path(here.__file__).with_name("reproduction.yml"))
CLAIM = {claim.id: claim for claim in CLAIMS.claims}


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
    return read(model, [each.window for each in matched], tiny_texts(8))


@pytest.fixture(scope="module")
def trials(model, matched, readings):
    windows, found = [each.window for each in matched], []
    for seed, texts in zip(SEEDS, tiny_texts(24).dealt(len(SEEDS)), strict=True):
        found += experiments.trials(matched, readings, sample(model, windows, texts, seed=seed), seed)
    return found


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
def ways(matched, readings, themes):
    return campaigns.conditions(Atlas(matched, readings), themes, 0)


def steered(model, atlas, themes, ways):
    """All metrics of steering."""
    made = campaigns.campaign(themes, ways, campaigns.strengths_at(model, ways, (0.01, 0.02), PROMPTS), PROMPTS)
    gains = dict(zip(made.ways, made.masses(model)[..., 1].unbind(1), strict=True))
    alike = made.only(campaigns.AS_STRONG).as_strong_as(ONE_LAYER)
    as_strong = dict(zip(alike.ways, alike.masses(model)[..., 0].unbind(1), strict=True))
    texts = campaigns.written(model, made.only(WRITTEN), 1, 2, SEEDS, Baseline.of(model, PROMPTS, PROMPTS, 2, 0))
    by_layer = {
        (way, place): campaigns.by_layer(model, themes, ways[way], 0.02, PROMPTS)
        for way in (CUMULATIVE, RANDOM_GRAPH)
        for place in (steering_findings.CHOSEN_ON, steering_findings.TESTED_ON)
    }
    return [
        *steering_findings.mass_metrics(gains, as_strong),
        *steering_findings.text_metrics(texts),
        *steering_findings.suppression_metrics(campaigns.suppressed(model, atlas, themes)),
        *steering_findings.best_layer_metrics([1] * len(themes), by_layer),
    ]


@pytest.fixture(scope="module")
def metrics(model, matched, readings, trials, removed, themes, ways):
    by_window = dict(zip(matched, readings, strict=True))
    rows = matched[0].window.after.directions
    values = experiments.pairs_of_values(matched[0].window, [t.found for t in trials if t.matched is matched[0]])
    after = (matched[0].window.after, tiny_window(model, 1).attention)
    maps = [experiments.transitions(matched[0].window.residual, b, values) for b in after]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campaigns, "prompts_about", lambda theme: list(PROMPTS))
        steering = steered(model, Atlas(matched, readings), themes, ways)
    found = [
        *findings.taxonomy_metrics(matched),
        *findings.seed_metrics(seed_level(rows, rows, 0.5), len(rows)),
        *findings.group_metrics(trials, by_window),
        *findings.robustness_metrics(trials, by_window),
        *findings.removal_metrics(removed),
        *findings.rival_metrics(removed),
        *findings.circuit_metrics(removed),
        *findings.transition_metrics(maps),
        *steering,
    ]
    return {metric.name: metric for metric in found}


def test_every_number_is_declared_and_every_claim_can_be_judged(metrics):
    assert set(metrics) == set(CLAIMS.metrics)
    for profile in ("quick", "full"):
        assert len(judge(CLAIMS, metrics, profile)) == len(CLAIMS.claims)


def test_every_declared_number_is_in_a_claim_a_figure_or_a_table():
    """Those that claims do not name are drawn by the figures or stand in the notebook's tables of a few rows."""
    named = {claim.metric for claim in CLAIMS.claims} | {claim.control for claim in CLAIMS.claims}
    for claim in CLAIMS.claims:
        named |= {getattr(part, "metric", None) for part in (claim.positive_control, claim.second_route)}
    drawn = tuple(
        f"{field}_" for field in ("deactivated", "change", "explained", *(measure.key for measure in MEASURES))
    )
    others = {name for name in CLAIMS.metrics if name not in named and not name.startswith(drawn)}

    assert {name.split("_")[0] for name in others} <= {"share", "found", "separation", "active", "backward"}


def test_the_authors_numbers_pass_every_check():
    for claim in CLAIMS.claims:
        if (typical := claim.paper.typical) is not None and claim.metric:
            match claim.direction:
                case "above":
                    assert typical > claim.edge
                case "below":
                    assert typical <= claim.edge
                case "within":
                    assert abs(typical - claim.null) <= claim.bound


def test_one_window_and_no_texts_leave_their_claims_untested(metrics):
    lacking = [*steering_findings.text_metrics({}), *steering_findings.best_layer_metrics([1], {})]
    lacking += findings.seed_metrics(None, 40)
    changed = metrics | {metric.name: metric for metric in lacking}

    assert judge_claim(CLAIM["C9"], changed, "full").verdict == NOT_TESTED
    assert not changed["text_graph_over_seed"].n and not changed["found_by_second_seed"].n
    assert len(figures.steering({CUMULATIVE: {0.25: 1.0, 0.5: 2.0}}, changed).axes) == 1


def test_shares_of_states_are_those_of_all_windows_together(metrics, matched):
    states = torch.cat([each.states for each in matched])

    assert metrics["share_newborn"].value == pytest.approx((states == 2).double().mean().item())
    assert metrics["share_explained_null"].value < 0.6  # three sources at a rate of 0.2


def test_what_the_steps_find_can_be_kept(readings, trials, removed):
    for found in (readings, [trial.found for trial in trials], removed):
        skeleton, tensors = encode(found, "")
        again = decode(skeleton, tensors)
        assert encode(again, "")[0] == skeleton
    assert again[0].outcomes[TOP_1].after.nan_to_num(-1).equal(removed[0].outcomes[TOP_1].after.nan_to_num(-1))


# Units


def test_values_of_cases_are_averaged_text_by_text():
    cases = Cases(torch.tensor([0, 0, 2, 2, 2]), *torch.zeros(3, 5, dtype=torch.long))
    values = torch.tensor([1.0, 2.0, 5.0, math.nan, 6.0])

    found = Part(0, 4).mean(cases, values)
    few = Part(0, 4).mean(cases, values, torch.arange(5) > 2)

    assert found[[0, 2]].tolist() == [1.5, 5.5]
    assert found[[1, 3]].isnan().all()
    assert few[2] == 6 and few[[0, 1, 3]].isnan().all()


def test_a_text_is_one_unit_however_many_windows_saw_it(trials):
    found = over_texts("mean", trials, [torch.arange(12.0) + 100 * number for number, _ in enumerate(trials)])

    first, second = (torch.arange(12.0) + shift for shift in (50.0, 250.0))
    assert list(found.units) == torch.cat([first, second]).tolist()
    assert found.per_seed == pytest.approx((first.mean().item(), second.mean().item()))


# Groups


def test_a_texts_separation_is_the_mean_of_mann_whitney_areas(trials):
    """Pairs of groups count by how many pairs of latents they have."""
    trial = trials[0]
    scores = trial.matched.scores[RESIDUAL]
    expected = []
    for number in range(trial.n_texts):
        own = trial.cases.select(trial.cases.text == number)
        wins = pairs = 0.0
        for group in range(8):
            if group & RESIDUAL.bit:
                on, off = (own.target[own.group == each].unique() for each in (group, group - RESIDUAL.bit))
                if len(on) and len(off):
                    wins += mannwhitneyu(scores[on].double(), scores[off].double()).statistic
                    pairs += len(on) * len(off)
        expected.append(wins / pairs if pairs else math.nan)

    found = findings.separation("", [trial], {trial.matched: trial.matched.scores}, [RESIDUAL])

    assert sum(not math.isnan(value) for value in expected) > 3
    assert found.units == pytest.approx(expected, rel=1e-4, nan_ok=True)


def planted_groups(trials, told):
    """Trials of one window, each latent in a group of its own; or every case in any, if scores tell nothing."""
    generator = torch.Generator().manual_seed(1)
    own = torch.randint(8, (40,), generator=generator)
    found = []
    for trial in trials[:: len(SEEDS)]:
        anything = torch.randint(8, (len(trial.cases),), generator=generator)
        group = own[trial.cases.target] if told else anything
        found.append(replace(trial, matched=trials[0].matched, cases=replace(trial.cases, group=group)))
    return found, {module: (own & module.bit > 0).float() for module in MODULES}


@pytest.mark.parametrize("told", [True, False])
def test_scores_that_tell_groups_apart_hold_and_others_do_not(trials, metrics, told):
    planted, sure = planted_groups(trials, told)
    generator = torch.Generator().manual_seed(2)
    noisy = {module: 0.3 * score + torch.rand(40, generator=generator) for module, score in sure.items()}
    strange = exchanged(noisy, torch.rand(40, generator=generator))
    known, _ = planted_groups(trials, True)
    window = planted[0].matched
    found = [
        findings.separation("separation", planted, {window: noisy}),
        findings.separation("separation_exchanged", planted, {window: strange}),
        findings.separation("separation_known", known, {window: sure}),
    ]

    verdict = judge_claim(CLAIM["C1"], metrics | {metric.name: metric for metric in found}, "full").verdict

    assert found[2].value == 1
    assert verdict == (HOLDS if told else CANNOT_TELL)


def test_exchanged_scores_are_those_of_latents_that_fire_as_often(matched, monkeypatch):
    monkeypatch.setattr(experiments, "ALIKE", 4)
    rates = torch.rand(40, generator=torch.Generator().manual_seed(2))

    found = exchanged(matched[0].scores, rates)

    order = rates.argsort()
    for module in MODULES:
        before, after = (scores[module][order] for scores in (matched[0].scores, found))
        assert not torch.equal(before, after)
        for block in range(0, 40, 4):
            torch.testing.assert_close(before[block : block + 4].sort().values, after[block : block + 4].sort().values)


def test_group_rows_are_shares_of_all_active_latents(trials, matched):
    rows = findings.group_rows(trials)

    assert [row[0] for row in rows] == ["layer 1", "layer 4"]
    own = torch.cat([trial.cases.group for trial in trials if trial.matched is matched[0]])
    assert rows[0][1] == f"{(own == RESIDUAL.bit).double().mean():.3f}"
    assert rows[0][3] == f"{torch.isin(own, torch.tensor([2, 4, 6])).double().mean():.3f}"


# Removals


def planted_removal(removed, after, method=TOP_1, modules=1):
    """A removal from so many modules, after which the targets have these activations, from 2 before."""
    n = len(removed.cases)
    outcome = Outcome(torch.full((n,), 2.0), after, torch.full((n,), modules))
    return replace(removed, outcomes={**removed.outcomes, method: outcome})


def test_removals_are_counted_text_by_text_where_one_module_has_a_predecessor(removed):
    first = removed[0]
    text = first.cases.text
    after = torch.where(text == text[0], 0.0, 1.0)
    single, combined = (planted_removal(first, after, modules=modules) for modules in (1, 2))

    found, nothing = ({m.name: m for m in findings.removal_metrics([each])} for each in (single, combined))

    n_texts = len(text.unique())
    assert found["deactivated_top1"].value == pytest.approx(1 / n_texts, rel=1e-4)
    assert found["change_top1"].value == pytest.approx((1 + 0.5 * (n_texts - 1)) / n_texts, rel=1e-4)
    assert nothing["deactivated_top1"].n == 0


def test_rivals_are_compared_where_both_removed_something(removed):
    first = removed[0]
    n = len(first.cases)
    own = planted_removal(first, torch.zeros(n))
    half = torch.where(torch.arange(n) % 2 == 0, torch.nan, 1.0)
    found = {m.name: m for m in findings.rival_metrics([planted_removal(own, half, RANDOM)])}

    assert found["top1_over_random"].value == 1


def drawn(removed, share, method, seed, modules=1):
    """Removals that put out so large a share of the targets of each part."""
    generator = torch.Generator().manual_seed(seed)
    return [
        planted_removal(part, (torch.rand(len(part.cases), generator=generator) >= share).float(), method, modules)
        for part in removed
    ]


def judged(metrics, removed, *ids):
    found = [*findings.removal_metrics(removed), *findings.rival_metrics(removed), *findings.circuit_metrics(removed)]
    known = {"deactivated_everything": replace(metrics["deactivated_everything"], interval=(0.9, 1.0))}
    together = metrics | {metric.name: metric for metric in found} | known
    return [judge_claim(CLAIM[claim], together, "full").verdict for claim in ids]


def test_the_planted_cause_holds_and_a_wrong_match_does_not(metrics, removed):
    """A wrong match, of another layer's dictionary say, does no more than a random latent."""
    right, wrong = (drawn(drawn(removed, share, TOP_1, 0), 0.05, RANDOM, 1) for share in (0.8, 0.05))

    assert judged(metrics, right, "C2", "C2b") == [HOLDS, HOLDS]
    assert not {HOLDS} & set(judged(metrics, wrong, "C2", "C2b", "C2c", "C2d"))


def test_a_sign_turned_round_makes_targets_grow_and_does_not_hold(metrics, removed):
    """Adding what should be taken away: C2b has no second route, so that it cannot be the opposite either."""
    turned = [planted_removal(part, 2.5 + torch.rand(len(part.cases))) for part in removed]

    assert judged(metrics, turned, "C2b") == [CANNOT_TELL]
    assert HOLDS not in judged(metrics, turned, "C2", "C2c", "C2d")


def nearly(after):
    """The same, but for the first of the targets that stayed in."""
    found = after.clone()
    found[(after > 0).nonzero()[:1]] = 0
    return found


def test_methods_that_do_alike_hold_and_others_do_not(metrics, removed):
    base = drawn(drawn(removed, 0.9, TOP_1, 0), 0.02, RANDOM, 1)
    alike = [planted_removal(part, nearly(part.outcomes[TOP_1].after), PEARSON) for part in base]

    assert judged(metrics, alike, "C3") == [HOLDS]
    assert judged(metrics, drawn(base, 0.1, PEARSON, 2), "C3") != [HOLDS]


def test_close_to_the_best_of_all_holds_and_far_from_it_does_not(metrics, removed):
    base = drawn(drawn(removed, 0.9, TOP_1, 0), 0.02, RANDOM, 1)
    close = [planted_removal(part, nearly(part.outcomes[TOP_1].after), BEST) for part in base]
    far = drawn(drawn(base, 0.2, TOP_1, 4), 0.9, BEST, 3)

    assert judged(metrics, close, "C4") == [HOLDS]
    assert judged(metrics, far, "C4") == [NOT_SEEN]


def test_a_circuit_needs_all_of_its_predecessors(removed):
    first = removed[0]
    n = len(first.cases)
    cases = replace(first.cases, group=torch.full((n,), RESIDUAL.bit | MLP.bit))
    planted = planted_removal(replace(first, cases=cases), torch.zeros(n), modules=2)
    for module in MODULES:
        planted = planted_removal(planted, torch.full((n,), 0.4), TOP_1.alone(module))

    found = {m.name: m for m in findings.circuit_metrics([planted])}

    assert found["all_over_one"].value == 1
    assert found["alone_over_combined"].n == 0


def test_a_ceiling_is_over_the_targets_that_it_was_sought_of(removed):
    found = {m.name: m for m in findings.rival_metrics(removed)}

    sought = [part for part in removed if not part.outcomes[BEST].after.isnan().all()]
    assert sought
    assert found["best_over_top1"].n <= sum(len(part.cases.text.unique()) for part in sought)
    assert found["best_over_top1"].value >= 0  # the matched latent is among those tried


# Maps


def test_pairs_are_of_every_token_but_the_first(model, matched, trials):
    window, found = matched[0].window, trials[0].found
    values = experiments.pairs_of_values(window, [found, found])
    with Reader(model, window.sites) as reader:
        read_anew = dict(reader.read(found.texts.tokens))

    for side, site in ((values.a, window.residual.site), (values.b, window.after.site)):
        torch.testing.assert_close(side, read_anew[site][:, 1:].repeat(2, 1, 1).flatten(0, 1), atol=1e-4, rtol=1e-4)
    assert values.text.tolist() == [number for number in range(2 * len(found.texts.tokens)) for _ in range(11)]


def test_a_map_is_judged_over_the_texts_of_the_first_training():
    base = dict.fromkeys((*PREDICTORS, SHUFFLED_MAP), torch.tensor([0.5, 0.6, 0.7]))
    trainings = [base | {COSINE_MAP: torch.tensor([0.52, 0.62, 0.71]) + shift} for shift in (0.0, 0.1)]

    found = {m.name: m for m in findings.transition_metrics(trainings)}
    gap = found["cosine_map_over_permutation"]

    assert gap.units == pytest.approx((0.02, 0.02, 0.01), rel=1e-3)
    assert gap.per_seed == pytest.approx((0.05 / 3, 0.05 / 3 + 0.1), rel=1e-3)
    assert found["unfolded_map_over_permutation_again"].n == 3
    once = {m.name: m for m in findings.transition_metrics(trainings[:1])}
    assert once["unfolded_map_over_permutation_again"].n == 0


# Steering


def test_the_best_layer_is_chosen_on_some_prompts_and_tested_on_others():
    chosen = {1: torch.tensor([1.0, 0.0]), 4: torch.tensor([2.0, torch.nan])}
    tested = {1: torch.tensor([0.5, 0.2]), 4: torch.tensor([0.1, torch.nan])}
    places = (steering_findings.CHOSEN_ON, steering_findings.TESTED_ON)
    gains = dict(zip([(CUMULATIVE, place) for place in places], (chosen, tested), strict=True))
    gains |= {(RANDOM_GRAPH, place): tested for place in places}

    found, random = steering_findings.best_layer_metrics([1, 1], gains)

    assert found.value == pytest.approx((0.1 - 0.5) / 2)
    assert random.value == 0


def left(score, n=8):
    """What is left of n themes, so that their scores are about this."""
    noise = 0.02 * torch.randn(n, generator=torch.Generator().manual_seed(int(100 * score)))
    return Left(1 - score - noise, torch.zeros(n))


def test_the_graph_that_suppresses_more_holds_and_another_themes_does_not(metrics):
    right = {SEED: left(0.1), ONE_LAYER: left(0.2), CUMULATIVE: left(0.4), campaigns.OTHER_GRAPH: left(0.0)}
    exchanged_graphs = right | {CUMULATIVE: right[campaigns.OTHER_GRAPH], campaigns.OTHER_GRAPH: right[CUMULATIVE]}

    for of, held in ((right, True), (exchanged_graphs, False)):
        left_at = {**dict.fromkeys(campaigns.SMALL, of), campaigns.STRONG: {SEED: left(0.8)}}
        found = metrics | {m.name: m for m in steering_findings.suppression_metrics(left_at)}
        verdicts = {judge_claim(CLAIM[claim], found, "full").verdict for claim in ("C8", "C8d")}
        assert (verdicts == {HOLDS}) == held and (HOLDS in verdicts) == held


def test_texts_are_averaged_theme_by_theme():
    scores = {
        way: [Scores(torch.full((2, 2, 3), 0.1 * number * theme), torch.ones(2, 2, 3)) for theme in range(4)]
        for number, way in enumerate(WRITTEN)
    }
    scores[SEED][0] = Scores(torch.full((2, 2, 3), torch.nan), torch.ones(2, 2, 3))

    found = {m.name: m for m in steering_findings.text_metrics(scores)}

    assert found["amplified_graph"].units == pytest.approx((0, 0.2, 0.4, 0.6))
    assert found["text_graph_over_one_layer"].units == pytest.approx((0, 0.1, 0.2, 0.3))
    assert found["text_graph_over_seed"].n == 3


def test_a_campaign_has_equal_effects_and_its_own_words(model, themes, ways):
    made = campaigns.campaign(themes, ways, campaigns.strengths_at(model, ways, (0.02,), PROMPTS), PROMPTS)
    mass = campaigns.ExpectedMass(model, PROMPTS)
    every = made.at(0)
    row = 1 * len(WAYS) + list(made.ways).index(CUMULATIVE)

    gains = made.masses(model)

    assert gains.shape == (len(themes), len(WAYS), 1)
    place = every.chosen.index(row)
    expected = (mass(themes, every)[place, 1] / mass(themes)[0, 1]).log2()
    assert gains[1, row % len(WAYS), 0].item() == pytest.approx(expected.item(), abs=1e-5)


def test_an_unshipped_window_ends_in_one_sentence():
    with pytest.raises(WindowError, match="for gemma3-270m this project has no autoencoders"):
        experiments.chosen_layers("gemma3-270m", [15])


def test_figures_are_drawn(model, matched, trials, removed, metrics, themes):
    swept = {"layer 1": experiments.rescaled(model, trials[0], removed[0].cases, 5, (0.0, 1.0, 2.0))}
    gains = {way: {0.25: 1.0, 0.5: 2.0} for way in WAYS}
    graph = matched[0].graph.component(themes[0].seed)
    drawn_figures = [
        figures.scores(matched),
        figures.states(matched),
        figures.groups(trials),
        figures.deactivation(metrics),
        figures.sweep(swept),
        figures.steering(gains, metrics),
        figures.transitions(metrics),
        figures.flow(graph, 1, dict.fromkeys(graph.nodes, "word")),
    ]

    assert all(figure.axes for figure in drawn_figures)
    assert len(steering_findings.text_table(metrics)) == len(WRITTEN)
