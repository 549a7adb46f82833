"""Routes, made-up worlds and numbers, against loops, known answers and planted faults."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from picks.run.command import ROOT
from reproductions.common import inspection
from reproductions.common.agreement import Agreement, flip, turned
from reproductions.common.claims import load_claims
from reproductions.common.held_out import Excerpt
from reproductions.common.latents import Dictionary
from reproductions.common.recovery import Recovered
from reproductions.common.verdicts import judge
from reproductions.dictionary_features import method
from reproductions.dictionary_features.method import Replaced, planted, routes, thinned
from tests.common.tiny_bridge import WIDTH, WORDS, tiny_llama

SITE = "blocks.1.hook_resid_post"
CLAIMS = load_claims(ROOT / "reproductions" / "dictionary_features" / "reproduction.yml")


class Sae(torch.nn.Module):
    """Latents are random directions and their opposites; the k strongest are kept."""

    def __init__(self, k=4, seed=0, n=WIDTH):
        super().__init__()
        drawn = torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(seed))
        rows = torch.cat([drawn, -drawn]) / drawn.norm(dim=-1).repeat(2)[:, None]
        self.k, self.W_dec, self.W_enc = k, torch.nn.Parameter(rows), torch.nn.Parameter(rows.T.clone())
        self.requires_grad_(False)
        self.cfg = SimpleNamespace(metadata=SimpleNamespace(outlier_norm=math.inf, hook_name=SITE))

    def encode(self, x):
        codes = (x @ self.W_enc).relu()
        return torch.zeros_like(codes).scatter(-1, (top := codes.topk(self.k, -1)).indices, top.values)

    def decode(self, codes):
        return codes @ self.W_dec


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def found():
    kinds = {"whole": Sae(), "second": Sae(seed=1), "sparse": Sae(2), "sparser": Sae(1), "narrow": Sae(n=8)}
    found = {name: Dictionary(SITE, sae) for name, sae in kinds.items()}
    return found | {"turned": turned(found["whole"], flip(torch.randn(40, WIDTH), 0))}


@pytest.fixture(scope="module")
def tokens():
    return torch.randint(1, len(WORDS), (64, 20), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def worlds():
    return [planted(0)]


# What can go


def test_latents_go_until_the_rates_of_those_that_stay_add_up_to_l0():
    rates = torch.tensor([0.5, 0.1, 0.3, 0.2, 0.9])
    assert thinned(rates.argsort(), rates, 0.6).tolist() == [False, True, True, True, False]
    assert thinned(torch.arange(5), rates, 0.6).tolist() == [True, True, False, False, False]
    orders = torch.stack([torch.arange(5), rates.argsort()])
    assert thinned(orders, rates, 0.6).tolist() == [thinned(order, rates, 0.6).tolist() for order in orders]


def test_random_sets_are_as_active_on_average_as_was_asked_for():
    drawn = torch.Generator().manual_seed(0)
    rates = torch.rand(300, generator=drawn).pow(3)
    orders = torch.rand(500, 300, generator=drawn).argsort(-1)
    left = (thinned(orders, rates, 40.0) * rates).sum(-1)
    assert left.mean().item() == pytest.approx(40.0, abs=0.1)


def test_routes_reach_the_l0_of_the_sparser_autoencoders(found):
    x = torch.randn(40, 30, WIDTH, generator=torch.Generator().manual_seed(2))
    rates = {name: (dictionary.codes(x) > 0).float().mean((0, 1)) for name, dictionary in found.items()}
    active = {name: (codes > 0).sum(-1).float() for name, _, codes in routes(found, rates, x)}
    for level, l0 in (("sparse", 2), ("sparser", 1)):
        for name in (f"frequent_{level}", f"random_{level}", f"again_{level}", f"second_frequent_{level}"):
            assert active[name].mean().item() == pytest.approx(l0, abs=0.15)
        assert (active[f"strongest_{level}"] == l0).all()
    codes = {name: codes for name, _, codes in routes(found, rates, x)}
    for whole, kept in zip(codes["whole"].flatten(0, 1)[:40], codes["strongest_sparse"].flatten(0, 1), strict=False):
        assert kept[kept > 0].tolist() == [value for value in whole.tolist() if value in whole.topk(2).values]
    gone = (codes["whole"] > 0).any(0).any(0) & ~(codes["frequent_sparse"] > 0).any(0).any(0)
    assert rates["whole"][gone].min() >= rates["whole"][~gone].max()
    assert set(codes) >= {name for pair in method.COMPARED.values() for name in pair}


def test_dictionaries_of_others_go_without_our_siblings(monkeypatch):
    opened = []
    monkeypatch.setattr(method, "opened", lambda model, site, name="": opened.append((site, name)))
    roles = {"second": "release/b", "sparse": "k16"}
    assert set(method.family("m", "release/a", roles)) == {"whole", "second"}
    assert set(method.family("m", SITE, roles)) == {"whole", "second", "sparse"}
    assert opened[:2] == [("release/a", ""), ("release/a", "release/b")]


def test_texts_that_are_replaced_are_not_those_that_are_read(model):
    excerpts = [Excerpt("a", " ".join(f"w{number}" for _ in range(400))) for number in range(12)]
    apart, rows = method.parted(model, excerpts, 3, 20, 18, seed=0)
    assert apart.shape == (3, 20) and rows.shape == (18, 128)
    assert not set(apart[:, 1:].flatten().tolist()) & set(rows[:, 1:].flatten().tolist())


# Made-up worlds


def test_what_two_dictionaries_share_is_true_in_made_up_worlds(worlds):
    (world,) = worlds
    agreed = world.agreed > 0
    assert world.found.mean() > 0.6 and world.true[agreed].mean() > 0.9
    assert world.true[~agreed].mean() < 0.5
    assert world.gap.mean() > 0.3 and world.wide.sum() > world.narrow.sum()


# Numbers


@pytest.fixture(scope="module")
def numbers(model, found, tokens, worlds):
    """Everything that a notebook reports, on a tiny model whose features are all dense."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method, "DENSE", 1.0)
        reading = method.reading(model, found, tokens)
        pairs = method.agreements(found, reading.rates, [0, 1, 2])
        seen = inspection.inspect(model, found["whole"], reading.drawn(6, 0), reading.fired, m=2, context=6)
        replaced = method.replaced(model, tokens[:9, :12], found, reading.rates)
        metrics = [
            *method.agreement_metrics(pairs),
            *method.planted_metrics(worlds),
            *method.word_metrics(reading, pairs["seed"]),
            *method.seen_metrics(reading, seen),
            *method.loss_metrics(replaced),
        ]
        figures = [method.draw_features(pairs["seed"], replaced), method.draw_words(reading, seen)]
    return {metric.name: metric for metric in metrics}, replaced, pairs, reading, figures


