"""A training gives the same bits each time, in one go or after it was killed; a damaged checkpoint is not used."""

import json
from functools import partial

import pytest
import torch
from torch.optim import SGD, Adam

from reproductions.common import training
from reproductions.common.steps import StepError
from reproductions.common.training import Recipe, TrainingError, generator_of, seeded, train

STEPS, EVERY = 50, 8


class KilledError(Exception):
    """A run that ends in the middle of a step."""


def net():
    return torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.BatchNorm1d(5), torch.nn.Linear(5, 6))


def loss(model, generator, killed_at=None, seen=None):
    if seen is not None:
        seen.append(generator.initial_seed())
        if len(seen) - 1 == killed_at:
            raise KilledError
    x = torch.randn(16, 6, generator=generator)
    return (model(x) - x).square().mean()


def measure(model):
    return {"weight": model[0].weight, "size": float(model[0].weight.norm())}


ADAM = partial(Adam, lr=0.01)


def fit(folder=None, *, name="net", seed=0, loss=loss, optimiser=ADAM, adjust=None):
    model, recipe = seeded(seed, net), Recipe(STEPS, EVERY, optimiser, adjust)
    curve = train(name, model, loss, recipe, seed=seed, measure=measure, folder=folder)
    return curve, model.state_dict()


def same(one, other):
    pairs = [(one[1][key], other[1][key]) for key in one[1]] + [(one[0].loss, other[0].loss)]
    pairs += [(one[0].measured[key], other[0].measured[key]) for key in one[0].measured]
    return one[0].at == other[0].at and all(torch.equal(*pair) for pair in pairs)


def plan(folder, attempt, fingerprint="abc"):
    (folder / "plan.json").write_text(json.dumps({"fingerprint": fingerprint, "attempt": attempt}))


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(training, "REST_S", 0)


@pytest.fixture
def killed(tmp_path, at_once):
    """A run directory whose training was killed in its 30th step, and is gone on with."""
    plan(tmp_path, 0)
    with pytest.raises(KilledError):
        fit(tmp_path, loss=partial(loss, killed_at=29, seen=[]))
    plan(tmp_path, 1)
    return tmp_path


def test_the_same_bits_twice_whatever_others_draw():
    first = fit()
    torch.rand(3)
    assert same(first, fit())


def test_the_loss_falls_and_is_measured_where_it_says():
    curve, weights = fit()
    assert curve.at == (0, 8, 16, 24, 32, 40, 48, 50)
    assert curve.loss.shape == (STEPS,) and curve.loss[-5:].mean() < 0.8 * curve.loss[:5].mean()
    assert torch.equal(curve.measured["weight"][-1], weights["0.weight"])
    assert torch.equal(curve.measured["weight"][0], seeded(0, net)[0].weight)
    level = float(curve.measured["size"][3]) + 1e-6
    by_hand = next(at for at, size in zip(curve.at, curve.measured["size"], strict=True) if size < level)
    assert curve.first_below("size", level) == by_hand
    assert curve.first_below("size", 0) != curve.first_below("size", 0)


def test_another_seed_differs():
    one, other = fit()[0], fit(seed=1)[0]
    assert not torch.equal(one.loss, other.loss)


def test_steps_and_seeds_share_no_chance():
    drawn = [torch.rand(4, generator=generator_of(seed, step)).tolist() for seed in range(9) for step in range(9)]
    assert len({tuple(values) for values in drawn}) == 81


def test_other_random_numbers_and_the_threads_stay_as_they_were():
    torch.set_num_threads(2)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fit()
    assert torch.equal(torch.rand(2), expected) and torch.get_num_threads() == 2


@pytest.mark.parametrize("optimiser", [ADAM, partial(SGD, lr=0.01, momentum=0.9)])
def test_killed_and_gone_on_with_is_as_in_one_go(tmp_path, at_once, optimiser, capsys):
    for attempt, killed_at in enumerate((13, 20)):  # steps of that attempt
        plan(tmp_path, attempt)
        with pytest.raises(KilledError):
            fit(tmp_path, loss=partial(loss, killed_at=killed_at, seen=[]), optimiser=optimiser)
    plan(tmp_path, 2)
    seen = []
    found = fit(tmp_path, loss=partial(loss, seen=seen), optimiser=optimiser)
    assert same(found, fit(optimiser=optimiser))
    assert len(seen) == STEPS - 24  # 8 steps of the first attempt and 16 of the second were kept
    assert "gone on with after 24 steps" in capsys.readouterr().out


def test_a_finished_training_is_taken_over_whole(killed):
    first = fit(killed)
    plan(killed, 2)
    seen = []
    assert same(first, fit(killed, loss=partial(loss, seen=seen))) and not seen


def damaged(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def halved(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("spoil", [damaged, halved, emptied])
def test_a_damaged_checkpoint_starts_anew_with_a_sentence(killed, spoil, capsys):
    spoil(killed / "steps" / "net.checkpoint")
    seen = []
    assert same(fit(killed, loss=partial(loss, seen=seen)), fit())
    assert len(set(seen)) == len(seen) == STEPS  # each step draws a batch of its own
    assert "net: trained anew, because its checkpoint is of no use" in capsys.readouterr().out


def test_a_checkpoint_of_another_run_or_seed_is_not_used(killed, capsys):
    assert same(fit(killed, seed=1), fit(seed=1))
    plan(killed, 2, fingerprint="other")
    assert same(fit(killed), fit())
    assert capsys.readouterr().out.count("of another training") == 2


def test_a_name_stands_for_one_training_and_can_name_a_file(killed):
    fit(killed)
    with pytest.raises(StepError, match="stands for two trainings"):
        fit(killed)
    with pytest.raises(StepError, match="cannot name a training"):
        fit(name="../net")


def test_by_hand_and_on_a_full_disk_nothing_is_kept(tmp_path, at_once, capsys):
    fit(tmp_path)
    assert not list(tmp_path.iterdir())
    plan(tmp_path, 0)
    (tmp_path / "steps").write_text("no folder")
    assert same(fit(tmp_path), fit())
    assert "no checkpoint could be kept" in capsys.readouterr().out


def test_checkpoints_are_written_now_and_then(tmp_path):
    plan(tmp_path, 0)
    with pytest.raises(KilledError):
        fit(tmp_path, loss=partial(loss, killed_at=40, seen=[]))
    assert not (tmp_path / "steps").exists()  # less than ten seconds
    fit(tmp_path)
    assert [path.name for path in (tmp_path / "steps").iterdir()] == ["net.checkpoint"]


def test_a_rate_can_change_by_the_step():
    def still(optimiser, step):
        optimiser.param_groups[0]["lr"] = 0.01 if step < EVERY else 0.0

    sizes = fit(adjust=still)[0].measured["size"]
    assert sizes[0] != sizes[1] and len(set(sizes[1:].tolist())) == 1


def test_a_loss_that_is_no_number_ends_the_training():
    with pytest.raises(TrainingError, match="net: the loss of step 0 is NaN or infinite"):
        fit(loss=lambda model, generator: loss(model, generator) * float("nan"))
