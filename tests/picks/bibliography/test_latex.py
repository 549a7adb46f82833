"""LaTeX to text and back."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picks.bibliography.latex import decode, encode


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"Kram{\'a}r", "Kramár"),
        (r"Kram\'ar", "Kramár"),
        (r"Kram\'{a}r", "Kramár"),
        (r"na{\"\i}ve", "naïve"),
        (r"na\"{\i}ve", "naïve"),
        (r"{\L}ukasz \L ukasz", "Łukasz Łukasz"),
        (r"\v{C}ern{\'y}", "Černý"),
        (r"Nguy\~{\^e}n", "Nguyễn"),
        (r"S{\o}gaard {\AA}ke {\ss}", "Søgaard Åke ß"),
        (r"\c{c}\k{a}\H{o}", "çąő"),
        (r"{GPT}-2 \& {BERT}: 50\%", "GPT-2 & BERT: 50%"),
        (r"$\mu$P and $\varepsilon$", "μP and ε"),
        (r"\emph{very} \textbf{bold}", "very bold"),
        ("pages 1--2 --- ``quoted''", "pages 1–2 — “quoted”"),
        ("Mor~Geva\n  and\tothers", "Mor Geva and others"),
        (r"\{a\} a\_b C\#", "{a} a_b C#"),
        (r"dangling \'", "dangling"),
        ("\\", "\\"),
        ("", ""),
    ],
)
def test_what_latex_says(latex: str, text: str) -> None:
    assert decode(latex) == text


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("Kramár", r"Kram{\'a}r"),
        ("naïve", r"na{\"{\i}}ve"),
        ("Łukasz", r"{\L}ukasz"),
        ("50% & $5 #1 a_b", r"50\% \& \$5 \#1 a\_b"),
        ("1–2 — --", "1--2 --- -{}-"),
        ("{x}", r"{\textbraceleft}x{\textbraceright}"),
        ("注意 α", "注意 α"),
    ],
)
def test_what_is_written_in_latex(text: str, latex: str) -> None:
    assert encode(text) == latex


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
def test_any_text_comes_back(text: str) -> None:
    assert decode(encode(text)) == unicodedata.normalize("NFC", " ".join(text.split()))


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
def test_braces_are_balanced_whatever_the_text(text: str) -> None:
    written = encode(text)
    assert written.count("{") == written.count("}")


@settings(deadline=None)
@given(st.text("\\{}'\"^~$acui -`"))
def test_any_latex_is_read(latex: str) -> None:
    assert "{" not in decode(latex.replace("\\{", ""))
