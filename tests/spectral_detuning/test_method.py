"""The recovery against brute force, identities and known answers; adapters and predictions of tiny random models."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from torch.nn.functional import kl_div

from reproductions import spectral_detuning
from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.held_out import Excerpt
from reproductions.common.verdicts import HOLDS, POSITIVE, judge_claim
from reproductions.spectral_detuning import method
from reproductions.spectral_detuning.method import (
    CASES,
    COPIES,
    Family,
    Schedule,
    Tail,
    behave,
    cases,
    curves,
    deal,
    directions,
    divergences,
    draw,
    int8,
    log_error,
    low_rank,
    matrices,
    measure,
    merged,
    metrics,
    random_versions,
    recover,
    recover_whole,
    toy,
    train,
    weights,
)
from tests.common.tiny_bridge import LAYERS, WORDS, tiny_llama

KINDS = ("q_proj", "o_proj", "up_proj", "down_proj")
DECLARED = load_claims(Path(spectral_detuning.__file__).with_name("reproduction.yml"))
CLAIMS = {claim.id: claim for claim in DECLARED.claims}


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(n=COPIES, size=(24, 30), rank=2, share=0.05, seed=1):
    """A base, and versions whose changes have a share of its length."""
    base = noise(*size)
    return base, random_versions(base, (1 + share) * base.expand(n, -1, -1), rank, seed)


# The recovery


def test_low_rank_is_the_truncated_singular_value_decomposition():
    found = noise(3, 7, 9).double()
    left, values, right = torch.linalg.svd(found, full_matrices=False)
    for rank in (0, 1, 4, 7, 12):
        expected = left[..., :rank] @ torch.diag_embed(values[..., :rank]) @ right[..., :rank, :]
        torch.testing.assert_close(low_rank(found, rank), expected)


def by_hand(versions, rank, iterations):
    """Both steps on whole matrices with a loop and NumPy's decomposition, at a fixed rank."""
    W = versions.double().mean(0)
    objective = []
    for _ in range(iterations):
        M = []
        for version in versions.double():
            left, values, right = torch.linalg.svd(version - W, full_matrices=False)
            M.append(sum(values[k] * torch.outer(left[:, k], right[k]) for k in range(rank)))
        W = sum(version - part for version, part in zip(versions.double(), M, strict=True)) / len(versions)
        objective.append(
            float(sum((v - W - m).square().mean() for v, m in zip(versions, M, strict=True)) / len(versions))
        )
    return W, objective


@pytest.mark.parametrize("most", [None, 1000])
def test_turned_coordinates_give_the_iterates_of_whole_matrices(most):
    base, versions = made()
    found = recover(versions, 2, iterations=12, start=2, most=most, base=base)
    W, objective = by_hand(versions, 2, 12)
    torch.testing.assert_close(found.weights, W, atol=1e-7, rtol=0)
    assert found.objective[:4] == pytest.approx(objective[:4], rel=1e-4)
    assert found.errors[-1] == pytest.approx(log_error(found.weights, base), abs=1e-3)


def test_directions_span_the_columns_and_no_more():
    factor = noise(20, 3).double()
    found = directions(factor @ noise(3, 50, seed=1).double(), most=9)
    assert found.shape == (20, 3)
    torch.testing.assert_close(found @ found.mT @ factor, factor)


def test_rank_zero_gives_the_mean():
    base, versions = made()
    found = recover(versions, 0, iterations=40, base=base)
    torch.testing.assert_close(found.weights, versions.double().mean(0))
    assert found.errors == pytest.approx([log_error(versions.mean(0), base)] * 41, abs=1e-5)


def test_two_versions_keep_the_mean():
    _, versions = made(n=2)
    torch.testing.assert_close(recover(versions, 2).weights, versions.double().mean(0), atol=1e-12, rtol=0)


