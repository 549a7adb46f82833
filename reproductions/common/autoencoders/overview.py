"""The cards of a model's autoencoders as one page, `README.md` beside them, so that nobody has to read JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reproductions.common import files
from reproductions.common.activations import layer_of
from reproductions.common.autoencoders import shipped
from reproductions.common.report import table

NAME = "README.md"
HEADER = ("site", "seed", "latents", "active", "variance explained", "loss recovered", "never active", "tokens dropped")
TEXT = """# Autoencoders of {model}

{n} TopK autoencoders, trained once on {tokens:,} tokens of mixed English (`reproductions/corpus.yml`) with SAELens, and
shipped with 8 bits a weight. A site's `.json` is its card: recipe, checksums, density of the latents, and every number
below; *active* is how many of its latents are active at a token.

Each number stands beside what two others reach with as many directions a token, on text that none was fitted to: the
best principal components of each token, and directions of a random dictionary. *Loss recovered* is the share of
the damage that the site's mean does to the model's loss, and that putting the reconstruction in its place undoes.
Tokens whose norm is above three times the site's median, attention sinks nearly all of them, are left out of training
and of every number.

{table}

They are small, and trained on little text. What they show of this model is a first look, not the last word.

To train them anew: `python -m reproductions.common.train_autoencoders --tokens {tokens}`, with `--k` or
`--expansion`, and `--out`, for those of another recipe.
"""


def write(model: str, root: Path | None = None) -> None:
    """Write the page of a model."""
    folder = shipped.folder_of(model, root)
    files.write_text(folder / NAME, page(folder))


def page(folder: Path) -> str:
    """The page of the cards in a folder."""
    found = [card for card in map(shipped.read_card, sorted(folder.glob("*.json"))) if card]
    cards = sorted(found, key=lambda card: (layer_of(card["site"]), card["site"], card["seed"], card["k"]))
    first = cards[0]
    values = {"model": first["model"]["name"], "n": len(cards), "table": table(HEADER, map(_row, cards))}
    return TEXT.format(**values, tokens=first["tokens"])


def _row(card: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"`{card['site']}`",
        str(card["seed"]),
        f"{card['d_sae']:,}",
        str(card["k"]),
        _beside(card, "explained_variance"),
        _beside(card, "loss_recovered"),
        f"{card['dead_share']:.1%}",
        f"{card['outliers_dropped'] / (card['rows'] + card['outliers_dropped']):.1%}",
    )


def _beside(card: dict[str, Any], name: str) -> str:
    """A number of the autoencoder, then those of the two baselines."""
    own, components, random = (
        card[code][name] for code in ("autoencoder", "principal_components", "random_dictionary")
    )
    return f"**{own:.0%}** (components {components:.0%}, random {random:.0%})"
