"""Correlations, intervals and p-values against known cases, and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from reproductions.common import stats

RUNS = 1000


def test_correlations_of_known_samples():
    assert stats.pearson([1, 2, 3, 4], [2, 4, 6, 8]) == pytest.approx(1.0)
    assert stats.pearson([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert stats.spearman([1, 2, 3, 4], [1, 10, 100, 1000]) == pytest.approx(1.0)
    assert stats.pearson([1, 2, 3, 4], [1, 10, 100, 1000]) < 0.9


def test_a_sample_that_does_not_vary_has_no_correlation():
    assert math.isnan(stats.pearson([1, 1, 1], [1, 2, 3]))
    assert math.isnan(stats.spearman([1, 2], [2, 1]))


def test_five_units_get_students_interval():
    values = [0.1, 0.4, 0.3, 0.7, 0.5]
    half = 2.7764 * np.std(values, ddof=1) / math.sqrt(5)
    assert stats.mean_interval(values) == pytest.approx((0.4 - half, 0.4 + half), abs=1e-4)


def covered(draw, true, interval, runs=RUNS):
    """How often intervals of drawn samples hold the true value."""
    source = np.random.default_rng(0)
    found = [interval(*draw(source)) for _ in range(runs)]
    return np.mean([low <= true <= high for low, high in found])


@pytest.mark.parametrize("n", [5, 14, 20, 27, 36, 72, 144])  # features, relations, themes, texts of the real runs
def test_the_interval_of_a_mean_covers_it_as_often_as_it_says(n):
    assert 0.93 <= covered(lambda source: (source.normal(size=n).tolist(),), 0.0, stats.mean_interval) <= 0.97


@pytest.mark.parametrize(("n", "m"), [(6, 9), (24, 40)])
def test_the_interval_of_a_difference_covers_it_as_often_as_it_says(n, m):
    def draw(source):
        return source.normal(1, 1, n).tolist(), source.normal(0, 2, m).tolist()

    assert 0.93 <= covered(draw, 1.0, stats.difference_interval) <= 0.97


def test_the_interval_of_a_share_is_the_exact_one():
    low, high = stats.share_interval(0, 10)
    assert (low, high) == pytest.approx((0.0, 1 - 0.025 ** (1 / 10)))
    assert covered(lambda source: (source.binomial(40, 0.3), 40), 0.3, stats.share_interval) >= 0.95
    assert all(map(math.isnan, stats.share_interval(0, 0)))


@pytest.mark.parametrize(
    ("a", "b", "interval"),
    [((56, 70), (48, 80), (0.0524, 0.3339)), ((9, 10), (3, 10), (0.1705, 0.8090)), ((10, 10), (0, 10), (0.6075, 1.0))],
)
def test_a_difference_of_shares_is_newcombes(a, b, interval):
    """Examples that Newcombe (1998) gives for his method 10."""
    assert stats.share_difference_interval(a, b) == pytest.approx(interval, abs=1e-4)
    low, high = interval
    assert stats.share_difference_interval(b, a) == pytest.approx((-high, -low), abs=1e-4)


@pytest.mark.parametrize(("p", "q"), [(0.95, 0.8), (0.5, 0.45), (0.99, 0.99)])
def test_the_interval_of_a_difference_of_shares_covers_it_as_often_as_it_says(p, q):
    def draw(source):
        return (int(source.binomial(16, p)), 16), (int(source.binomial(26, q)), 26)

    assert covered(draw, p - q, stats.share_difference_interval) >= 0.93
    assert all(map(math.isnan, stats.share_difference_interval((0, 0), (1, 2))))


def test_numbers_that_could_not_be_computed_are_left_out():
    assert stats.nan_mean([1.0, math.nan, 3.0]) == 2.0
    assert math.isnan(stats.nan_mean([math.nan]))
    assert stats.mean_interval([1.0, 2.0, math.nan, 3.0]) == stats.mean_interval([1.0, 2.0, 3.0])
    assert all(map(math.isnan, stats.mean_interval([1.0, math.nan])))
    assert all(map(math.isnan, stats.difference_interval([1.0, math.nan], [1.0, 2.0])))


def test_values_that_are_all_alike_have_an_interval_without_width():
    assert stats.mean_interval([0.5] * 3) == stats.mean_interval([0.5] * 40) == (0.5, 0.5)
    assert stats.difference_interval([1.0] * 20, [0.5] * 20) == (0.5, 0.5)


def test_an_interval_is_the_same_every_time():
    values = np.random.default_rng(1).normal(size=50).tolist()
    assert stats.mean_interval(values) == stats.mean_interval(values)


def test_p_values_are_those_of_the_textbook_tests():
    a, b = [0.3, 0.5, 0.9, 0.2], [0.1, 0.0, 0.2]
    assert stats.mean_p(a, 0.1) == pytest.approx(scipy_stats.ttest_1samp(a, 0.1).pvalue)
    assert stats.difference_p(a, b, 0.0) == pytest.approx(scipy_stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert stats.share_p(9, 10, 0.5) == pytest.approx(22 / 1024)
    assert math.isnan(stats.share_p(9, 10, 1.2))


def test_holms_correction_of_a_known_case():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    assert stats.holm([0.04, math.nan]) == [False, False]
    assert stats.holm([0.02, math.nan]) == [True, False]
    assert stats.holm([]) == []
