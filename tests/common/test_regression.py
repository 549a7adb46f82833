"""Ridge regression against least squares of numpy, an identity, and noise."""

import numpy as np
import pytest
import torch

from reproductions.common.regression import Regression, excess, ridge


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


TEXT = torch.arange(40).repeat_interleave(20)


def test_without_a_ridge_it_is_least_squares_with_an_intercept():
    x, y = drawn(800, 6) + 3, drawn(800, 2, seed=1) - 1
    found = Regression(x, TEXT, [0.0]).fit(y)
    solved = np.linalg.lstsq(np.c_[x.numpy(), np.ones(800)], y.numpy(), rcond=None)[0]
    np.testing.assert_allclose(found(x).numpy(), np.c_[x.numpy(), np.ones(800)] @ solved, atol=1e-4)


def test_a_ridge_solves_its_own_equations():
    x, y = drawn(50, 6).double(), drawn(50, 3, seed=1).double()
    xx, xy = x.T @ x, x.T @ y
    A = ridge(xx, xy, 0.1)
    torch.testing.assert_close(x.T @ (y - x @ A), 0.1 * xx.trace() / 6 * A)
    assert excess(A, xx, xy) == pytest.approx(float((x @ A - y).square().sum() - y.square().sum()))


def test_strength_is_that_which_predicts_texts_left_out():
    x = drawn(800, 60)
    linear, noise = x @ drawn(60, 60, seed=1), drawn(800, 60, seed=2)
    weak, strong = (Regression(x, TEXT)._tried(y)[0] for y in (linear, noise))
    assert weak == 1e-6 and strong == 1.0


def test_crossed_predictions_are_of_a_map_that_has_not_seen_the_text():
    x, y = drawn(800, 6), drawn(800, 2, seed=1)
    regression = Regression(x, TEXT, [1e-3])
    found, halves = regression.crossed(y), regression.halves
    assert not (halves[0] & halves[1]).any() and (halves[0] | halves[1]).all()
    assert all(len(half[text == TEXT].unique()) == 1 for half in halves for text in TEXT.unique())
    mean_x, mean_y = x.mean(0), y.mean(0)
    a, b = (x[halves[1]] - mean_x).double(), (y[halves[1]] - mean_y).double()
    A = ridge(a.T @ a, a.T @ b, 1e-3)
    torch.testing.assert_close(found[halves[0]], (mean_y + (x[halves[0]] - mean_x).double() @ A).float())
