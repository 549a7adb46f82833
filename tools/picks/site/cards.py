"""Pictures that stand for a page where a link to it is posted: its title, a line of ours, and what was found."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from picks.site.addresses import slug
from picks.site.collection import Pick
from picks.site.formats import et_al
from picks.site.markup import plain
from picks.site.palette import LIGHT, colours
from picks.site.settings import Settings
from reproductions.common.files import write_bytes
from reproductions.common.verdicts import in_words

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

SITE = "cards/site.png"  # the picture of a page that has none of its own
WIDTH, HEIGHT = 1200, 630
MARGIN = 72
ROOM = WIDTH - 2 * MARGIN
TITLE_SIZES = (64, 58, 52, 46)
TITLE_HEIGHT = 232  # at most
STRIP = HEIGHT - 130  # where the strip of verdicts begins
SHADES = 48
STYLE = "site/assets/css/picks.css"
FONT = "site/assets/fonts/source-serif-4.woff2"
BOLD, REGULAR = 650, 420
NO_LETTER = "\uffff"  # of which every font draws what it draws for letters that it lacks


@dataclass(frozen=True)
class Card:
    """What a picture says; `verdicts` has the paper's facts by verdict, if they were tested."""

    site: str
    title: str
    line: str
    by: str = ""
    verdicts: Mapping[str, int] = field(default_factory=dict)

    @property
    def alt(self) -> str:
        """The picture in words."""
        told = f" {in_words(self.verdicts).capitalize()}." if self.verdicts else ""
        return plain(f"{self.title}. {self.line}{told}")


def card_of(pick: Pick, settings: Settings) -> Card:
    """The picture of a paper's page."""
    paper = pick.paper
    return Card(settings.name, plain(paper.title), plain(paper.why), plain(et_al(paper.authors)), pick.verdicts)


def picture_path(pick: Pick) -> str:
    """Where the picture of a paper's page lies on the site."""
    return f"cards/{pick.paper.id}.png"


def site_card(settings: Settings) -> Card:
    """The picture of every other page."""
    return Card(settings.name, settings.name, settings.description)


def png(card: Card, root: Path) -> bytes:
    """The picture; drawn once for what it says, the colours, the letters and how it is drawn."""
    sources = [Path(__file__).read_bytes(), (root / FONT).read_bytes(), repr(_colours(root)).encode()]
    kept = root / "build" / "cache" / "cards" / f"{_hash(repr(card).encode(), *sources)}.png"
    if kept.exists():
        return kept.read_bytes()
    drawn = _drawn(card, root)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(kept, drawn)
    return drawn


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _colours(root: Path) -> Mapping[str, str]:
    return colours((root / STYLE).read_text(encoding="utf8"), LIGHT)


def _drawn(card: Card, root: Path) -> bytes:
    from PIL import Image, ImageDraw

    colour = _colours(root)
    image = Image.new("RGB", (WIDTH, HEIGHT), colour["paper"])
    _Pen(ImageDraw.Draw(image), colour, root / FONT).draw(card)
    packed = io.BytesIO()
    image.quantize(SHADES).save(packed, "PNG")
    return packed.getvalue()


