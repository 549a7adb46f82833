"""Addresses: only https, well formed, and at a place where such a thing is kept. Nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from picks.check.base import Base, Entry, is_text
from picks.check.faults import ERROR, HINT, Finding, entry_rule
from picks.identifiers import anthology_id
from reproductions.common.documents import Scalar, Sequence
from reproductions.common.quoting import shown

FORGES = (
    "github.com", "gitlab.com", "huggingface.co", "codeberg.org", "bitbucket.org", "sr.ht", "gitee.com",
    "osf.io", "zenodo.org", "figshare.com", "colab.research.google.com",
)  # fmt: skip
LESSWRONG = ("lesswrong.com", "alignmentforum.org")
HOME = {"anthology": ("aclanthology.org",), "openreview": ("openreview.net",)}
PLATFORMS = {"x": ("x.com",), "bluesky": ("bsky.app",), "lesswrong": LESSWRONG}
FORMER = {"twitter.com": "x.com"}

_ELSEWHERE = re.compile(r"\d{4}\.(?:tacl|cl|lrec|coling|eamt|amta|jeptalnrecital|nodalida)\b|[JQLC]\d\d-")

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}")
_STRANGE = re.compile(r"[\s<>\"'`\\^{}|]|[^\x21-\x7e]")
_REPOSITORY = re.compile(r"/[^/]+/[^/]+")


@entry_rule(ERROR)
def link_scheme(entry: Entry, base: Base) -> Iterator[Finding]:
    """An address does not begin with https://.

    Why: the site links to it. `javascript:` would run there, http: can be changed on the way, and a bare name leads
    nowhere.
    Mend: write the whole address, beginning with https://.
    """
    for _, link in _addresses(entry):
        if not link.value.startswith("https://"):
            yield Finding(link.position, f"{shown(link.value)} does not begin with https://")


@entry_rule(ERROR)
def link_form(entry: Entry, base: Base) -> Iterator[Finding]:
    """An address is not well formed.

    Why: with a strange host, a user's name, a port or a space in it, it leads elsewhere than it seems, or nowhere.
    Mend: copy it again from the browser's address bar; letters outside ASCII become %-signs there.
    """
    for _, link in _addresses(entry):
        if link.value.startswith("https://") and (fault := _malformed(link.value)):
            yield Finding(link.position, f"{shown(link.value)} {fault}")


@entry_rule(ERROR)
def link_host(entry: Entry, base: Base) -> Iterator[Finding]:
    """A link leads to another site than its key says.

    Why: readers and exports take `anthology` to be in the ACL Anthology and `openreview` to be reviews.
    Mend: put the address under the key that fits, or take it out.

    A paper's arXiv page is made from its id and never stands among the links.
    """
    for key, link in entry.links():
        host = _host(link.value)
        homes = HOME.get(key)
        if host and homes and not _at(host, homes):
            yield Finding(link.position, f"`{key}` leads to {host}, not to {' or '.join(homes)}")
        elif _at(host, ("arxiv.org",)):
            yield Finding(link.position, f"`{key}` leads to {host}", "take it out; the id says as much")


@entry_rule(HINT)
def code_host(entry: Entry, base: Base) -> Iterator[Finding]:
    """Code is not at a place where code is usually kept, or the address names no repository.

    Why: `code` is what readers clone; a project's page or a person's list of repositories cannot be cloned.
    Mend: give the repository itself, and put a web page under `project`.
    """
    for key, link in entry.links():
        host = _host(link.value)
        if key == "code" and host and not _at(host, FORGES) and not host.startswith(("git.", "gitlab.")):
            yield Finding(link.position, f"{host} is not known to hold code")
        elif key == "code" and host == "github.com" and not _REPOSITORY.match(urlsplit(link.value).path):
            yield Finding(link.position, f"{shown(link.value)} names no repository")


@entry_rule(ERROR)
def thread_host(entry: Entry, base: Base) -> Iterator[Finding]:
    """A thread's address is not on the platform that it is said to be on.

    Why: the site shows the platform's name beside the link, and it must be true.
    Mend: mend the platform or the address; `web` is for what is on none of the platforms.
    """
    for platform, link in entry.threads():
        host, homes = _host(link.value), PLATFORMS.get(platform)
        if former := FORMER.get(host):
            yield Finding(link.position, f"{host} is {former} now", f"write {former} instead of {host}")
        elif host and homes and not _at(host, homes):
            yield Finding(link.position, f"{host} is not {platform}, which is at {' or '.join(homes)}")
        elif platform in ("web", "mastodon") and (real := _platform_of(host)):
            yield Finding(link.position, f"{host} is {real}, not {platform}", f"write `platform: {real}`")


@entry_rule(HINT)
def repeated_link(entry: Entry, base: Base) -> Iterator[Finding]:
    """The same address stands twice in an entry.

    Why: one of the two is probably not what its key says.
    Mend: keep it under the key that fits best.
    """
    seen: dict[str, str] = {}
    for key, link in _shown(entry):
        address = link.value.rstrip("/")
        if address in seen:
            yield Finding(link.position, f"`{key}` has the same address as `{seen[address]}`")
        seen.setdefault(address, key)


@entry_rule(ERROR)
def anthology_doi(entry: Entry, base: Base) -> Iterator[Finding]:
    """An entry links to the ACL Anthology and has not the DOI that goes with that page.

    Why: papers are cited by their DOI, and the one of a page of the Anthology is known without looking it up.
    Mend: write `doi: 10.18653/v1/` and the id at the end of the page's address.

    Journals (TACL, Computational Linguistics) have DOIs of their own, and some conferences (LREC, COLING) none.
    """
    link = next((link for key, link in entry.links() if key == "anthology"), None)
    page = anthology_id(link.value) if link else None
    if link is None or page is None or _ELSEWHERE.match(page):
        return
    doi, wanted = entry.text("doi"), f"10.18653/v1/{page}"
    if doi is None or (doi.value.startswith("10.") and doi.value.lower() != wanted.lower()):
        position = doi.position if doi else link.position
        yield Finding(position, f"its DOI is {wanted}" + (f", not {shown(doi.value)}" if doi else ""))


def _addresses(entry: Entry) -> Iterator[tuple[str, Scalar]]:
    yield from _shown(entry)
    for source in _sources(entry):
        yield "read.sources", source


def _shown(entry: Entry) -> Iterator[tuple[str, Scalar]]:
    """The addresses that the page shows side by side."""
    if address := entry.text("address"):
        yield "address", address
    yield from entry.links()
    for _, link in entry.threads():
        yield "threads", link


def _sources(entry: Entry) -> list[Scalar]:
    node = entry.document.node("read", "sources")
    items = node.items if isinstance(node, Sequence) else []
    return [item for item in items if isinstance(item, Scalar) and is_text(item)]


def _malformed(url: str) -> str | None:
    if found := _STRANGE.search(url):
        return f"has {shown(found[0])} in it"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "has a host that cannot be read"
    if parts.username is not None or port is not None:
        return "has a user's name or a port in it"
    return None if _HOST.fullmatch(_host(url)) else f"has the host {shown(parts.hostname or '')}, which is none"


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.") if url.startswith("https://") else ""
    except ValueError:
        return ""


def _at(host: str, homes: tuple[str, ...]) -> bool:
    return any(host == home or host.endswith(f".{home}") for home in homes)


def _platform_of(host: str) -> str | None:
    return next((platform for platform, homes in PLATFORMS.items() if _at(host, homes)), None)
