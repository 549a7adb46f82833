"""The formula against a hand-made case, every measure against brute force or a planted answer, and planted faults."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from reproductions import neurons_to_neutrons
from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.verdicts import HOLDS, judge_claim
from reproductions.neurons_to_neutrons import method
from reproductions.neurons_to_neutrons.method import (
    COMPONENTS,
    MAGIC,
    NEUTRONS,
    WIDTH,
    Found,
    Network,
    Summed,
    bends,
    bow,
    chart,
    detrended,
    fourier,
    helix,
    helix_share,
    kinks,
    phases_shuffled,
    planted_helix,
    planted_kinks,
    polynomials,
    principal,
    probe,
    read,
    share,
    terms,
    wobble,
)

FILE = Path(neurons_to_neutrons.__file__).with_name("reproduction.yml")
CLAIMS = {claim.id: claim for claim in load_claims(FILE).claims}
SEEDS = range(4)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def permuted(embedding, seed=0):
    return embedding[torch.randperm(len(embedding), generator=torch.Generator().manual_seed(seed))]


def arc(seed):
    """A smooth path without kinks, wobble or turns, in noise."""
    n = torch.linspace(-1, 1, len(NEUTRONS))
    return method.drawn_in([n, n**2, n**3], seed, noise=0.0005)


def found(variant, seed, embedding=None, hidden=None):
    """A network that was not trained: what it would have been found to be."""
    nuclei = chart()
    training, _ = method.parted(len(nuclei), seed)
    embedding = arc(seed) if embedding is None else embedding
    components = noise(len(nuclei), COMPONENTS, seed=seed) if hidden is None else hidden
    return Found(variant, seed, embedding, components, 0.1 * noise(len(nuclei), seed=seed), training)


def networks(**embeddings):
    """One of each variant for each seed; some variants have embeddings of their own, made from the seed."""
    return [
        found(variant, seed, embeddings.get(variant, arc)(seed))
        for variant, seed in itertools.product(method.NUCLEI, SEEDS)
    ]


def embedded(several):
    return [*method.compared(several), *method.measured(several, method.EMBEDDED)]


def verdict(claim, metrics):
    return judge_claim(CLAIMS[claim], {metric.name: metric for metric in metrics}, "full").verdict


def scattered(seed):
    """Embeddings without any order."""
    return noise(len(NEUTRONS), WIDTH, seed=seed)


# The formula


def test_the_formula_of_a_nucleus_by_hand():
    """Iron 56: 26 protons, 2 from 28; 30 neutrons, 2 from 28; all even."""
    z, n, a = 26, 30, 56
    valence = 2 * 2 / 4
    energy = 16.58 * a - 26.95 * a ** (2 / 3) - 0.774 * z**2 / a ** (1 / 3) - 31.51 * 16 / a + 11.18 / a**0.5
    energy += -1.9 * valence + 0.14 * valence**2 + 14.77 * a ** (1 / 3) + 2.22 * z ** (4 / 3) / a ** (1 / 3)
    energy += -43.4 * 4 / a + 55.62 * 16 / a ** (4 / 3)
    assert sum(terms(torch.tensor([[z, n]])).values()).item() == pytest.approx(energy / a)
    assert energy / a == pytest.approx(8.79, abs=0.05)  # as measured, MeV


def test_pairing_depends_on_what_is_even_and_shells_end_at_magic_numbers():
    found = terms(torch.tensor([[20, 20], [20, 21], [21, 20], [21, 21], [50, 71], [51, 71]]))
    assert found["pairing"][:4].sign().tolist() == [1, 0, 0, -1]
    assert found["shell"].ne(0).tolist() == [False, False, False, True, False, True]


def test_the_chart_keeps_nuclei_near_the_most_bound_of_as_many_nucleons():
    nuclei = chart()
    energy = nuclei.sum(1) * sum(terms(nuclei).values())
    for a in (40, 100, 200):
        here = energy[nuclei.sum(1) == a]
        assert here.max() - here.min() < method.WITHIN
    assert len(chart(5.0)) < len(nuclei)
    assert all((nuclei[:, 1] == n).sum() >= 7 for n in NEUTRONS)


# The network


def test_the_network_is_its_equation():
    torch.manual_seed(0)
    network = Network([7, 9], 1, 6, 2, 3)
    numbers = torch.tensor([[1, 8], [6, 0]])
    for row, (a, b) in zip(network(numbers), numbers.tolist(), strict=True):
        e = torch.cat([network.embeddings[0][a], network.embeddings[1][b]])
        h = network.input.weight @ e + network.input.bias
        h = h * torch.sigmoid(h)
        for block in network.blocks:
            inner = (block[0].weight @ h + block[0].bias).clamp(min=0)
            h = h + (block[2].weight @ inner + block[2].bias).clamp(min=0)
        torch.testing.assert_close(row, network.readout.weight @ h + network.readout.bias)


def test_sums_read_both_numbers_from_one_table():
    network = Network([5], 1, 6, 0, 5)
    assert len(network.embeddings) == 1
    assert network(torch.tensor([[1, 4]])).shape == (1, 5)


def test_decay_leaves_biases_alone():
    network = Network([5], 1, 6, 1, 5)
    matrices, biases = method.adamw(network.parameters(), 0.1, 0.3).param_groups
    assert (matrices["weight_decay"], biases["weight_decay"]) == (0.3, 0)
    assert all(p.ndim == 2 for p in matrices["params"]) and all(p.ndim == 1 for p in biases["params"])


def test_training_is_the_seeds_and_shuffled_answers_are_others():
    one, same, other = (method.learn(name, 3, 5) for name in ("formula", "formula", "shuffled"))
    assert torch.equal(one.embedding, same.embedding) and torch.equal(one.training, other.training)
    assert one.embedding.shape == (len(NEUTRONS), WIDTH) and one.components.shape == (len(chart()), COMPONENTS)
    assert not torch.equal(one.error, other.error)
    variances = one.components[one.training].var(0, unbiased=False)
    assert (variances[0] - 1).abs() < 1e-3
    assert one.rms() == pytest.approx(float(np.sqrt(np.mean(np.square(one.error[~one.training].numpy())))))


def test_a_network_learns_sums_that_it_has_not_seen_and_shuffled_ones_not():
    learnt, shuffled = (method.learn_sums(name, 0, 31, 700) for name in ("sums", "shuffled"))
    assert learnt.right > 0.7
    assert shuffled.right < 0.3


# What is read from embeddings


def test_share_is_that_of_the_covariances_eigenvalues():
    e = noise(30, 5)
    values = np.sort(np.linalg.eigvalsh(np.cov(e.numpy().T)))[::-1]
    assert share(e) == pytest.approx(values[:3].sum() / values.sum())


def test_circles_have_few_frequencies_and_permuted_ones_not():
    angle = 2 * math.pi * torch.arange(23)[:, None] * torch.tensor([3.0, 7.0]) / 23
    e = torch.cat([angle.cos(), angle.sin()], -1)
    assert fourier(e, 2) == pytest.approx(1)
    assert fourier(e, 1) == pytest.approx(0.5)
    assert method.ordered(e, 0) > 0.3
    assert abs(np.mean([method.ordered(permuted(e, seed), seed) for seed in range(20)])) < 0.1


def test_the_best_circle_against_a_search_over_planes_and_phases():
    rest = detrended(noise(60, 3))
    best = 0.0
    n = torch.arange(60)
    for turns in method.TURNS:
        angle = 2 * math.pi * turns * n / 60
        against = torch.stack([(rest * angle.cos()[:, None]).sum(0), (rest * angle.sin()[:, None]).sum(0)], -1)
        u, _, vh = np.linalg.svd(against.numpy(), full_matrices=False)
        circle = torch.stack([angle.cos(), angle.sin()], -1) @ torch.from_numpy(u @ vh).T
        radius = (rest * circle).sum() / circle.square().sum()
        best = max(best, 1 - float((rest - radius * circle).square().sum() / rest.square().sum()))
    assert helix_share(rest).item() == pytest.approx(best)


def test_a_helix_in_any_plane_is_all_explained_and_a_flat_wave_half():
    n = torch.arange(100, dtype=torch.double) / 100
    turned = torch.linalg.qr(noise(3, 3)).Q
    wave = (2 * math.pi * 5 * n).cos()
    coil = torch.stack([wave, (2 * math.pi * 5 * n).sin(), 0 * n], -1)
    assert helix_share((coil + 0) @ turned).item() == pytest.approx(1)
    assert helix_share(torch.stack([wave, 0 * n, 0 * n], -1) @ turned).item() == pytest.approx(0.5)


def test_shuffled_phases_keep_each_frequencys_power_and_lose_its_place():
    path = detrended(noise(40, 3))
    copies = phases_shuffled(path, 0)
    power = torch.fft.rfft(path, dim=0).abs()[1:-1]
    torch.testing.assert_close(torch.fft.rfft(copies, dim=1).abs()[:, 1:-1], power.expand(len(copies), -1, -1))
    assert not torch.allclose(copies[0], copies[1])


def test_a_path_loses_its_straight_line():
    line = torch.arange(20, dtype=torch.double)[:, None] * noise(1, 3) + noise(1, 3)
    assert detrended(line).abs().max() < 1e-9
    x = np.arange(20)
    rest = noise(20, 2)
    fitted = np.polyval(np.polyfit(x, rest[:, 1].numpy(), 1), x)
    np.testing.assert_allclose(detrended(rest)[:, 1].numpy(), rest[:, 1].numpy() - fitted)


def test_bends_kinks_and_wobble_against_loops():
    e, first = noise(60, 4), 20
    _, _, axes = np.linalg.svd((e - e.mean(0)).numpy())
    x = e @ torch.from_numpy(axes[:3].T)
    loop = [x[i + 1] - 2 * x[i] + x[i - 1] for i in range(1, 59)]
    torch.testing.assert_close(bends(e).norm(dim=-1), torch.stack(loop).norm(dim=-1))
    size = {first + 1 + i: math.log2(bend.norm()) for i, bend in enumerate(loop)}
    near = {50: (40, 42, 44, 46, 48, 52, 54, 56, 58, 60)}  # 28 is too near to the start
    assert kinks(e, first) == pytest.approx(size[50] - np.mean([size[n] for n in near[50]]))
    spectrum = (np.abs(np.fft.rfft(torch.stack(loop).numpy(), axis=0)) ** 2).sum(1)
    assert wobble(e) == pytest.approx(math.log2(spectrum[29] / spectrum[19:29].mean()))


@pytest.mark.parametrize("seed", SEEDS)
def test_measures_see_what_was_planted_and_nothing_else(seed):
    coil, bent, plain = planted_helix(seed), planted_kinks(seed), arc(seed)
    assert helix(coil, seed) > 0.1
    assert max(helix(e, seed) for e in (permuted(coil), bow(coil), bent, plain)) < 0.02
    assert kinks(bent) > 0.6
    assert max(kinks(coil), kinks(plain)) < 0.3
    assert wobble(bent) > 2
    assert max(wobble(coil), wobble(plain)) < 1.5


def test_a_bow_is_as_long_as_the_components_of_what_it_stands_for():
    e = planted_helix(0)
    torch.testing.assert_close(principal(bow(e), 3).norm(dim=0), principal(e, 3).norm(dim=0))


# What is read from the hidden layer


def test_polynomials_are_all_products_up_to_the_third_degree():
    nuclei = torch.tensor([[1, 5], [2, 3], [4, 4], [7, 1]])
    z, n = ((nuclei.numpy() - nuclei.numpy().mean(0)) / nuclei.numpy().std(0, ddof=1)).T
    powers = [(i, j) for i in range(4) for j in range(4) if 0 < i + j < 4]
    expected = np.stack([z**i * n**j for i, j in powers], -1)
    assert polynomials(nuclei).shape == (4, COMPONENTS)
    np.testing.assert_allclose(np.sort(polynomials(nuclei).numpy()), np.sort(expected))


def test_what_is_read_is_judged_on_nuclei_that_no_map_was_fitted_on():
    features, training = noise(50, 12), torch.arange(50) < 20
    target = noise(50, seed=1)
    assert read(features, target, training) < 0.3
    assert read(features, features @ noise(12, seed=2) + 3, training) == pytest.approx(1)


def test_a_probe_sees_a_term_that_is_there_and_none_that_is_not():
    nuclei, without = chart(), found("formula", 0)
    there = replace(without, components=without.components + (terms(nuclei)["shell"] * 300)[:, None])
    assert probe(there, "shell") > 0.3
    assert probe(without, "shell") < 0 and probe(without, "pairing") < 0.05
    assert probe(without, "pairing", planted=True) > 0.3


def test_a_term_that_predictions_hold_in_part_is_found_in_that_part():
    nuclei, exact = chart(), replace(found("formula", 0), error=torch.zeros(len(chart())))
    half = replace(exact, error=(-0.5 * terms(nuclei)["shell"]).float())
    assert method.learnt(exact, "shell") == pytest.approx(1, abs=1e-3)
    assert method.learnt(half, "shell") == pytest.approx(0.5, abs=1e-3)
    assert method.learnt(half, "pairing") == pytest.approx(1, abs=1e-3)
    assert method.learnt(replace(exact, variant="smooth"), "pairing") == pytest.approx(0, abs=1e-3)


# Verdicts: what is planted holds, and a wrong version does not


def test_planted_structure_holds():
    loose = {"memorising": scattered, "shuffled": lambda seed: scattered(seed + 9)}
    metrics = embedded(networks(formula=planted_kinks, **loose))
    assert {claim: verdict(claim, metrics) for claim in ("L1", "K1", "W1")} == dict.fromkeys(("L1", "K1", "W1"), HOLDS)
    coiled = embedded(networks(formula=planted_helix))
    assert verdict("H1", coiled) == HOLDS


WRONG = {
    "neutron numbers in a random order": ("H1", {"formula": lambda seed: permuted(planted_helix(seed), seed)}),
    "a smooth arc for a helix": ("H1", {"formula": arc}),
    "an arc of one turn for a helix": ("H1", {"formula": lambda seed: bow(planted_helix(seed))}),
    "kinks in a random order": ("K1", {"formula": lambda seed: permuted(planted_kinks(seed), seed)}),
    "kinks without shells as well": ("K1", {"formula": planted_kinks, "smooth": lambda seed: planted_kinks(seed + 9)}),
    "a wobble without pairing as well": ("W1", {"formula": planted_kinks, "smooth": lambda s: planted_kinks(s + 9)}),
    "few dimensions with shuffled energies as well": (
        "L1",
        {"memorising": scattered},
    ),
}


@pytest.mark.parametrize("claim, embeddings", WRONG.values(), ids=WRONG)
def test_a_wrong_version_does_not_hold(claim, embeddings):
    assert verdict(claim, embedded(networks(**embeddings))) != HOLDS


def test_sums_hold_on_circles_and_not_with_shuffled_ones_alike():
    angle = 2 * math.pi * 4 * torch.arange(31)[:, None] / 31
    circle = torch.cat([angle.cos(), angle.sin()], -1)

    def sums(**of):
        return method.measured(
            [Summed(v, s, of[v] + 0.05 * noise(31, 2, seed=s + 9 * i), 0.5) for i, v in enumerate(of) for s in SEEDS],
            method.CIRCLES,
        )

    loose = noise(31, 2, seed=7)
    assert verdict("M1", sums(sums=circle, memorising=loose, shuffled=permuted(circle))) == HOLDS
    assert verdict("M1", sums(sums=permuted(circle), memorising=loose, shuffled=permuted(circle, 3))) != HOLDS
    assert verdict("M1", sums(sums=circle, memorising=loose, shuffled=circle)) != HOLDS


def test_figure_explorer_and_metrics_are_what_the_file_declares():
    several = networks(memorising=scattered)
    sums = [Summed(variant, seed, noise(31, WIDTH, seed=seed), 0.1 * seed) for variant in method.SUMS for seed in SEEDS]
    reported = [*embedded(several), *method.measured(several, method.TERMS), *method.measured(sums, method.CIRCLES)]
    assert {metric.name for metric in reported} == set(load_claims(FILE).metrics)
    assert isinstance(method.draw(several, sums), Figure)
    text = explorers.text("grid", method.maps(several[0]))
    assert len(text) < 400_000


def test_a_cell_is_the_mean_of_its_nuclei():
    nuclei = chart()
    grid = method.cells(nuclei, nuclei[:, 0].double() * nuclei[:, 1])
    here = [int(z * n) for z, n in nuclei.tolist() if (z - 9) // 3 == 10 and (n - 9) // 3 == 12]
    assert grid[10][12] == pytest.approx(np.mean(here), abs=1e-3)
    assert grid[0][-1] is None
    assert MAGIC[-1] == 184
