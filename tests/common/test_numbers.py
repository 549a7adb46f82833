"""Numbers as people read them."""

import math

import pytest

from reproductions.common.numbers import number, with_interval, written


@pytest.mark.parametrize(
    ("value", "interval", "shown"),
    [
        (0.7123, (0.62, 0.781), ("0.71", "[0.62, 0.78]")),
        (0.00123, (0.0002, 0.0021), ("0.0012", "[0.0002, 0.0021]")),
        (2.6, (1.6, 3.6), ("2.6", "[1.6, 3.6]")),
        (-0.004, (-0.03, 0.02), ("-0.004", "[-0.030, 0.020]")),
        (-0.0001, (-0.5, 0.5), ("0.0", "[-0.5, 0.5]")),  # no minus before a zero
        (1234.5, (1000.0, 1500.0), ("1,234", "[1,000, 1,500]")),
        (0.5, (math.nan, math.nan), ("0.50", "")),
        (0.5, None, ("0.50", "")),
        (None, None, ("–", "")),
        (math.nan, (0.0, 1.0), ("–", "")),
        (0.5, (0.5, 0.5), ("0.50", "[0.50, 0.50]")),
    ],
)
def test_a_value_and_its_interval_have_one_precision(value, interval, shown):
    assert with_interval(value, interval) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0.00"), (3072.0, "3,072"), (0.33333, "0.33"), (None, "–"), (-1.09e-05, "-1.1×10⁻⁵")]
)
def test_a_bare_number(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.5, 2, "0.5"),
        (1700.0, 2, "1,700"),
        (2.6e8, 2, "260,000,000"),
        (-1.09e-05, 2, "-1.1×10⁻⁵"),
        (0.084, 6, "0.084"),
        (-1234567.0, 6, "-1,234,570"),
        (0.0, 6, "0"),
    ],
)
def test_a_number_in_a_sentence_is_not_written_as_programs_do(value, digits, shown):
    assert written(value, digits) == shown
