"""Numbers follow from planted scores, every number is declared, and a planted fault never comes out as `holds`."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import reproductions.output_centric as here
from reproductions.common.claims import load_claims
from reproductions.common.verdicts import HOLDS, NOT_TESTED, POSITIVE, judge
from reproductions.output_centric import findings
from reproductions.output_centric.exams import Inputs, Outputs, halves
from reproductions.output_centric.features import MLP, NEURON, Feature, neurons
from reproductions.output_centric.findings import Harness, Scores, best, ends, strangers
from reproductions.output_centric.judges import Library, WordJudges
from reproductions.output_centric.method import (
    CONCAT_ALL,
    MAX_ACT,
    METHODS,
    RAW_ALL,
    SINGLE,
    Material,
    vocab_proj,
)
from reproductions.output_centric.words import Words
from tests.output_centric.tiny import tiny_latents, tiny_model

SITES = ("blocks.0.hook_resid_post", "blocks.1.hook_resid_post", "blocks.0.hook_mlp_out", "blocks.1.hook_mlp_out")
EACH, TELLING = 12, 3  # features of a source; words that tell what a feature reads, or writes
CLAIMS = load_claims(Path(here.__file__).with_name("reproduction.yml"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module", autouse=True)
def few_budgets():
    """Two numbers of words suffice here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(findings, "BUDGETS", (3, 6))
        yield


@pytest.fixture(scope="module")
def words(model):
    return Words.of(model)


@pytest.fixture(scope="module")
def many(model):
    """Twelve features of each of four autoencoders, and of the neurons of three layers."""
    latents = [tiny_latents(site, seed=seed) for seed, site in enumerate(SITES)]
    sources = [*latents, *(neurons(model, layer) for layer in range(3))]
    return [Feature(source, index) for source in sources for index in range(EACH)]


def directions(features, turned=0):
    """What features write along, or what those of so many sources further on do."""
    rows = [feature.source.directions(torch.tensor([feature.index])) for feature in features]
    return torch.cat(rows).roll(turned * EACH, 0)


class World:
    """A fabricated world: each feature reads three words, and writes the three that its direction promotes."""

    def __init__(self, model, words, features, writes=8.0):
        drawn = torch.Generator().manual_seed(0)
        self.model, self.words, self.features = model, words, features
        self.reads = [torch.randperm(len(words.names), generator=drawn)[:TELLING].tolist() for _ in features]
        self.written = self.projected()
        self.rows = torch.randint(1, 51, (120, 9), generator=drawn)
        held = words.counts(self.rows[:, 1:]) > 0
        noise = torch.rand(len(features), len(self.rows), generator=drawn)
        self.peaks = noise + torch.stack([held[:, own].sum(1).float() for own in self.reads])
        self.texts = [self._texts(writes, seed) for seed in (0, 1)]

    def projected(self, turned=0):
        """VocabProj's words of each feature, or of one of another source."""
        tops = vocab_proj(self.model, directions(self.features, turned), TELLING).top
        return [self.words.folded(row.tolist()) for row in tops]

    def _texts(self, writes, seed):
        shape = (len(self.features), len(self.words.names))
        found = 8 + 4 * torch.rand(shape, generator=torch.Generator().manual_seed(seed))
        for text, own in zip(found, self.written, strict=True):
            text[own] += writes
        return found

    def harness(self):
        """What examines descriptions of it."""
        everyone, idf = range(len(self.features)), np.ones(len(self.words.names))
        draws = [WordJudges(self.model, self.words, idf, texts) for texts in self.texts]
        outputs = Outputs.of(self.features, everyone, draws, self.texts[0].log(), TELLING)
        inputs = Inputs(Library(self.rows, self.words), self.peaks)
        return Harness(self.features, [row % 3 for row in everyone], inputs, outputs)

    def verdicts(self, reads=None, writes=None, profile="full"):
        """What is said of descriptions, by default the right ones."""
        pairs = zip(reads or self.reads, writes or self.written, strict=True)
        material = [Material(read, written, written[::-1]) for read, written in pairs]
        metrics = {metric.name: metric for metric in metrics_of(self.harness(), material)}
        return {found.claim.id: found for found in judge(CLAIMS, metrics, profile)}