@pytest.mark.parametrize("n", [3, 5, 8])
def test_the_base_is_recovered_to_single_precision(n):
    base, versions = made(n)
    found = recover(versions, 2, base=base)
    assert log_error(found.weights, base) < -14
    assert found.errors[0] == pytest.approx(log_error(versions.mean(0), base), abs=1e-6)
    exact = base.double() + (versions - base).double()  # without the rounding of single precision
    assert log_error(recover(exact, 2).weights, base) < -14


def test_the_base_is_looked_at_to_tell_errors_alone():
    base, versions = made()
    told, not_told = recover(versions, 2, base=noise(*base.shape, seed=7)), recover(versions, 2)
    assert torch.equal(told.weights, not_told.weights) and not not_told.errors


@pytest.mark.parametrize("versions", [made(3)[1], made(5)[1], int8(made(5)[1])], ids=["three", "five", "int8"])
def test_the_objective_never_rises_at_a_fixed_rank(versions):
    objective = recover(versions, 2, iterations=60, start=2).objective
    floor = 1e-14 * objective[0]
    assert all(after <= before * (1 + 1e-9) + floor for before, after in pairwise(objective))
    assert objective[-1] < objective[0]


def test_the_second_route_agrees():
    base, versions = made()
    assert log_error(recover_whole(versions, 2), base) < -12
    rounded = int8(versions)
    one, other = recover(rounded, 2).weights, recover_whole(rounded, 2)
    assert log_error(one, base) == pytest.approx(log_error(other, base), abs=0.02)


def test_the_schedule_doubles_where_nothing_improves_and_ends_at_the_last_rank():
    schedule = Schedule(6, iterations=100)
    ranks = []
    for place in range(60):
        schedule.step(max(5.0 - place, 1.0))
        ranks.append(schedule.rank)
    assert ranks[:20] == [1] * 20  # five that improve, and fifteen that do not
    assert ranks[20:36] == [2] * 16 and ranks[36:49] == [4] * 13 and ranks[49:] == [6] * 11


def test_int8_is_within_half_a_level():
    found = noise(2, 5, 40)
    step = found.abs().amax(-1, keepdim=True) / 127
    assert ((int8(found) - found).abs() <= 0.5001 * step).all()
    assert (int8(found) / step).round().unique().numel() > 100


def test_random_versions_have_the_rank_and_the_length():
    base, like = noise(20, 12), noise(4, 20, 12, seed=1)
    change = random_versions(base, like, 3, seed=2) - base
    torch.testing.assert_close(change.flatten(1).norm(dim=1), (like - base).flatten(1).norm(dim=1))
    assert [int(torch.linalg.matrix_rank(each, rtol=1e-4)) for each in change] == [3] * 4


def test_the_positive_control_is_won_and_changes_of_full_rank_are_not():
    assert min(toy(worlds=4)) > 8
    base, full = made(rank=24)
    for found in (recover(full, 2).weights, recover(full, 2, most=24).weights, recover_whole(full, 2)):
        assert log_error(found, base) > log_error(full.mean(0), base) - 0.05


def test_one_a_for_all_leaves_the_base_undetermined():
    base, _ = made()
    versions = base + noise(COPIES, 24, 2, seed=3) @ noise(2, 30, seed=4) / 30
    assert recover(versions, 2, base=base).errors[-1] > log_error(versions.mean(0), base) - 0.1


# Adapters and predictions


@pytest.fixture(scope="module")
def tails(model):
    tokens = torch.randint(1, len(WORDS), (6, 3, 10), generator=torch.Generator().manual_seed(0))
    return [Tail(model, rows, 2) for rows in tokens]


@pytest.fixture(scope="module")
def targets(model):
    return matrices(model, 2, KINDS)


@pytest.fixture(scope="module")
def family(tails, targets):
    return Family.trained(tails, targets, rank=2, steps=6)


def test_matrices_are_those_of_the_last_blocks(model, targets):
    assert list(targets) == [f"{place} {kind}" for place in (LAYERS - 2, LAYERS - 1) for kind in KINDS]
    own = dict(model.original_model.named_parameters())
    assert all(any(linear.weight is weight for weight in own.values()) for linear in targets.values())


