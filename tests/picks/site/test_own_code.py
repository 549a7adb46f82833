"""A package's docstring as the page of examples shows it."""

from pathlib import Path

from picks.site.own_code import own_code

PACKAGE = '''"""Do coins remember? (Bernoulli et al., arXiv 1713.00001).

With a coin of your own,
and a model:

    model = TransformerBridge.boot_transformers("gpt2")
    found = toss(coin)

    found.share  # of heads

More is in method.py.
"""

from reproductions.coins.method import Coin, toss

__all__ = ["Coin", "toss"]
'''


def written(folder: Path, text: str) -> Path:
    package = folder / "coins"
    package.mkdir()
    (package / "__init__.py").write_text(text, encoding="utf8")
    return package


def test_a_docstring_is_told_in_its_parts(tmp_path: Path) -> None:
    found = own_code(written(tmp_path, PACKAGE))
    assert found is not None
    assert (found.title, found.about, found.after) == (
        "Do coins remember?",
        "With a coin of your own, and a model:",
        "More is in method.py.",
    )
    assert found.lines.splitlines()[1:] == ["found = toss(coin)", "", "found.share  # of heads"]
    assert found.program.startswith(
        "from transformer_lens.model_bridge import TransformerBridge\nfrom reproductions.coins import toss\n\nmodel ="
    )


def test_a_package_without_lines_shows_none(tmp_path: Path) -> None:
    assert own_code(written(tmp_path, '"""Coins."""\n')) is None
    assert own_code(tmp_path / "nowhere") is None