@dataclass(frozen=True)
class _Pen:
    """Draws a card, from the top down; what was found stands at the bottom."""

    canvas: ImageDraw
    colour: Mapping[str, str]
    font: Path

    def draw(self, card: Card) -> None:
        self._head(card)
        below = self._title(card.title, top=134 if card.verdicts else 180)
        self._line(card.line, top=below + 30)
        if card.verdicts:
            self._verdicts(card.verdicts)

    def _head(self, card: Card) -> None:
        small, quiet = _face(self.font, 24, REGULAR), self.colour["quiet"]
        self.canvas.rectangle((0, 0, WIDTH, 10), fill=self.colour["accent"])
        self._words((MARGIN, 58), card.site, _face(self.font, 28, BOLD), self.colour["accent"])
        by = next(_lines(card.by, small, ROOM - 240), "")
        self._words((WIDTH - MARGIN - _width(by, small), 62), by, small, quiet)

    def _title(self, title: str, top: int) -> int:
        """As large as there is room; returns where it ends."""
        for size in TITLE_SIZES:
            face, step = _face(self.font, size, BOLD), round(1.16 * size)
            lines = list(_lines(title, face, ROOM))
            if len(lines) * step <= TITLE_HEIGHT:
                break
        return self._block(lines, TITLE_HEIGHT // step, (MARGIN, top, step), face, self.colour["ink"])

    def _line(self, line: str, top: int) -> None:
        face, step = _face(self.font, 32, REGULAR), 44
        lines = list(_lines(line, face, ROOM - 28))
        end = self._block(lines, 2, (MARGIN + 28, top, step), face, self.colour["quiet"])
        self.canvas.rectangle((MARGIN, top + 4, MARGIN + 4, end), fill=self.colour["accent"])

    def _block(self, lines: list[str], most: int, place: tuple[int, int, int], face: FreeTypeFont, ink: str) -> int:
        """Lines below each other, no more than there is room for; returns where they end."""
        left, top, step = place
        cut = [*lines[: most - 1], lines[most - 1][:-2].rstrip() + "…"] if len(lines) > most else lines
        for number, line in enumerate(cut):
            self._words((left, top + number * step), line, face, ink)
        return top + len(cut) * step

    def _words(self, place: tuple[float, float], text: str, face: FreeTypeFont, ink: str) -> None:
        left, top = place
        for word in text.split():
            self.canvas.text((left, top + face.size), word, font=_with(face, word), fill=ink, anchor="ls")
            left += _width(f"{word} ", face)

    def _verdicts(self, verdicts: Mapping[str, int]) -> None:
        """A strip with a stretch for each verdict, and below it the verdicts in words."""
        left, each = float(MARGIN), ROOM / sum(verdicts.values())
        for verdict, count in verdicts.items():
            self.canvas.rectangle((left, STRIP, left + count * each - 3, STRIP + 20), fill=self._fill(verdict))
            left += count * each
        self._legend(dict(zip(verdicts, in_words(verdicts).split(", "), strict=True)))

    def _legend(self, phrases: Mapping[str, str]) -> None:
        face, left, top = _face(self.font, 26, REGULAR), float(MARGIN), STRIP + 34
        for verdict, phrase in phrases.items():
            width = 26 + _width(phrase, face)
            if left + width > WIDTH - MARGIN:
                left, top = float(MARGIN), top + 36
            self.canvas.rectangle((left, top + 10, left + 16, top + 26), fill=self._fill(verdict))
            self._words((left + 26, top), phrase, face, self.colour["ink"])
            left += width + 34

    def _fill(self, verdict: str) -> str:
        name = slug(verdict).removeprefix("holds-")
        return self.colour.get(f"bar-{name}") or self.colour[name]


def _lines(text: str, face: FreeTypeFont, room: float) -> Iterator[str]:
    """The text in lines that fit; a word that does not fit by itself is cut."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and _width(longer, face) > room:
            yield line
            longer = word
        line = longer
        while _width(line, face) > room:
            cut = next(n for n in range(len(line), 0, -1) if _width(line[:n], face) <= room)
            yield line[:cut]
            line = line[cut:]
    if line:
        yield line


def _width(text: str, face: FreeTypeFont) -> float:
    return sum(_with(face, word).getlength(f"{word} ") for word in text.split(" ")) - face.getlength(" ")


@cache
def _face(font: Path, size: int, weight: int) -> FreeTypeFont:
    from PIL import ImageFont

    face = ImageFont.truetype(font, size)
    face.set_variation_by_axes([weight])
    return face


def _with(face: FreeTypeFont, word: str) -> FreeTypeFont:
    """The letters for a word: ours, or where we lack one, those that Matplotlib brings."""
    return _other(int(face.size)) if any(_lacking(face, letter) for letter in set(word)) else face


@cache
def _lacking(face: FreeTypeFont, letter: str) -> bool:
    return bytes(face.getmask(letter)) == bytes(face.getmask(NO_LETTER))


@cache
def _other(size: int) -> FreeTypeFont:
    import matplotlib as mpl
    from PIL import ImageFont

    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)
