"""Units are averaged over draws before anything else, and what a draw could not measure is left out."""

import math

import torch

from reproductions.common.repeated import mean_of_repeats, means_of_repeats

DRAWS = [torch.tensor([1.0, math.nan, 4.0, math.nan]), torch.tensor([3.0, 7.0, 5.0, math.nan])]


def test_a_units_value_is_the_mean_of_the_draws_that_measured_it():
    *known, unknown = mean_of_repeats(DRAWS)
    assert known == [2.0, 7.0, 4.5] and math.isnan(unknown)


def test_metrics_count_units_and_not_draws():
    one, other = means_of_repeats([{"height": own, "width": own + 1} for own in DRAWS])
    assert (one.name, one.value, one.n) == ("height", 4.5, 3)
    assert (other.name, other.units[:3]) == ("width", (3.0, 8.0, 5.5))
