"""Where pages are: paths of their Markdown, addresses on the site, and links between them.

On the web a page is a folder (`papers/2412.11965/`); in the offline site it is a file, which opens without a server.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Addresses:
    """How the paths of sources become addresses on this build of the site."""

    site: str
    offline: bool = False

    def of(self, source: str) -> str:
        """The address of a source, relative to the site's root; a page's may end in an anchor."""
        path, hash_, anchor = source.partition("#")
        if path.endswith(".md"):
            path = path.removesuffix(".md") + ".html" if self.offline else _folder(path)
        return path + hash_ + anchor

    def link(self, target: str, start: str) -> str:
        """The link from one page to another source, by way of the site's root."""
        up = "../" * self.of(start).count("/")
        return up + self.of(target) or "./"

    def public(self, target: str) -> str:
        """The address that others use, always the one on the web."""
        return self.site + Addresses(self.site).of(target)


def _folder(path: str) -> str:
    return "" if path == "index.md" else re.sub(r"index\.md$|\.md$", "", path).rstrip("/") + "/"


def slug(text: str) -> str:
    """A name as part of an address: small ASCII letters, digits and hyphens; the same for every spelling of accents."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")
    return words[:80] or "n" + hashlib.sha256(text.encode()).hexdigest()[:8]


def paper_page(paper_id: str) -> str:
    """The source of a paper's page."""
    return f"papers/{paper_id}.md"
