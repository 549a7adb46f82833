"""A metric keeps the values of its units, and everything follows from those."""

import json
import math

import pytest

from reproductions.common.files import dump_json
from reproductions.common.metrics import (
    MOST_UNITS,
    Metric,
    difference_of,
    gap_interval,
    mean_of,
    missing,
    plain,
    share_of,
)

METRICS = [
    mean_of("a", [0.1, 0.25, math.nan, 0.4], [0.2, 0.3]),
    mean_of("b", [i / 7 for i in range(40)]),
    difference_of("c", [1.0, 2.0, 3.5], [0.5, 0.25, math.nan]),
    share_of("d", 9, 14),
    share_of("e", 0, 0),
    plain("f", 3072.0, 12),
    missing("g"),
]


def shown(metric: Metric) -> str:
    return json.dumps(metric.to_json())  # NaN equals nothing, not even itself


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_survives_its_record_and_follows_from_it(metric):
    read = Metric.from_json(json.loads(dump_json(metric.to_json())))
    assert shown(read) == shown(metric)
    assert shown(read.recomputed()) == shown(metric)


def test_units_keep_five_digits_and_the_value_is_of_those():
    metric = mean_of("r", [0.123456789, 0.2, 0.3])
    assert metric.units[0] == 0.12346
    assert metric.value == pytest.approx((0.12346 + 0.2 + 0.3) / 3)


def test_what_could_not_be_measured_does_not_count():
    metric = mean_of("r", [0.5, math.nan, 0.7])
    assert (metric.n, metric.value) == (2, pytest.approx(0.6))
    assert difference_of("r", [1.0, 2.0], [math.nan]).n == 0
    assert missing("r").n == 0


def test_too_many_units_are_refused():
    with pytest.raises(ValueError, match="group them"):
        mean_of("r", [0.0] * (MOST_UNITS + 1))


def test_the_gap_of_two_metrics_of_the_same_units_is_paired():
    one, other = mean_of("a", [0.0, 1.0, 2.0, 3.0]), mean_of("b", [-0.5, 0.4, 1.5, 2.4])
    low, high = gap_interval(one, other)
    assert 0.45 < low < 0.55 < high < 0.65
    wider = gap_interval(one, mean_of("b", [-0.5, 0.4, 1.5]))
    assert wider[0] < 0 < wider[1]


def test_gaps_of_shares_and_of_differences():
    low, high = gap_interval(share_of("a", 80, 100), share_of("b", 50, 100))
    assert 0.1 < low < 0.3 < high < 0.5
    one = difference_of("a", [1.0, 2.0, 3.0], [0.0, 0.5, 0.2])
    assert gap_interval(one, difference_of("b", [0.9, 1.9, 2.9], [0.0, 0.5, 0.2])) == pytest.approx((0.1, 0.1))
    assert all(map(math.isnan, gap_interval(one, mean_of("b", [1.0, 2.0]))))


def test_the_detectable_gap_falls_with_the_units():
    few, many = mean_of("r", [0.0, 1.0] * 5), mean_of("r", [0.0, 1.0] * 50)
    assert many.detectable == pytest.approx(2.8 * 0.5 / math.sqrt(100), rel=0.03)
    assert few.detectable > 3 * many.detectable