def test_a_tail_reads_what_the_model_does(model, tails):
    tokens = tails[0].tokens
    expected = model.original_model.base_model(tokens, use_cache=False).last_hidden_state
    torch.testing.assert_close(tails[0].read(tails[0].before), expected, atol=1e-4, rtol=1e-4)


def test_training_learns_and_leaves_the_model_as_it_was(tails, targets):
    before = {name: linear.weight.clone() for name, linear in targets.items()}
    found = train(tails[0], targets, rank=3, steps=80, start=1, seed=2)
    assert found.losses[1] < found.losses[0] - 0.1
    assert all(torch.equal(linear.weight, before[name]) for name, linear in targets.items())
    assert not any(linear._forward_hooks for linear in targets.values())
    again, other = (train(tails[0], targets, rank=3, steps=6, start=start, seed=2) for start in (1, 5))
    first = next(iter(targets))
    assert found.A[first].shape[0] == 3 and not torch.equal(again.A[first], other.A[first])


def test_a_merged_adapter_does_what_it_did_beside_the_matrix(model, tails, targets, family):
    tail, adapter = tails[1], family.own[1]
    put = {name: linear.weight + adapter.B[name] @ adapter.A[name] for name, linear in targets.items()}
    hooks = [
        linear.register_forward_hook(method.adding(adapter.B[name], adapter.A[name]))
        for name, linear in targets.items()
    ]
    beside = tail.read(tail.before)
    for hook in hooks:
        hook.remove()
    with weights(targets, put):
        torch.testing.assert_close(tail.read(tail.before), beside, atol=1e-4, rtol=1e-4)


def test_adapters_of_one_start_begin_alike(family):
    name = next(iter(family.own[0].A))
    apart, alike = (
        (side[0].A[name] - side[1].A[name]).norm() / side[0].A[name].norm() for side in (family.own, family.same)
    )
    assert alike < 0.2 < apart
    assert family.wide[0].A[name].shape[0] == 2 * family.own[0].A[name].shape[0]


def test_divergences_are_those_of_plain_passes(model, tails, targets):
    tail = tails[2]
    put = {name: linear.weight + 0.05 * noise(*linear.weight.shape) for name, linear in targets.items()}
    same = {name: linear.weight.clone() for name, linear in targets.items()}
    found = divergences(tail, targets, [put, same])
    base = model(tail.tokens).double().log_softmax(-1)
    with weights(targets, put):
        other = model(tail.tokens).double().log_softmax(-1)
    expected = kl_div(other, base, log_target=True, reduction="none").sum(-1)[:, 1:].mean(1)
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=1e-3)
    assert found[1].abs().max() < 1e-12


def test_texts_are_dealt_once_and_held_out_ones_to_nobody(model):
    words = [" ".join(WORDS[1 + (place * k) % 50] for k in range(140)) for place in range(1, 49)]
    excerpts = [Excerpt("abcd"[place % 4], text) for place, text in enumerate(words)]
    dealt = deal(model, [*excerpts, Excerpt("a", "too short")], n=8, texts=4, tokens=12, seed=0)
    assert len(dealt) == 9 and all(rows.shape[1] == 12 and 1 <= len(rows) <= 4 for rows in dealt)
    every = torch.cat(dealt).tolist()
    assert len({tuple(row) for row in every}) == len(every)


# A whole run


@pytest.fixture(scope="module")
def run(model, tails, targets, family):
    found = [
        measure(name, linear.weight.data, family, 2, 120, seed, whole=seed < 2)
        for seed, (name, linear) in enumerate(targets.items())
    ]
    return found, behave(tails[-1], targets, family, 2, 120)