def test_exactly_the_declared_numbers_are_reported_and_judged(numbers):
    assert set(numbers[0]) == set(CLAIMS.metrics)
    assert len(judge(CLAIMS, numbers[0], "quick")) == len(CLAIMS.claims)
    assert [len(figure.axes) for figure in numbers[4]] == [2, 2]


def test_numbers_are_what_their_titles_say(numbers):
    metrics, replaced, pairs, reading, _ = numbers
    loss = replaced.recovered.loss
    assert metrics["trained_sparse"].value == pytest.approx(
        (loss["sparse"] - loss["frequent_sparse"]).mean().item(), abs=1e-4
    )
    assert metrics["rarest_dense"].value == pytest.approx(
        (loss["frequent_dense"] - loss["random_dense"]).mean().item(), abs=1e-4
    )
    assert metrics["wider_seed"].value == pytest.approx(
        int((pairs["seed"].mcs > 0.9).sum()) - int((pairs["back"].mcs > 0.9).sum()), abs=1e-3
    )
    pure = reading.words.purity[~reading.words.purity.isnan()]
    assert metrics["single"].value == pytest.approx((pure > 0.5).double().mean().item())
    assert replaced.l0["whole"] == pytest.approx(4.0)


def test_many_values_are_units_in_groups_with_the_same_mean():
    values = torch.cat([torch.arange(1300.0), torch.tensor([torch.nan])])
    assert len(method.some(values)) == 200 and len(method.some(values[:30])) == 30
    assert sum(method.some(values)) / 200 == pytest.approx(649.5)
    assert method.some(values[-1:]) == [] and sorted(method.some(values[:30])) == values[:30].tolist()


