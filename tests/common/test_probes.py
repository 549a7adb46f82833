"""Logistic probes against their own optimality and scikit-learn, F1 against counting, sparse ones against a plant."""

import pytest
import torch

from reproductions.common.probes import balanced, f1, logistic, main_inputs, sparse_weights


@pytest.fixture(scope="module")
def cases():
    drawn = torch.Generator().manual_seed(0)
    x = torch.randn(400, 6, generator=drawn) * torch.tensor([1.0, 2, 1, 1, 1, 1]) + 3
    scores = x @ torch.randn(6, 3, generator=drawn) + 2 * torch.randn(400, 3, generator=drawn)
    return x, (scores > scores.quantile(0.8, dim=0)).float()


def test_a_probe_is_where_the_loss_is_flat(cases):
    x, truth = cases
    probe = logistic(x, truth, ridge=0.0)
    weights, biases = probe.weights.clone().requires_grad_(), probe.biases.clone().requires_grad_()
    balanced(x @ weights.T + biases, truth).backward()
    assert weights.grad.abs().max() < 1e-3 and biases.grad.abs().max() < 1e-3


def test_a_probe_is_that_of_scikit_learn(cases):
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, truth = cases
    probe = logistic(x, truth, ridge=0.0)
    for label, own in enumerate(truth.T):
        other = linear_model.LogisticRegression(C=1e8, class_weight="balanced", max_iter=2000).fit(x, own)
        torch.testing.assert_close(probe.weights[label], torch.tensor(other.coef_[0]).float(), atol=0.01, rtol=0.01)


def test_f1_is_counted():
    found, truth = torch.tensor([[1, 0], [1, 0], [0, 0], [1, 0]]), torch.tensor([[1, 0], [0, 1], [1, 0], [1, 0]])
    assert f1(found, truth).tolist() == pytest.approx([2 * 2 / (2 * 2 + 1 + 1), 0.0])


def planted(n=600, d=30):
    """Inputs of which the first tells label 0, and the second and third, each on half of its cases, label 1."""
    drawn = torch.Generator().manual_seed(1)
    x = torch.rand(n, d, generator=drawn) * (torch.rand(n, d, generator=drawn) < 0.1)
    kind = torch.randint(0, 6, (n,), generator=drawn)
    x[:, :3] = torch.stack([kind == 0, kind == 1, kind == 2], 1) * (0.5 + torch.rand(n, 3, generator=drawn))
    return x, torch.stack([kind == 0, (kind == 1) | (kind == 2)], 1).float()


def test_the_inputs_that_tell_a_label_are_its_main_ones():
    x, truth = planted()
    (first, _), (second, probe) = main_inputs(x, truth)
    assert first.tolist() == [0]
    assert sorted(second.tolist()) == [1, 2]
    assert f1(probe.scores(x[:, second]) > 0, truth[:, 1:]).item() > 0.99


def test_sums_over_active_inputs_are_sums_over_all(monkeypatch):
    """The weights after one step of Adam are those of a dense loss."""
    x, truth = planted(60)
    monkeypatch.setattr("reproductions.common.probes.STEPS", 2)
    found = sparse_weights(x, truth)
    scaled = x / x[x > 0].mean()
    weights, biases = torch.zeros(30, 2, requires_grad=True), torch.zeros(2, requires_grad=True)
    adam = torch.optim.Adam([weights, biases], lr=0.01)
    for _ in range(2):
        adam.zero_grad()
        (balanced(scaled @ weights + biases, truth) + 0.01 * weights.abs().sum(0).mean()).backward()
        adam.step()
    torch.testing.assert_close(found, weights.detach(), atol=1e-5, rtol=1e-3)
