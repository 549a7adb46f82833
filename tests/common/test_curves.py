"""Where curves fall below a level, and what an explorer is given of them."""

import pytest
import torch

from reproductions.common.curves import crossing, mean_and_range


def test_where_a_loss_falls_below_a_level():
    at, loss = (0, 10, 20, 30), torch.tensor([[2.0, 0.5, 2.0], [1.0, 0.4, 2.0], [0.5, 0.3, 2.0], [0.1, 0.1, 2.0]])
    assert crossing(at, loss, 0.75).tolist() == [15.0, 0.0, 30.0]


def test_it_is_the_first_time_and_between_looks_of_any_distance():
    loss = torch.tensor([[1.0], [0.2], [1.0], [0.0]])
    assert crossing((0, 4, 5, 25), loss, 0.6).item() == pytest.approx(2.0)


def test_the_mean_and_the_range_where_there_are_any():
    found = mean_and_range((0, 20), torch.tensor([[1.0, 2.0], [0.123456, 0.123456]]), (0, 10, 20))
    assert found == {"values": [1.5, None, 0.1235], "low": [1.0, None, 0.1235], "high": [2.0, None, 0.1235]}