def test_what_a_run_reports_is_what_was_declared(run):
    reported = metrics(*run)
    assert {metric.name for metric in reported} == set(DECLARED.metrics) and len(reported) == len(DECLARED.metrics)
    assert all(math.isfinite(metric.value) for metric in reported)
    found, kl = run
    without = metrics([replace(matrix, whole=math.nan) for matrix in found], kl)
    assert [metric.name for metric in without if metric.n == 0] == ["gain_whole"]


def test_every_case_is_measured_from_its_mean(run, family, targets):
    first = run[0][0]
    assert set(first.errors) == set(CASES) and {len(errors) for errors in first.errors.values()} == {121}
    base = targets[first.name].weight.data
    for case, versions, _ in cases(base, family, first.name, 2, 0):
        assert first.errors[case][0] == pytest.approx(log_error(versions.mean(0), base), abs=1e-3)
    assert first.one > first.errors["trained"][0]


def test_the_explorers_data_and_the_figure(run):
    content = json.loads(json.dumps(explorers.check("curves", curves(run[0]))))
    assert content["x"]["values"][-1] == 120
    assert {one["name"] for one in content["series"]} <= set(CASES.values())
    figure = draw(run[0])
    assert isinstance(figure, Figure) and len(figure.axes[0].lines) == 5


# Planted faults


def family_of(targets, rank=2, n=6):
    """Adapters that were not trained but drawn, so that what is right is known."""
    drawn = [
        method.Adapter(
            {name: 0.2 * noise(x.out_features, rank, seed=10 * seed) for name, x in targets.items()},
            {name: noise(rank, x.in_features, seed=10 * seed + 1) for name, x in targets.items()},
            (1.0, 1.0),
        )
        for seed in range(1, n + 1)
    ]
    return Family(drawn, drawn[:3], drawn[:COPIES])


def judged(ids, tails, targets, rank=2):
    family = family_of(targets)
    found = [
        measure(name, linear.weight.data, family, rank, 120, seed, whole=False)
        for seed, (name, linear) in enumerate(targets.items())
    ]
    known = {metric.name: metric for metric in metrics(found, behave(tails[-1], targets, family, rank, 120))}
    return {name: judge_claim(CLAIMS[name], known, "quick").verdict for name in ids}


IDS = ("R1", "R2", "B1")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Four matrices of a tiny Llama, which are wide enough for five adapters of rank 1."""
    found = tiny_llama(tmp_path_factory.mktemp("wide"))
    tokens = torch.randint(1, len(WORDS), (6, 8), generator=torch.Generator().manual_seed(3))
    return [Tail(found, tokens, 2)], matrices(found, 2, KINDS)


def test_drawn_adapters_are_undone(wide):
    assert set(judged(IDS, *wide).values()) == {HOLDS}


WRONG = {
    "a rank that is too small": lambda matrices, rank: 0 * matrices,
    "the sign flipped": lambda matrices, rank: -low_rank(matrices, rank),
    "the smallest directions instead of the largest": lambda matrices, rank: matrices - low_rank(matrices, rank),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_method_is_refused(monkeypatch, wide, fault):
    monkeypatch.setattr(method, "low_rank", WRONG[fault])
    verdicts = judged(IDS, *wide)
    assert not set(verdicts.values()) & set(POSITIVE), verdicts


def test_another_matrix_as_the_base_is_refused(monkeypatch, wide):
    """Errors told against a base that the versions do not have: a little nearer to it is not the same as exact."""
    right = method.merged
    monkeypatch.setattr(method, "merged", lambda base, adapters, name: right(base.flip(0), adapters, name))
    assert judged(("R2",), *wide)["R2"] not in POSITIVE


def test_merged_is_in_single_precision(wide):
    name, linear = next(iter(wide[1].items()))
    adapters = family_of(wide[1]).own
    found = merged(linear.weight.data, adapters, name)
    assert found.dtype == torch.float32 and found.shape == (6, *linear.weight.shape)
    expected = linear.weight.data + sum(
        torch.outer(adapters[2].B[name][:, k], adapters[2].A[name][k]) for k in range(2)
    )
    torch.testing.assert_close(found[2], expected)
