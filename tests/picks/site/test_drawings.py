"""Figures that are SVG: what a figure draws passes, whatever runs or is fetched is refused."""

from __future__ import annotations

import pytest
from matplotlib import pyplot as plt

from picks.site import drawings
from picks.site.drawings import clean_svg, svg_size
from reproductions.common.errors import UserError
from reproductions.common.plots import DARK, LIGHT, THEMES, save

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 72 36">{}</svg>'


def _svg(inside: str) -> bytes:
    return SVG.format(inside).encode()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A figure with all that ours have: lines, areas, many points, an image, a legend."""

    def draw() -> plt.Figure:
        figure, (left, right) = plt.subplots(1, 2)
        left.plot([0, 1], label="line")
        left.fill_between([0, 1], [0, 1], [1, 2], alpha=0.2)
        left.legend()
        right.scatter(range(4000), range(4000))
        right.imshow([[0.0, 1.0]])
        return figure

    path = tmp_path_factory.mktemp("drawn") / "figure.svg"
    save(draw, path)
    return path.read_bytes()


def test_what_we_draw_passes_and_keeps_its_size(drawn: bytes) -> None:
    light = clean_svg("figure.svg", drawn, LIGHT)
    assert light.count(b"<path") == drawn.count(b"<path")
    assert light.count(b"<image") == drawn.count(b"<image") > 0
    width, height = svg_size(light)
    assert 300 < height < width < 900
    assert clean_svg("figure.svg", light, LIGHT) == light


def test_it_is_made_for_dark_pages_too(drawn: bytes) -> None:
    dark = clean_svg("figure.svg", drawn, DARK)
    assert THEMES[DARK]["ink"].encode() in dark
    assert THEMES[LIGHT]["ink"].encode() not in dark


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<foreignObject><p xmlns='http://www.w3.org/1999/xhtml'>x</p></foreignObject>",
        "<a href='https://example.org'><path d='M 0 0'/></a>",
        "<path d='M 0 0' onclick='alert(1)'/>",
        "<image href='https://example.org/x.png'/>",
        "<image xlink:href='data:image/svg+xml;base64,PHN2Zy8+'/>",
        "<use xlink:href='other.svg#part'/>",
        "<path style='fill: url(https://example.org/#x)'/>",
        "<style>@import 'https://example.org/x.css';</style>",
        "<style>*{background: url(//example.org/x)}</style>",
        "<animate attributeName='href' to='javascript:alert(1)'/>",
        "<set attributeName='onload' to='alert(1)'/>",
        "<script xmlns='http://www.w3.org/1999/xhtml'>alert(1)</script>",
    ],
)
def test_what_runs_or_reaches_beyond_it_is_refused(inside: str) -> None:
    with pytest.raises(UserError, match=r"figure\.svg: "):
        clean_svg("figure.svg", _svg(inside), LIGHT)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<p/>",
        b"<svg",
        b"<!DOCTYPE svg [<!ENTITY a 'b'>]>" + _svg("<text>&a;</text>"),
        b"\x89PNG",
        _svg("<!-- x -->"),
    ],
)
def test_what_is_no_drawing_is_refused(content: bytes) -> None:
    with pytest.raises(UserError, match=r"figure\.svg: "):
        clean_svg("figure.svg", content, LIGHT)


def test_one_that_is_far_too_large_is_refused(monkeypatch: pytest.MonkeyPatch, drawn: bytes) -> None:
    monkeypatch.setattr(drawings, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="draw fewer points"):
        clean_svg("figure.svg", drawn, LIGHT)


def test_references_inside_of_it_stay() -> None:
    kept = clean_svg("figure.svg", _svg("<defs><path id='p' d='M 0 0'/></defs><use xlink:href='#p'/>"), LIGHT)
    assert b'xlink:href="#p"' in kept
    assert svg_size(kept) == (96, 48)