def metrics_of(harness, material):
    """All that a run reports."""
    descriptions, budgets = findings.by_method(material, TELLING), findings.by_budget(material)
    scores, null = harness.scores(descriptions), harness.shuffled(descriptions)
    by_budget, null_by_budget = harness.scores(budgets), harness.shuffled(budgets)
    latents = [row for row, feature in enumerate(harness.features) if feature.source.family != NEURON]
    lists = {name: [[row % 20 + place] for row in latents] for place, name in enumerate(findings.PROJECTIONS)}
    found = findings.projection_metrics(harness.of(latents), lists) + findings.cost_metrics(10, 6400, 8, 32, 5000)
    recalled = harness.inputs.scores(descriptions[MAX_ACT])[0]
    sides = {findings.INPUT: recalled}
    if harness.outputs:
        sides[findings.OUTPUT] = harness.outputs.oracle
        found += findings.judge_metrics(harness.outputs) + findings.family_metrics(scores, null)
    for side, oracle in sides.items():
        found += findings.score_metrics(scores, null, side, oracle) + findings.gap_metrics(scores, null, side)
        found += findings.ensemble_metrics(by_budget, null_by_budget, side)
    return found


@pytest.fixture(scope="module")
def world(model, words, many):
    return World(model, words, many)


def test_every_number_is_declared_and_every_claim_can_be_judged(world):
    material = [Material(*lists) for lists in zip(world.reads, world.written, world.written, strict=True)]

    metrics = {metric.name: metric for metric in metrics_of(world.harness(), material)}

    assert set(metrics) == set(CLAIMS.metrics)
    assert len(judge(CLAIMS, metrics, "full")) == len(CLAIMS.claims)


def test_the_quick_profile_reports_all_that_it_tests(world):
    material = [Material(*lists) for lists in zip(world.reads, world.written, world.written, strict=True)]
    unsteered = replace(world.harness(), outputs=None)

    metrics = {metric.name: metric for metric in metrics_of(unsteered, material)}
    verdicts = {found.claim.id: found.verdict for found in judge(CLAIMS, metrics, "quick")}

    assert verdicts["A1"] == verdicts["A1b"] == HOLDS
    assert verdicts["A2"] == verdicts["A3c"] == verdicts["A5"] == NOT_TESTED


def test_a_right_world_holds(world):
    found = world.verdicts()

    assert {id: found[id].verdict for id in ("A1", "A1b", "A2", "A2b", "A3c")} == dict.fromkeys(
        ("A1", "A1b", "A2", "A2b", "A3c"), HOLDS
    )


def test_shuffled_descriptions_do_not_hold(world):
    """No claim on the output side holds either (A3b is not judged: there wrong descriptions came out ahead)."""
    others = strangers(world.features)

    found = world.verdicts([world.reads[row] for row in others], [world.written[row] for row in others])

    assert not [id for id in ("A1", "A1b", "A2", "A2b", "A3o", "A3c") if found[id].verdict in POSITIVE]


def test_the_weights_of_another_source_do_not_hold(world):
    found = world.verdicts(writes=world.projected(turned=1))

    assert not [id for id in ("A2", "A2b", "A3b", "A3c") if found[id].verdict in POSITIVE]


def test_steering_with_the_wrong_sign_does_not_hold(model, words, many):
    found = World(model, words, many, writes=-8.0).verdicts()

    assert not [id for id in ("A2", "A2b", "A3b", "A3c") if found[id].verdict in POSITIVE]


def test_deaf_judges_test_nothing(model, words, many):
    found = World(model, words, many, writes=0.0).verdicts()

    assert {found[id].verdict for id in ("A2", "A2b", "A3b", "A3c", "A5", "A6")} == {NOT_TESTED}
    assert found["A1"].verdict == HOLDS


def planted(features, seed=0, **means):
    """Scores with noise around a mean for each method, the same in every examination."""
    generator = torch.Generator().manual_seed(seed)
    keys = [*METHODS, *((method, n) for method in (*SINGLE, RAW_ALL) for n in findings.BUDGETS)]
    drawn = {key: 0.1 * torch.randn(len(features), generator=generator) + means.get(str(key), 0.5) for key in keys}
    exams = (findings.INPUT, findings.AREA, findings.OUTPUT, findings.ASKED)
    return Scores(features, [row % 3 for row in range(len(features))], dict.fromkeys(exams, drawn))


