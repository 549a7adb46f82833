"""Figures are drawn anew."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from picks.site import images
from picks.site.images import clean_png, size
from reproductions.common.errors import UserError


def _png(path: Path, **options: object) -> Path:
    image = Image.effect_noise((64, 48), 40).convert("RGB")
    image.save(path, "PNG", **options)
    return path


def test_pixels_stay_and_everything_else_goes(tmp_path: Path) -> None:
    notes = PngInfo()
    notes.add_text("Comment", "<script>window.hacked=1</script>")
    source = _png(tmp_path / "a.png", pnginfo=notes)
    source.write_bytes(source.read_bytes() + b"<script>after the end</script>")
    clean = clean_png(source, tmp_path / "cache")
    assert b"script" not in clean
    assert Image.open(io.BytesIO(clean)).tobytes() == Image.open(source).convert("RGB").tobytes()
    assert size(clean) == (64, 48)


def test_a_figure_is_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _png(tmp_path / "a.png")
    first = clean_png(source, tmp_path / "cache")
    monkeypatch.setattr(images, "_encoded_anew", lambda *_: pytest.fail("drawn again"))
    assert clean_png(source, tmp_path / "cache") == first


@pytest.mark.parametrize(
    "content", [b"", b"<svg onload=x>", b"\x89PNG\r\n\x1a\n" + os.urandom(64), b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"]
)
def test_what_is_no_png_is_refused(content: bytes, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png: not a PNG"):
        clean_png(source, tmp_path / "cache")


def test_a_png_that_is_far_too_large_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_PIXELS", 1000)
    with pytest.raises(UserError, match="64 x 48 pixels"):
        clean_png(_png(tmp_path / "a.png"), tmp_path / "cache")
