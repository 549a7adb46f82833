r"""Text as LaTeX writes it in a bibliography, and back: é is {\'e}, & is \&, an en dash is two hyphens.

Letters that LaTeX has no plain command for (Greek, Chinese …) stay as they are: bibliographies are read as UTF-8.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache

_ACCENTS = {
    **{"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307"},
    **{'"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328"},
    "b": "\u0331",
}
_MATHEMATICAL_ACCENTS = {
    **{"grave": "\u0300", "acute": "\u0301", "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303"},
    **{"widetilde": "\u0303", "bar": "\u0304", "breve": "\u0306", "dot": "\u0307", "ddot": "\u0308"},
    **{"check": "\u030c", "vec": "\u20d7", "not": "\u0338"},
}
_LETTERS = {
    **{"ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å"},
    **{"AA": "Å", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ", "i": "ı", "j": "ȷ"},
    **{"textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textbraceleft": "{"},
    **{"textbraceright": "}", "textless": "<", "textgreater": ">", "textbar": "|", "textellipsis": "…"},
    **{"textquoteleft": "‘", "textquoteright": "’", "texttimes": "×", "textrightarrow": "→"},
}
_SYMBOLS = _LETTERS | {  # what pylatexenc lacks, or reads in another way
    **{"textendash": "–", "textemdash": "—", "textquotedblleft": "“", "textquotedblright": "”", "textunderscore": "_"},
    **{"ne": "≠", "models": "⊨", "bot": "⊥", "copyright": "©", "epsilon": "ε", "phi": "φ", "quad": " ", "qquad": " "},
    **{"TeX": "TeX", "LaTeX": "LaTeX"},
}
_NAMES_OF_LOOKS = (  # commands that change how a text looks, and nothing that it says
    "allowbreak bf bfseries big Big bigg Bigg bigl bigr Bigl Bigr bm boldsymbol displaystyle em emph ensuremath "
    "footnotesize hbox it itshape large Large left limits linebreak mathbb mathbf mathcal mathfrak mathit mathnormal "
    "mathrm mathscr mathsf mathtt mbox mdseries nobreak nolimits nolinkurl normalfont normalsize operatorname path "
    "protect relax right rm rmfamily sc scshape sf sffamily sl slshape small text textbf textit textmd textnormal "
    "textrm textsc textsf textsl textstyle texttt textup tiny tt ttfamily underline up upshape url xspace"
)
_LOOKS = frozenset(_NAMES_OF_LOOKS.split())
_LIGATURES = {"---": "—", "--": "–", "``": "“", "''": "”", "~": " ", "{": "", "}": "", "$": ""}
_SPACING = {"\\": " ", ",": " ", ";": " ", ":": " ", "-": "", "/": "", "!": "", "(": "", ")": "", "[": "", "]": ""}
_TOKEN = re.compile(r"\\(?P<command>[A-Za-z]+)(?P<gap>\s*)|\\(?P<sign>.)|(?P<text>---|--|``|''|.)", re.DOTALL)
_CONSTRUCTIONS = (  # what says something together with the braces behind it
    (re.compile(r"\\sqrt\s*(?:\{(\w)\}|(\d|(?<=\s)\w)\b)"), r"√\1\2"),
    (re.compile(r"\\sqrt\s*\{([^{}]+)\}"), r"√(\1)"),
    (re.compile(r"\\(?:[dt]|nice)?frac\s*\{(\w+)\}\s*\{(\w+)\}"), r"\1/\2"),
    (re.compile(r"(?:\$\^|\\textsuperscript\s*)\{?(st|nd|rd|th)\b\}?\$?"), r"\1"),
    (re.compile(r"\\href\s*\{[^{}]*\}"), ""),
)
_OF_AN_ALPHABET = re.compile(r"\\math(?:bb|cal|frak|scr)\s*(?:\{\w\}|(?<=\s)\w\b)")

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
    """What a LaTeX text says, on one line: accents as letters, no braces of its own, no commands but unknown ones."""
    said: list[str] = []
    waiting: list[str] = []  # accents whose letter has not come yet
    for token in _tokens(latex):
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


def unknown_commands(latex: str) -> list[str]:
    r"""The commands of a LaTeX text that `decode` has to leave as they are: \foo."""
    commands = [token for token in _tokens(latex) if token["command"] and not _accent(token)]
    return list(dict.fromkeys(f"\\{token['command']}" for token in commands if _sign(token["command"]) is None))


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


def _tokens(latex: str) -> Iterator[re.Match[str]]:
    for construction, text in _CONSTRUCTIONS:
        latex = construction.sub(text, latex)
    return _TOKEN.finditer(_OF_AN_ALPHABET.sub(_letter, latex))


def _accent(token: re.Match[str]) -> str | None:
    name = token["command"] or token["sign"] or ""
    return _ACCENTS.get(name) or _MATHEMATICAL_ACCENTS.get(name)


def _meaning(token: re.Match[str]) -> str:
    if name := token["command"]:
        sign = _sign(name)
        return str(token[0]) if sign is None else sign + (token["gap"] if _stands_apart(token, sign) else "")
    if sign := token["sign"]:
        return _SPACING.get(sign, sign)
    return _LIGATURES.get(token["text"], token["text"])


def _sign(name: str) -> str | None:
    """What a command stands for: nothing where it only changes how the text looks; None if nobody knows it."""
    return "" if name in _LOOKS else _signs().get(name)


def _stands_apart(token: re.Match[str], sign: str) -> bool:
    """Whether the space behind a command counts: behind ≤ it does, between letters it only ends the command's name."""
    name, after = token["command"], token.string[token.end() : token.end() + 1]
    of_text = name in _LETTERS or name.startswith("text")
    between_letters = len(sign) == 1 and sign.isalpha() and after.isalpha()
    return bool(sign) and not of_text and not between_letters


@cache
def _signs() -> Mapping[str, str]:
    """Every command that stands for one sign (≤) or for a word of its own (log)."""
    from pylatexenc.latex2text import get_default_latex_context_db

    said = {command.macroname: command.simplify_repl for command in get_default_latex_context_db().iter_macro_specs()}
    plain = {name: text for name, text in said.items() if isinstance(text, str) and text.strip()}
    return {name: text for name, text in plain.items() if len(text) == 1 or text == name} | _SYMBOLS


def _letter(command: re.Match[str]) -> str:
    """A letter of another alphabet: ℝ, ℒ."""
    from pylatexenc.latex2text import LatexNodes2Text

    return str(LatexNodes2Text().latex_to_text(command[0]))