def test_planted_differences_are_found_and_equal_means_are_not(many):
    scores = planted(many, MaxAct=0.4, VocabProj=0.7, TokenChange=0.4)
    gaps = {m.name: m for m in findings.gap_metrics(scores, planted(many, 1), findings.OUTPUT)}

    found, none = gaps["output_vocab_proj_over_max_act"], gaps["output_token_change_over_max_act"]
    assert found.interval[0] > 0.2
    assert all(value > 0.2 for value in found.per_seed)
    assert none.interval[0] < 0.05 and none.interval[1] > -0.05
    assert abs(none.value) < 0.06
    assert gaps["asked_vocab_proj_over_max_act"].value == found.value


def test_the_best_is_what_did_best_on_the_other_half():
    first = halves(["one"] * 20 + ["two"] * 20)
    scores = {(method, n): torch.full((40,), 0.1) for method in ("a", "b") for n in findings.BUDGETS}
    scores["a", 3] = torch.where(first, 0.9, 0.3)  # best for the first half, by which the second half is judged
    scores["b", 6] = torch.where(first, 0.2, 0.7)  # and the other way round

    assert torch.equal(best(scores, ["a", "b"], first), torch.where(first, scores["b", 6], scores["a", 3]))


def test_picking_the_best_of_equals_gains_nothing(many):
    gains = []
    for seed in range(40):
        scores = planted(many, seed).by[findings.INPUT]
        first = halves([feature.source.hook for feature in many])
        gains.append((best(scores, SINGLE, first).mean() - scores[MAX_ACT].mean()).item())

    assert np.mean(gains) == pytest.approx(0, abs=0.01)


def test_depth_compares_the_outer_thirds_of_each_kinds_layers(many):
    early, late = ends(many)

    assert {(many[row].source.family, many[row].source.layer) for row in early.nonzero().flatten()} == {(NEURON, 0)}
    assert {(many[row].source.family, many[row].source.layer) for row in late.nonzero().flatten()} == {(NEURON, 2)}


def test_kinds_are_compared_as_different_features(many):
    scores = planted(many)
    scores.by[findings.OUTPUT][CONCAT_ALL][scores.of_family(MLP)] -= 0.3
    found = {metric.name: metric for metric in findings.family_metrics(scores, planted(many, 1))}

    assert found["output_residual_over_mlp"].value == pytest.approx(0.3, abs=0.1)
    assert found["output_residual_over_mlp"].n == 4 * EACH
    assert abs(found["output_residual_over_neurons"].value) < 0.1


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


def test_shuffled_descriptions_are_examined_as_the_strangers_are(world):
    descriptions = {"one": [[row % 30] for row in range(len(world.features))]}
    harness = world.harness()

    shuffled = harness.shuffled(descriptions)

    moved = harness.scores({"one": [descriptions["one"][other] for other in strangers(world.features)]})
    for exam in shuffled.by:
        assert torch.equal(shuffled.of(exam, "one"), moved.of(exam, "one"))


def test_costs_are_counted_in_tokens():
    costs = {metric.name: metric.value for metric in findings.cost_metrics(10, 6400, 8, 32, 5000)}

    assert costs["tokens_vocab_proj"] == 0
    assert costs["tokens_token_change"] == 2 * 8 * 32 + 8 * 32 / 10
    assert costs["tokens_max_act_shared"] == 1.28
    assert costs["token_change_over_scan_alone"] < 1 < costs["token_change_over_scan_shared"]


def test_an_explorer_has_no_number_where_nothing_was_examined(many):
    scores = planted(many)
    scores.by[findings.OUTPUT][MAX_ACT][3] = math.nan

    assert findings.explorer_scores(scores, 3)[MAX_ACT]["output"] is None
    assert findings.explorer_scores(scores, 4)[MAX_ACT]["output"] == pytest.approx(0.5, abs=0.5)
