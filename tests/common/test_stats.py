"""Correlations and intervals against known cases."""

import math

import numpy as np
import pytest

from reproductions.common.stats import grouped_interval, grouped_means, mean_interval, nan_mean, pearson, spearman


def test_correlations_of_known_samples():
    assert pearson([1, 2, 3, 4], [2, 4, 6, 8]) == pytest.approx(1.0)
    assert pearson([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert spearman([1, 2, 3, 4], [1, 10, 100, 1000]) == pytest.approx(1.0)
    assert pearson([1, 2, 3, 4], [1, 10, 100, 1000]) < 0.9


def test_a_sample_that_does_not_vary_has_no_correlation():
    assert math.isnan(pearson([1, 1, 1], [1, 2, 3]))
    assert math.isnan(spearman([1, 2], [2, 1]))


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says():
    source = np.random.default_rng(0)
    intervals = [mean_interval(source.normal(size=40).tolist(), seed) for seed in range(200)]
    covered = np.mean([low < 0 < high for low, high in intervals])
    assert 0.88 < covered < 0.99


def test_numbers_that_could_not_be_computed_are_left_out():
    assert nan_mean([1.0, math.nan, 3.0]) == 2.0
    assert math.isnan(nan_mean([math.nan]))
    assert mean_interval([1.0, 2.0, math.nan, 3.0]) == mean_interval([1.0, 2.0, 3.0])
    assert all(math.isnan(end) for end in mean_interval([1.0, math.nan]))


def test_groups_and_their_values_are_drawn_anew_for_an_interval():
    low, high = grouped_interval(grouped_means([[0.0, 1.0] * 50, [0.0, 1.0] * 50]))
    assert 0.40 < low < 0.5 < high < 0.60
    apart = grouped_interval(grouped_means([[0.0] * 100, [1.0] * 100, [0.0] * 100, [1.0] * 100]))
    assert apart[0] <= 0.25 and apart[1] >= 0.75
    assert all(map(math.isnan, grouped_interval(grouped_means([[1.0, 0.0]]))))
