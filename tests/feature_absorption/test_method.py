"""Effects, the rule and rates against loops and by hand; a planted latent is found, and wrong rules are not."""

import pytest
import torch

from reproductions.common import explorers
from reproductions.common.latents import Dictionary
from reproductions.common.spelling import Spelling
from reproductions.feature_absorption import method
from reproductions.feature_absorption.method import (
    COSINE,
    LEAD,
    OWN,
    absorption,
    aligned,
    apart,
    leading,
    looked,
    measure,
    metrics,
    plant,
)
from tests.common.tiny_bridge import WIDTH
from tests.common.tiny_speller import tiny_deal, tiny_speller

SITE = "blocks.0.hook_resid_post"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_speller(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def words(model):
    return tiny_deal(model)[1]


@pytest.fixture(scope="module")
def task(model, words):
    return Spelling(model, words, SITE)


class Sae:
    """Latents are the axes of the space and their opposites: what is there is rebuilt in full."""

    def __init__(self):
        self.W_dec, self.W_enc = torch.cat([torch.eye(WIDTH), -torch.eye(WIDTH)]), None
        self.cfg = type("Cfg", (), {"metadata": type("Metadata", (), {"outlier_norm": None})})

    def encode(self, x):
        return (x @ self.W_dec.T).relu()

    def decode(self, codes):
        return codes @ self.W_dec


# The rule


def test_a_latent_leads_if_it_is_negative_and_far_ahead():
    effects = torch.tensor([[-2.0, -0.5, 0.3], [-2.0, -1.5, 0.0], [0.4, 3.0, 2.0], [-0.1, 0.0, -1.3]])
    latents = torch.tensor([[7, 8, 9]]).expand(4, 3)
    latent, leads = leading(effects, latents)
    assert latent.tolist() == [7, 7, 7, 9]
    assert leads.tolist() == [True, False, False, True]
    assert leading(torch.tensor([[-LEAD, 0.0]]), latents[:1, :2])[1].item()


def test_a_latent_writes_along_a_direction_from_a_cosine_on():
    direction = torch.tensor([[1.0, 0.0]])
    cosines = torch.tensor([COSINE + 0.001, COSINE - 0.001, -0.9])
    writes = 3 * torch.stack([cosines, (1 - cosines.square()).sqrt()], 1)
    assert aligned(writes, direction)[:, 0].tolist() == [1, 0, 0]


def test_what_is_a_letters_own_is_told_from_the_others():
    found = apart(torch.tensor([[1.0, 2.0, 6.0], [0.0, 3.0, 5.0]]), torch.tensor([0, 1]))
    assert found.tolist() == [[1.0, 4.0], [3.0, 2.5]]


def test_columns_are_those_of_a_loop_that_takes_latents_away(task):
    dictionary, rows = Dictionary(SITE, Sae()), torch.arange(6)
    z, before = dictionary.codes(task.x[rows]), task.before(rows)
    judged, through, top = looked(task, dictionary, z, rows, 3)
    slopes = task.slopes(rows, before, torch.zeros(WIDTH), 3)
    probes = torch.nn.functional.normalize(task.probe.weights, dim=-1)
    for row in range(6):
        d, letter = dictionary.directions, task.words.letter[row]
        effects = torch.stack([-z[row, latent] * (d[latent] @ slopes[row]) for latent in range(len(d))])
        first, second = effects.sort().values[:2]
        assert top[row] == effects.argmin()
        own = first < 0 and first.abs() - second.abs() >= 1 and d[top[row]] @ probes[letter] > COSINE
        assert judged[row, OWN] == float(own)
        kept = z[row, top[row]] * ((d[top[row]] - (d[top[row]] @ probes[letter]) * probes[letter]) @ slopes[row])
        torch.testing.assert_close(1 - kept / -effects[top[row]], through[row, 0], atol=1e-4, rtol=1e-3)


class Absorbing:
    """By hand: a latent a letter that writes what its words have in common, and for some words one that writes all."""

    def __init__(self, task, absorbed):
        self.x, self.absorbed, mean = task.x, absorbed, task.x.mean(0)
        letters = torch.stack([task.x[task.words.letter == place].mean(0) - mean for place in range(3)])
        own = task.x - mean
        self.W_dec, self.W_enc, self.mean, self.letter = torch.cat([letters, own]), None, mean, task.words.letter
        self.cfg = type("Cfg", (), {"metadata": type("Metadata", (), {"outlier_norm": None})})

    def encode(self, x):
        places = (x[:, None] - self.x).norm(dim=-1).argmin(1)
        codes = torch.zeros(len(x), len(self.W_dec))
        taken = self.absorbed[places]
        codes[~taken, self.letter[places[~taken]]] = 1.0
        codes[taken, 3 + places[taken]] = 1.0
        return codes

    def decode(self, codes):
        return self.mean + codes @ self.W_dec


def with_margins(task, monkeypatch, sign=1.0):
    """The model knows letters: m is ten times what the state has along the mean of the letter's words."""
    means = torch.stack([task.x[task.words.letter == place].mean(0) for place in range(3)]) - task.x.mean(0)
    axes = sign * 10 * torch.nn.functional.normalize(means, dim=-1)[task.words.letter]
    monkeypatch.setattr(task, "margins", lambda rows, before, x: (x * axes[rows]).sum(1))
    weights, biases = means, -(means * (task.x.mean(0) + means / 2)).sum(1)
    monkeypatch.setattr(task, "probe", type(task.probe)(weights, biases))
    monkeypatch.setattr(task, "known", task.words.held)


def test_words_with_a_latent_of_their_own_are_found_absorbed(task, monkeypatch):
    with_margins(task, monkeypatch)
    absorbed, own = task.words.held.clone(), task.x - task.x.mean(0)
    absorbed[0] = False  # this one has its letter's latent
    known = [(task.words.held & (task.words.letter == place)).sum() for place in range(3)]
    found = absorption(task, Dictionary(SITE, Absorbing(task, absorbed)), 10, 2)
    assert found.main == [[0], [1], [2]]
    along = 10 * task.own(own @ torch.nn.functional.normalize(task.probe.weights, dim=-1).T)
    shown = absorbed & (along >= LEAD) & (along / 10 / own.norm(dim=1) > COSINE)
    by_hand = [(shown & (task.words.letter == place)).sum() / known[place] for place in range(3)]
    torch.testing.assert_close(found.rates[:, OWN], torch.stack(by_hand))
    assert shown.any() and len(found.taken) == shown.sum()
    assert found.elsewhere.max() == 0


def test_nothing_is_absorbed_where_main_latents_are_active(task, monkeypatch):
    with_margins(task, monkeypatch)
    found = absorption(task, Dictionary(SITE, Absorbing(task, torch.zeros(len(task.x), dtype=torch.bool))), 10, 2)
    assert found.silent.max() == 0 and found.rates.abs().max() == 0 and found.taken == []


def test_a_wrong_sign_of_effects_finds_nothing(task, monkeypatch):
    """A planted fault: latents that work against the letter are not taken for its carriers."""
    with_margins(task, monkeypatch, sign=-1.0)
    found = absorption(task, Dictionary(SITE, Absorbing(task, task.words.held)), 10, 2)
    along = task.own((task.x - task.x.mean(0)) @ task.probe.weights.T)
    assert found.silent.min() == 1 and (along[task.words.held] > 0).any()
    assert len(found.taken) == 0


def test_the_plant_is_seen_where_the_model_uses_the_state(task, monkeypatch):
    with_margins(task, monkeypatch)
    assert plant(task, 2)[:, 1].mean() > 0.3
    monkeypatch.setattr(task, "margins", lambda rows, before, x: 0 * x.sum(1))
    assert plant(task, 2)[:, 1].max() == 0


def test_rates_of_a_sample_stand_for_all_silent_words(task, monkeypatch):
    with_margins(task, monkeypatch)
    dictionary = Dictionary(SITE, Absorbing(task, task.words.held))
    one, all_of_them = (absorption(task, dictionary, most, 2) for most in (1, 10))
    assert len(one.taken) <= 3 < len(all_of_them.taken)
    assert one.silent.tolist() == all_of_them.silent.tolist()
    assert set(one.rates[:, OWN].tolist()) <= {0.0, 1.0}


# What is reported


@pytest.fixture(scope="module")
def found(model, words):
    return measure(model, words, {"dense": Dictionary(SITE, Sae()), "sparse": Dictionary(SITE, Sae())}, 4, 2)


def test_numbers_are_of_letters_and_like_autoencoders_do_not_differ(found):
    numbers = {metric.name: metric for metric in metrics([found, found])}
    assert all(len(metric.units) == 3 for metric in numbers.values())
    assert numbers["sparser"].units == numbers["sparser_exact"].units == (0.0, 0.0, 0.0)
    assert numbers["rate_dense"].units == numbers["rate_sparse"].units
    by_hand = found.rates("dense", OWN) - found.rates("dense", method.CHANCE)
    assert numbers["absorbed_dense"].units == pytest.approx(by_hand.tolist(), rel=1e-3)


def test_the_explorer_and_the_figure_can_be_drawn(found):
    assert explorers.text("cards", method.cards(found))
    assert len(method.draw([found]).axes) == 2
