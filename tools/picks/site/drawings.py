"""Figures of recorded runs that are SVG: read, held against what a drawing needs, and written anew."""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from reproductions.common.errors import UserError
from reproductions.common.plots import recoloured

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
PARTS = frozenset(
    {"svg", "g", "defs", "path", "use", "clipPath", "rect", "circle", "ellipse", "line", "polyline", "polygon"}
    | {"image", "style", "text", "tspan", "title", "linearGradient", "radialGradient", "stop", "pattern", "mask"}
)
HREFS = frozenset({"href", f"{{{XLINK}}}href"})
INSIDE = re.compile(r"#[\w.:-]+|data:image/png;base64,[A-Za-z0-9+/=\s]+")
OUTSIDE = re.compile(r"url\(\s*['\"]?(?!#)|@|\\|expression|javascript:|//", re.IGNORECASE)
MOST_BYTES = 2 * 2**20

ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", XLINK)


def clean_svg(name: str, content: bytes, theme: str) -> bytes:
    """A drawing in the colours of a theme, with nothing in it that runs or that is fetched.

    Raises:
        UserError: it is none, it is far too large, or it holds something else than lines, areas, letters and pixels.
    """
    if len(content) > MOST_BYTES:
        raise UserError(f"{name}: larger than {MOST_BYTES // 2**20} MiB; draw fewer points, or rasterise them")
    root = _read(name, content)
    for element in root.iter():
        _check(name, element)
    return recoloured(ElementTree.tostring(root, encoding="unicode"), theme).encode()


def svg_size(svg: bytes) -> tuple[int, int]:
    """Width and height in pixels of the screen, from the box that it is drawn in."""
    box = re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        raise UserError("a figure without a viewBox has no size")
    return round(float(box[1]) * 4 / 3), round(float(box[2]) * 4 / 3)  # points, of which 72 are an inch of 96 pixels


def _read(name: str, content: bytes) -> Element:
    if b"<!" in content:
        raise UserError(f"{name}: declares entities or has comments; figures are written by Report.figure")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise UserError(f"{name}: not an SVG that can be read: {error}") from None
    if root.tag != f"{{{SVG}}}svg":
        raise UserError(f"{name}: not an SVG that can be read")
    return root


def _check(name: str, element: Element) -> None:
    """Whether it is one of the known parts, and refers to nothing outside of the drawing."""
    if not isinstance(element.tag, str) or element.tag.removeprefix(f"{{{SVG}}}") not in PARTS:
        raise UserError(f"{name}: {element.tag!r} is no part of a drawing")
    for key, value in element.attrib.items():
        wrong = not INSIDE.fullmatch(value) if key in HREFS else bool(OUTSIDE.search(value))
        if wrong or key.lower().startswith("on"):
            raise UserError(f"{name}: its {key}={value[:60]!r} reaches beyond the drawing")
    if OUTSIDE.search(element.text or "") and element.tag == f"{{{SVG}}}style":
        raise UserError(f"{name}: its style reaches beyond the drawing")
