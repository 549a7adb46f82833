"""Figures of recorded runs, drawn anew: what reaches a page is pixels that we encoded, not a file that someone sent."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from reproductions.common.errors import UserError
from reproductions.common.files import write_bytes

MOST_PIXELS = 16_000_000


def clean_png(source: Path, cache: Path) -> bytes:
    """A PNG with the same pixels and nothing else in it; done once for each content.

    Raises:
        UserError: it is no PNG, or far too large.
    """
    content = source.read_bytes()
    kept = cache / f"{hashlib.sha256(content).hexdigest()}.png"
    if kept.exists():
        return kept.read_bytes()
    clean = _encoded_anew(source, content)
    cache.mkdir(parents=True, exist_ok=True)
    write_bytes(kept, clean)
    return clean


def size(png: bytes) -> tuple[int, int]:
    """Width and height, from the header that every PNG has in the same place."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def _encoded_anew(source: Path, content: bytes) -> bytes:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError(f"{source}: {image.width} x {image.height} pixels; draw it smaller")
            pixels = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{source}: not a PNG that can be read: {error}") from None
    clean = io.BytesIO()
    pixels.save(clean, "PNG", optimize=True)
    return clean.getvalue()
