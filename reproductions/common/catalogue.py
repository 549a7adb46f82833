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
AUTOENCODERS = Path(__file__).with_name("autoencoders")
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
OWN = "path:"  # what the name of a folder of the user's begins with
TRAINED = "trained-here"  # stands for a model where a notebook trains networks of its own
NEWEST = "main"  # the revision that is resolved to the commit that it stands for


class ModelError(Exception):
    """A model that cannot be had; the message says what is wrong, why, and how to mend it."""


@dataclass(frozen=True)
class Wheel:
    """A Python wheel that carries a GGUF file, or a part of one, as its member."""

    requirement: str
    sha256: str
    member: str


@dataclass(frozen=True)
class Canary:
    """What a machine that computes rightly finds: the logits of a few tokens behind a prompt."""

    prompt: str
    tokens: tuple[int, ...]
    logits: tuple[float, ...]


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model before it is fetched.

    sha256 is the GGUF's, or that of the weights of a model of the hub (`folders.identity`); None if it is not pinned.
    """

    name: str
    title: str
    note: str
    licence: str
    licence_url: str
    kind: Literal["wheels", "hub", "path", "trained"]
    source: str
    revision: str
    sha256: str | None = None
    download_mib: int = 0
    disk_mib: int = 0
    split_digits: bool = False
    wheels: tuple[Wheel, ...] = ()
    canary: Canary | None = None

    @property
    def slug(self) -> str:
        """What a folder about it is called."""
        return f"own--{Path(self.source).name}" if self.kind == "path" else self.name.replace("/", "--")


def model_names() -> list[str]:
    """The names listed in models.yml, the default first."""
    return list(_listed(MODELS))


def has_autoencoders(name: str) -> bool:
    """Whether autoencoders of the model come with this project."""
    return any((AUTOENCODERS / name.replace("/", "--")).glob("*.json"))


def model_card(name: str) -> ModelCard:
    """The card of a listed model (by name or source), of any owner/name on the hub, of path:DIR, or of `TRAINED`.

    Raises:
        ModelError: there is no such model.
    """
    if name == TRAINED:
        return _trained()
    if name.startswith(OWN):
        return _own(Path(name.removeprefix(OWN)).expanduser().absolute())
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
    return ModelCard(name=name, **{**entry, "wheels": wheels, "canary": _canary(entry.get("canary"))})


def _canary(entry: dict[str, Any] | None) -> Canary | None:
    return Canary(entry["prompt"], tuple(entry["tokens"]), tuple(entry["logits"])) if entry else None


def _passed_through(name: str) -> ModelCard:
    return ModelCard(
        name=name,
        title=name,
        note="Not in models.yml: taken from the model hub as it stands there, neither pinned nor tried by us.",
        licence="see its page on the hub",
        licence_url=f"https://huggingface.co/{name}",
        kind="hub",
        source=name,
        revision=NEWEST,
    )


def _trained() -> ModelCard:
    return ModelCard(
        name=TRAINED,
        title="small networks trained here",
        note="The notebook trains them itself: on what and how long is told there. Nothing is fetched.",
        licence="MIT, as the code that trains them",
        licence_url="https://opensource.org/license/mit",
        kind="trained",
        source="this project",
        revision="in its code",
    )


def _own(folder: Path) -> ModelCard:
    if not folder.is_dir():
        raise ModelError(
            f"{OWN}{folder}: there is no such folder; name one with config.json, tokenizer and safetensors"
        )
    return ModelCard(
        name=f"{OWN}{folder}",
        title=f"{folder.name}, from a folder of this machine",
        note="The user's own: neither pinned nor tried by us.",
        licence="its owner's",
        licence_url=folder.as_uri(),
        kind="path",
        source=str(folder),
        revision="as it lies there",
    )


def _unknown(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}."
    others = "Any other model of the hub is named owner/name, one of yours path:DIR."
    return f"there is no model {name!r} in models.yml: {hint} {others}"
