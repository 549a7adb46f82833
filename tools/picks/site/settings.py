"""What `mkdocs.yml` says about the site, for the pages that are generated before MkDocs runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mkdocs.utils.yaml import get_yaml_loader, yaml_load

from picks.site.markup import https
from reproductions.common.errors import UserError

SORTS = ("best", "newest", "oldest", "title", "upvotes", "collection")


@dataclass(frozen=True)
class Settings:
    """Names, addresses and defaults."""

    name: str
    description: str
    url: str
    repository: str | None
    sort: str
    shown: int
    listed: int

    def edit_url(self, path: str) -> str | None:
        """Where a file of the repository can be edited, if the repository's address is known."""
        return f"{self.repository}/edit/main/{path}" if self.repository else None

    def file_url(self, path: str) -> str | None:
        """Where a file of the repository can be read."""
        return f"{self.repository}/blob/main/{path}" if self.repository else None


def load_settings(root: Path) -> Settings:
    """The settings in force, environment variables included.

    Raises:
        UserError: one of them cannot be.
    """
    with (root / "mkdocs.yml").open(encoding="utf8") as file:
        config = yaml_load(file, get_yaml_loader())
    picks = config["extra"]["picks"]
    if picks["sort"] not in SORTS:
        raise UserError(f"mkdocs.yml: extra.picks.sort is {picks['sort']!r}; choose from {', '.join(SORTS)}")
    return Settings(
        name=config["site_name"],
        description=config["site_description"],
        url=config["site_url"].rstrip("/") + "/",
        repository=https((config["repo_url"] or "").rstrip("/")),
        sort=picks["sort"],
        shown=picks["shown"],
        listed=picks["listed"],
    )
