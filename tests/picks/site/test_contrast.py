"""Every mark can be seen: at least 3:1 from what it lies on, and letters on a mark 4.5:1, in both palettes."""

from __future__ import annotations

import pytest

from picks.site.addresses import slug
from picks.site.palette import DARK, LIGHT, colours, contrast
from reproductions.common.plots import DARK as DARK_FIGURE
from reproductions.common.plots import LIGHT as LIGHT_FIGURE
from reproductions.common.plots import SERIES, THEMES
from reproductions.common.verdicts import VERDICTS
from tests.fixtures.mini_site import CODE

SEEN, READ = 3.0, 4.5
STYLES = CODE / "site" / "assets" / "css"
SCHEMES = (LIGHT, DARK)
HUES = range(6)
WORDS = [slug(verdict).removeprefix("holds-") for verdict in VERDICTS]
BARS = [f"bar-{word}" for word in WORDS if word != "holds"]
LINES = [*(f"stroke-{hue}" for hue in HUES), "mark", "fired", "accent", "dot"]
FILLS = [f"hue-{hue}" for hue in HUES]


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> dict[str, str]:
    """The colours of a scheme, of all style sheets."""
    sheets = [(STYLES / name).read_text(encoding="utf8") for name in ("picks.css", "explorers.css")]
    return {name: colour for sheet in sheets for name, colour in colours(sheet, request.param).items()}


def test_contrast_is_reckoned_as_wcag_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#123456", "#123456") == 1


@pytest.mark.parametrize("mark", [*BARS, *LINES])
def test_bars_and_lines_can_be_seen(scheme: dict[str, str], mark: str) -> None:
    for ground in ("paper", "raised"):
        assert contrast(scheme[mark], scheme[ground]) >= SEEN, ground


@pytest.mark.parametrize("word", [*WORDS, "ink", "quiet"])
def test_verdicts_can_be_read(scheme: dict[str, str], word: str) -> None:
    for ground in ("paper", "raised", "sunken"):
        assert contrast(scheme[word], scheme[ground]) >= READ, ground


@pytest.mark.parametrize("fill", FILLS)
def test_filled_marks_can_be_seen_and_what_is_written_on_them_read(scheme: dict[str, str], fill: str) -> None:
    assert contrast(scheme[fill], scheme["paper"]) >= SEEN
    assert contrast(scheme[fill], scheme["ink"]) >= READ


@pytest.mark.parametrize(("theme", "name"), [(LIGHT_FIGURE, LIGHT), (DARK_FIGURE, DARK)])
def test_the_series_of_a_figure_can_be_seen(theme: str, name: str) -> None:
    paper = colours((STYLES / "picks.css").read_text(encoding="utf8"), name)["paper"]
    for colour in (*SERIES[theme], THEMES[theme]["ink"]):
        assert min(contrast(colour, THEMES[theme]["background"]), contrast(colour, paper)) >= SEEN
    assert len(set(SERIES[theme])) == len(SERIES[theme])
