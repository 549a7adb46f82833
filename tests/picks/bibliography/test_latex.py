"""LaTeX to text and back."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picks.bibliography.latex import decode, encode, unknown_commands


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
        (r"\emph{very} \textbf{bold}, {\bf bolder}", "very bold, bolder"),
        (r"$\sqrt{s}=13$, $\sqrt 2$ and $\sqrt{a+b}$", "√s=13, √2 and √(a+b)"),
        (r"$p \Rightarrow q$, $q\leftrightarrow p$", "p ⇒ q, q↔ p"),
        (r"$\lambda \leq 2$, $a \neq b$, $x\not\in X$, $n\to\infty$", "λ ≤ 2, a ≠ b, x∉ X, n→∞"),
        (r"$\mathcal{L}$, $\mathbb R^d$ and $\mathrm{KL}$", "ℒ, ℝ^d and KL"),
        (r"$\hat{y}$, $\tilde{\mathcal{O}}(n \log n)$, $\alpha x$", "ŷ, 𝒪̃(n log n), αx"),
        (r"$\frac{1}{2}$ of the 5$^{th}$ and 1\textsuperscript{st} \LaTeX{} \(x\)", "1/2 of the 5th and 1st LaTeX x"),
        (r"\href{https://a.example}{A \underline{page}} 1990\textendash 2000", "A page 1990–2000"),
        (r"What \foo{} and \bar x \baz do", "What \\foo and x̄ \\baz do"),
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
    ("latex", "commands"),
    [
        (r"{\'E}clair \emph{and} $\hat{y} \leq \sqrt{2}$, \o, \mathcal{L}", []),
        (r"\foo{} and \foo{} \textsuperscript{2}", [r"\foo", r"\textsuperscript"]),
        (r"\today \cite{key} \input{file} \ref{x} \vspace{1em}", [r"\today", r"\cite", r"\input", r"\ref", r"\vspace"]),
        (r"$\sqrt{x^{2}}$", [r"\sqrt"]),
    ],
)
def test_a_command_that_nobody_knows_is_named(latex: str, commands: list[str]) -> None:
    assert unknown_commands(latex) == commands


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
    assert unknown_commands(encode(text)) == []
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
    assert isinstance(unknown_commands(latex), list)
