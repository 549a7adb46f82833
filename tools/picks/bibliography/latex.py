r"""Text as LaTeX writes it in a bibliography, and back: é is {\'e}, & is \&, an en dash is two hyphens.

Letters that LaTeX has no plain command for (Greek, Chinese …) stay as they are: bibliographies are read as UTF-8.
"""

from __future__ import annotations

import re
import unicodedata

_ACCENTS = {
    **{"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307"},
    **{'"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328"},
    "b": "\u0331",
}
_LETTERS = {
    **{"ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å"},
    **{"AA": "Å", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ", "i": "ı", "j": "ȷ"},
    **{"textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textbraceleft": "{"},
    **{"textbraceright": "}", "textless": "<", "textgreater": ">", "textbar": "|", "textellipsis": "…"},
    **{"textquoteleft": "‘", "textquoteright": "’", "texttimes": "×", "textrightarrow": "→"},
}
_SYMBOLS = _LETTERS | {
    **{"textendash": "–", "textemdash": "—", "textquotedblleft": "“", "textquotedblright": "”", "ldots": "…"},
    **{"dots": "…", "times": "×", "rightarrow": "→", "to": "→", "infty": "∞", "ell": "ℓ", "textunderscore": "_"},
}
_LIGATURES = {"---": "—", "--": "–", "``": "“", "''": "”", "~": " ", "{": "", "}": "", "$": ""}
_SPACING = {"\\": " ", ",": " ", ";": " ", ":": " ", "-": "", "/": "", "!": ""}
_TOKEN = re.compile(r"\\(?P<command>[A-Za-z]+)\s*|\\(?P<sign>.)|(?P<text>---|--|``|''|.)", re.DOTALL)

_WRITTEN = (
    {letter: f"{{\\{name}}}" for name, letter in _LETTERS.items()}
    | {sign: written for written, sign in _LIGATURES.items() if sign.strip()}
    | {sign: f"\\{sign}" for sign in "&%$#_"}
)
_ACCENT_OF = {mark: accent for accent, mark in _ACCENTS.items()}


def encode(text: str) -> str:
    """A text as BibTeX and LaTeX read it, on one line."""
    written = ""
    for letter in unicodedata.normalize("NFC", re.sub(r"\s+", " ", text)):
        piece = _WRITTEN.get(letter) or _accented(letter)
        apart = "{}" if piece[0] in "-`'" and written.endswith(piece[0]) else ""  # or they would melt into a dash
        written += apart + piece
    return written


def decode(latex: str) -> str:
    """What a LaTeX text says, on one line: accents as letters, no commands and no braces of its own."""
    said: list[str] = []
    waiting: list[str] = []  # accents whose letter has not come yet
    for token in _TOKEN.finditer(latex):
        if accent := _accent(token):
            waiting.append(accent)
            continue
        piece = _meaning(token)
        if waiting and piece.strip():
            base = {"ı": "i", "ȷ": "j"}.get(piece[0], piece[0])
            piece = base + "".join(reversed(waiting)) + piece[1:]
            waiting.clear()
        said.append(piece)
    return unicodedata.normalize("NFC", " ".join("".join(said).split()))


def _accented(letter: str) -> str:
    base, *marks = list(unicodedata.normalize("NFD", letter))
    if not marks or not base.isascii() or any(mark not in _ACCENT_OF for mark in marks):
        return letter
    below = marks[0] in (_ACCENTS["d"], _ACCENTS["c"], _ACCENTS["k"], _ACCENTS["b"])
    written = f"{{\\{base}}}" if base in "ij" and not below else base
    for mark in marks:
        accent = _ACCENT_OF[mark]
        bare = len(written) == 1 and not accent.isalpha()
        written = f"\\{accent}{written}" if bare or written[0] == "{" else f"\\{accent}{{{written}}}"
    return f"{{{written}}}"


def _accent(token: re.Match[str]) -> str | None:
    return _ACCENTS.get(token["command"] or token["sign"] or "")


def _meaning(token: re.Match[str]) -> str:
    if name := token["command"]:
        return _SYMBOLS.get(name) or _greek(name)
    if sign := token["sign"]:
        return _SPACING.get(sign, sign)
    return _LIGATURES.get(token["text"], token["text"])


def _greek(name: str) -> str:
    """The letter that a command names; nothing for one that only changes how the text looks."""
    case = "CAPITAL" if name[0].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {name.removeprefix('var').upper()}")
    except KeyError:
        return ""
