"""Figures are drawings that look the same everywhere, the same again when drawn again, and of a bounded size."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from reproductions.common import plots
from reproductions.common.plots import CATEGORICAL, DARK, LIGHT, MOST_POINTS, SERIES, THEMES, recoloured, save

COLOUR = re.compile(r"#[0-9a-f]{6}")


def _cloud(points: int) -> Figure:
    figure, axes = plt.subplots(figsize=(3, 2))
    axes.scatter(*np.random.default_rng(0).random((2, points)), s=3)
    axes.set(title="dots", xlabel="layer")
    return figure


def _saved(folder: Path, points: int) -> str:
    path = folder / "cloud.svg"
    save(lambda: _cloud(points), path)
    return path.read_text(encoding="utf8")


def test_what_is_drawn_again_is_the_same(tmp_path: Path) -> None:
    assert _saved(tmp_path, 10) == _saved(tmp_path, 10)


def test_nothing_in_it_leads_elsewhere(tmp_path: Path) -> None:
    drawn = _saved(tmp_path, 10).replace('xmlns="http://www.w3.org/2000/svg"', "")
    drawn = drawn.replace('xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    assert "http" not in drawn
    assert "<!" not in drawn
    assert "<text" not in drawn


@pytest.mark.parametrize(("points", "pictured"), [(MOST_POINTS, False), (MOST_POINTS + 1, True)])
def test_of_more_than_a_few_thousand_points_a_picture_is_made(tmp_path: Path, points: int, *, pictured: bool) -> None:
    assert ("<image" in _saved(tmp_path, points)) == pictured


def test_many_small_series_are_a_cloud_as_well(tmp_path: Path) -> None:
    def draw() -> Figure:
        figure, axes = plt.subplots()
        for series in range(30):
            axes.scatter(range(100), [series] * 100)
        return figure

    save(draw, tmp_path / "series.svg")
    assert (tmp_path / "series.svg").stat().st_size < 100_000


def test_a_picture_of_many_points_is_small(tmp_path: Path) -> None:
    assert len(_saved(tmp_path, 100_000)) < len(_saved(tmp_path, MOST_POINTS))


def test_the_dark_one_differs_in_colours_alone(tmp_path: Path) -> None:
    drawn = _saved(tmp_path, 10)
    light, dark = (recoloured(drawn, theme) for theme in (LIGHT, DARK))
    assert THEMES[LIGHT]["ink"] in light and SERIES[LIGHT][0] in light
    assert THEMES[DARK]["ink"] in dark and SERIES[DARK][0] in dark
    assert not any(colour in dark for colour in (*THEMES[LIGHT].values(), *SERIES[LIGHT], *CATEGORICAL))
    assert re.sub(COLOUR, "", light) == re.sub(COLOUR, "", dark)


def test_ways_stand_at_their_mean_cost_and_agreement():
    figure = plots.cost_and_agreement({"cheap": ([1.0, 3.0], [0.2, 0.6]), "dear": ([100.0], [1.0])}, "agreement")
    large = [own.get_offsets().tolist() for own in figure.axes[0].collections if own.get_sizes()[0] > 20]
    assert large == [[[2.0, pytest.approx(0.4)]], [[100.0, 1.0]]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cheap", "dear"]
