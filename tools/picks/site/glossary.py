"""The words that methods and claims use: `site/glossary.yml`, a page of them, and links to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from picks.files import load_yaml
from picks.site.addresses import slug
from picks.site.markup import inert
from reproductions.common.errors import UserError

FILE = "site/glossary.yml"
PAGE = "glossary.md"


@dataclass(frozen=True)
class Glossary:
    """What each word means, in the order of the alphabet."""

    terms: Mapping[str, str]

    def anchor(self, term: str) -> str:
        """The source of a term's place, to be linked.

        Raises:
            UserError: there is no such term.
        """
        if term not in self.terms:
            raise UserError(
                f"{FILE} has no term {term!r}, which a page links; add it there with a line that explains it"
            )
        return f"{PAGE}#{slug(term)}"

    def term(self, name: str, words: str | None = None, *, link: Callable[[str], str]) -> Markup:
        """A word as a link to what it means; `words` are shown in its stead."""
        address = inert(link(self.anchor(name)))
        return Markup('<a class="term" href="{}">{}</a>').format(address, inert(words or name))


def load_glossary(root: Path) -> Glossary:
    """All terms.

    Raises:
        UserError: the file is missing, or a term has no line.
    """
    terms = load_yaml(root / FILE)
    for term, text in terms.items():
        if not isinstance(term, str) or not isinstance(text, str):
            raise UserError(
                f"{root / FILE}: {term!r} needs one line of text, and quotes where YAML takes it for no text"
            )
    return Glossary(dict(sorted(terms.items(), key=lambda term: term[0].casefold())))
