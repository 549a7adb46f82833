"""The site's colours, read from its style sheets, where they are said once."""

from __future__ import annotations

import re
from collections.abc import Mapping

LIGHT, DARK = "default", "slate"
_COLOUR = re.compile(r"--([\w-]+): (#[0-9a-f]{6});")


def colours(style: str, scheme: str) -> Mapping[str, str]:
    """The custom properties of a scheme that are colours, by their names."""
    rest = style.partition(f'\n[data-md-color-scheme="{scheme}"] {{\n')[2]
    return dict(_COLOUR.findall(rest.partition("}")[0]))


def contrast(one: str, other: str) -> float:
    """How far two colours are apart, from 1 to 21, as WCAG 2.2 reckons it."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
