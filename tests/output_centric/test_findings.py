"""Numbers follow from planted scores, and every number is declared."""

import math
from pathlib import Path

import pytest
import torch
from scipy import stats

import reproductions.output_centric as here
from reproductions.common.claims import judge, load_claims
from reproductions.output_centric import dead, findings
from reproductions.output_centric.descriptions import METHODS
from reproductions.output_centric.features import Feature, neurons
from reproductions.output_centric.findings import Scores, mcnemar, sign_flip, strangers
from reproductions.output_centric.judges import JUDGES, Library, TextJudges
from reproductions.output_centric.words import Words
from tests.output_centric.tiny import tiny_latents, tiny_model

SITES = ("blocks.0.hook_resid_post", "blocks.1.hook_resid_post", "blocks.0.hook_mlp_out", "blocks.1.hook_mlp_out")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def many(model):
    """Six features of each of four autoencoders, and of the neurons of three layers; three seeds in turn."""
    sources = [*map(tiny_latents, SITES), *(neurons(model, layer) for layer in range(3))]
    return [Feature(source, index) for source in sources for index in range(6)]


def planted(features, seed=0, **means):
    """Scores with noise around a mean for each method."""
    generator = torch.Generator().manual_seed(seed)
    n = len(features)

    def drawn(mean):
        return (mean + 0.1 * torch.randn(n, generator=generator)).clamp(0, 1)

    side = {method: drawn(means.get(method, 0.5)) for method in METHODS}
    output = {method: {judge: drawn(means.get(method, 0.5)) for judge in JUDGES} for method in METHODS}
    return Scores(features, [row % 3 for row in range(n)], side, side, side, output)


def all_metrics(scores, null, harness):
    lists = {name: [[row % 20] for row in range(len(harness.features))] for name in findings.PROJECTIONS}
    return [
        *findings.score_metrics(scores, null, scores.output_mean("MaxAct")),
        *findings.gap_metrics(scores, null),
        *findings.judge_metrics(scores),
        *findings.family_metrics(scores, null),
        *findings.projection_metrics(harness, lists),
        *dead.metrics([]),
        *findings.cost_metrics(10, 6400, 8, 32, 5000),
    ]


@pytest.fixture(scope="module")
def harness(model, many):
    words = Words.of(model)
    rows = torch.randint(1, 51, (60, 9), generator=torch.Generator().manual_seed(0))
    texts = torch.randint(1, 51, (len(many), 2, 4), generator=torch.Generator().manual_seed(1))
    library = Library(rows, words)
    peaks = torch.rand(len(many), 60, generator=torch.Generator().manual_seed(2))
    seeds = [row % 3 for row in range(len(many))]
    return findings.Harness(many, seeds, library, peaks, TextJudges(model, words, library.idf, texts))


def test_every_number_is_declared_and_every_claim_can_be_judged(many, harness):
    claims = load_claims(Path(here.__file__).with_name("claims.yml"))
    metrics = {metric.name: metric for metric in all_metrics(planted(many), planted(many, 1), harness)}

    assert set(metrics) == set(claims.metrics)
    assert len(judge(claims, metrics)) == len(claims.claims)


def test_without_dead_latents_their_claims_are_not_tested(many, harness):
    claims = load_claims(Path(here.__file__).with_name("claims.yml"))
    metrics = {metric.name: metric for metric in all_metrics(planted(many), planted(many, 1), harness)}

    verdicts = {found.claim.id: found.verdict for found in judge(claims, metrics)}

    assert verdicts["A7"] == verdicts["A7b"] == "not tested"


def test_planted_differences_are_found_and_equal_means_are_not(many):
    scores = planted(many, MaxAct=0.4, VocabProj=0.7, TokenChange=0.4)
    gaps = {metric.name: metric for metric in findings.gap_metrics(scores, planted(many, 1))}

    found, none = gaps["output_vocab_proj_over_max_act"], gaps["output_token_change_over_max_act"]
    assert found.interval[0] > 0.2
    assert all(value > 0.2 for value in found.per_seed)
    assert none.interval[0] < 0 < none.interval[1]
    assert gaps["input_max_act_over_vocab_proj"].interval[1] < 0


def test_the_best_single_method_is_chosen_on_each_side(many):
    scores = planted(many, MaxAct=0.3, VocabProj=0.8, TokenChange=0.4, **{"Raw (All)": 0.9})
    gaps = {metric.name: metric.value for metric in findings.gap_metrics(scores, planted(many, 1))}

    assert gaps["output_raw_over_best"] == pytest.approx(0.1, abs=0.05)


def test_depth_compares_the_outer_thirds_of_the_neurons(many):
    scores = planted(many)
    layers = torch.tensor([feature.source.layer for feature in many], dtype=torch.float)
    deeper = dict.fromkeys(JUDGES, layers / 2)
    scores = Scores(many, scores.seeds, scores.strict, scores.tied, scores.area, scores.output | {"VocabProj": deeper})

    found = {metric.name: metric for metric in findings.family_metrics(scores, planted(many, 1))}

    assert found["output_late_over_early"].value == pytest.approx(1.0)
    assert found["output_late_over_early"].n == 12


def test_a_missing_family_leaves_nothing_to_compare(model):
    some = [Feature(neurons(model, layer), index) for layer in range(3) for index in range(4)]
    found = {metric.name: metric for metric in findings.family_metrics(planted(some), planted(some, 1))}

    assert math.isnan(found["output_residual_over_mlp"].value)
    assert found["output_residual_over_mlp"].n == 0


def test_strangers_are_of_another_source_of_the_same_family(many):
    found = strangers(many)

    assert sorted(found) == list(range(len(many)))
    for row, other in enumerate(found):
        assert many[row].source.family == many[other].source.family
        assert many[row].source is not many[other].source


def test_shuffled_descriptions_are_judged_as_the_strangers_are(many, harness):
    descriptions = [{"one": [row % 30], "two": [(7 * row) % 30]} for row in range(len(many))]

    shuffled = harness.shuffled(descriptions)

    moved = harness.scores([descriptions[other] for other in strangers(many)])
    assert torch.equal(shuffled.tied["one"], moved.tied["one"])
    assert torch.equal(shuffled.output["two"]["lexical"], moved.output["two"]["lexical"])


def test_mcnemar_is_the_exact_binomial_test():
    a, b = torch.tensor([1.0] * 9 + [0.0] * 2 + [1.0] * 5), torch.tensor([0.0] * 9 + [1.0] * 2 + [1.0] * 5)

    assert mcnemar(a, b) == pytest.approx(stats.binomtest(9, 11).pvalue)
    assert mcnemar(a, a) == 1


def test_sign_flips_keep_their_level():
    generator = torch.Generator().manual_seed(0)
    p = [sign_flip(torch.randn(20, generator=generator), seed) for seed in range(100)]

    assert 0 <= sum(value < 0.05 for value in p) <= 12
    assert sign_flip(torch.randn(20, generator=generator) + 2) < 1e-3


def test_costs_are_counted_in_tokens():
    costs = {metric.name: metric.value for metric in findings.cost_metrics(10, 6400, 8, 32, 5000)}

    assert costs["tokens_vocab_proj"] == 0
    assert costs["tokens_token_change"] == 2 * 8 * 32 + 8 * 32 / 10
    assert costs["tokens_max_act_shared"] == 1.28
    assert costs["token_change_over_scan_alone"] < 1 < costs["token_change_over_scan_shared"]
