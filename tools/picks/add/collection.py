"""What a Hugging Face collection holds that this one does not, in its order."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from picks.ids import is_arxiv
from reproductions.common.errors import UserError
from reproductions.common.quoting import shown

PATIENCE = 30.0

_SLUG = re.compile(r"(?:https://(?:huggingface\.co|hf\.co)/collections/)?(?P<slug>[\w.-]{1,96}/[\w.-]{1,160})/?")


@dataclass(frozen=True)
class Item:
    """A paper of a collection; `order` counts from its oldest pick, as in an entry."""

    id: str
    title: str
    order: int
    upvotes: int | None

    @property
    def place(self) -> dict[str, int]:
        """Its place, as an entry has it."""
        return {"order": self.order} | ({"upvotes": self.upvotes} if self.upvotes is not None else {})


def slug_of(text: str) -> str:
    """The OWNER/SLUG that a text or an address says.

    Raises:
        UserError: it says none.
    """
    found = _SLUG.fullmatch(text.strip())
    if found is None or ".." in text:
        raise UserError(f"{shown(text)} is no collection; expected OWNER/SLUG, as at the end of its address")
    return found["slug"]


def missing(slug: str, known: Mapping[str, int | None]) -> list[Item]:
    """The collection's papers that are not among the known ones, the oldest pick first.

    Args:
        known: the place of each paper of ours, which tells whether the collection begins with its newest.

    Raises:
        UserError: Hugging Face cannot be reached, or knows no such collection.
    """
    import httpx2
    from huggingface_hub import HfApi, set_client_factory
    from huggingface_hub.errors import HfHubHTTPError

    set_client_factory(lambda: httpx2.Client(timeout=PATIENCE, follow_redirects=True))
    api = HfApi(token=False)
    try:
        listed = [item.item_id for item in api.get_collection(slug).items if item.item_type == "paper"]
        picks = _oldest_first([name for name in listed if is_arxiv(name)], known)
        absent = [(order, name) for order, name in enumerate(picks, start=1) if name not in known]
        records = [(order, api.paper_info(name)) for order, name in absent]
    except HfHubHTTPError as error:
        status = error.response.status_code
        why = "it is private or does not exist" if status in (401, 403, 404) else f"HTTP {status}; try again later"
        raise UserError(f"Hugging Face does not give the collection {slug}: {why}") from None
    except (httpx2.HTTPError, OSError):
        raise UserError("Hugging Face cannot be reached; a collection can only be read with a network") from None
    except (KeyError, TypeError, ValueError):
        raise UserError(f"Hugging Face's answer about {slug} makes no sense; try again later") from None
    return [Item(info.id, " ".join((info.title or "").split()), order, info.upvotes) for order, info in records]


def _oldest_first(listed: list[str], known: Mapping[str, int | None]) -> list[str]:
    """The collection from its oldest pick on: collections grow at either end, and our own order says at which."""
    orders = [order for name in listed if (order := known.get(name)) is not None]
    rising = sum(later > earlier for earlier, later in pairwise(orders))
    return listed if rising * 2 > len(orders) - 1 > 0 else listed[::-1]