def test_a_dictionary_without_counterparts_is_not_tested(model, found, tokens, worlds):
    alone = {name: found[name] for name in ("whole", "turned")}
    reading = method.reading(model, alone, tokens)
    pairs = method.agreements(alone, reading.rates, [0, 1])
    replaced = method.replaced(model, tokens[:9, :12], alone, reading.rates)
    metrics = [*method.agreement_metrics(pairs), *method.loss_metrics(replaced), *method.planted_metrics(worlds)]
    metrics += method.word_metrics(reading, pairs["seed"])
    by_name = {metric.name: metric for metric in metrics}
    for name in ("mcs_seed", "mcs_width", "wider", "wider_seed", "trained_sparse", "sparsity_kl", "pure_shared"):
        assert by_name[name].n == 0
    assert len(method.draw_features(pairs["seed"], replaced).axes) == 2
    assert by_name["turned_gap"].n == 9 and by_name["rarest_dense"].n == 9


# Planted faults


def verdict(claim: str, metrics) -> str | None:
    return next(found.verdict for found in judge(CLAIMS, metrics, "full") if found.claim.id == claim)


def test_dictionaries_of_one_subspace_do_not_agree_on_features(numbers):
    """A wrong version would hold them against random directions alone."""
    drawn = [torch.randn(300, 24, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    one, other = (torch.cat([rows[:, :3], 0.05 * rows[:, 3:]], 1) for rows in drawn)
    pair, metrics = Agreement.of(one, other, [0, 1, 2]), numbers[0]
    fooled = replace(pair, flipped=pair.random)
    as_is, wrong = (
        metrics | {m.name: m for m in method.agreement_metrics(dict.fromkeys(method.PAIRS, some))}
        for some in (pair, fooled)
    )
    assert verdict("A1", as_is) != "holds"
    assert wrong["mcs_seed"].interval[0] > 0.1  # which is what it would have said
    assert verdict("A1", wrong) == "cannot tell"  # for another flipped copy does it too


def recovered(**shares) -> Replaced:
    """Made-up shares of twelve texts for every route; 0.5 where none is given, with some noise."""
    names = sorted({name for pair in method.COMPARED.values() for name in pair})
    noise = {name: 0.01 * torch.randn(12, generator=torch.Generator().manual_seed(i)) for i, name in enumerate(names)}
    loss = {name: shares.get(name, 0.5) + noise[name] for name in names}
    return Replaced(Recovered(loss, loss), dict.fromkeys(names, 1.0))


@pytest.mark.parametrize(
    ("claim", "better", "worse"),
    [
        ("T1", "sparse", "frequent_sparse"),
        ("T1b", "sparser", "frequent_sparser"),
        ("T2", "strongest_sparse", "frequent_sparse"),
        ("T2b", "strongest_sparser", "frequent_sparser"),
        ("T3", "frequent_sparse", "random_sparse"),
        ("T3b", "frequent_dense", "random_dense"),
        ("T4", "whole", "sparser"),
    ],
)
def test_a_route_holds_where_it_is_better_and_not_where_it_is_worse(numbers, claim, better, worse):
    cases = {
        "right": {better: 0.9, worse: 0.6, f"second_{worse}": 0.6, f"second_{better}": 0.9, f"again_{worse[7:]}": 0.6},
        "swapped": {better: 0.6, worse: 0.9, f"second_{worse}": 0.9, f"second_{better}": 0.6},
        "alike": {},
    }
    known = {"whole": 0.95, "second": 0.95, "turned": 0.3}
    found = {
        case: verdict(claim, numbers[0] | {m.name: m for m in method.loss_metrics(recovered(**(known | shares)))})
        for case, shares in cases.items()
    }
    if claim == "T4":
        assert (found["right"], found["swapped"]) == ("holds", "opposite")
        return
    assert (found["right"], found["swapped"], found["alike"]) == ("holds", "opposite", "cannot tell")


def test_without_an_instrument_that_sees_a_turned_autoencoder_nothing_is_said(numbers):
    blind = recovered(sparse=0.9, whole=0.5, turned=0.5)
    metrics = numbers[0] | {m.name: m for m in method.loss_metrics(blind)}
    assert verdict("T1", metrics) == "not tested"
