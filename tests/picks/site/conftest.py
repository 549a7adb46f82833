"""A small site, built once for all tests that look at one."""

from __future__ import annotations

from pathlib import Path

import pytest

from picks.site.build import build
from picks.site.collection import Library, load_library
from tests.fixtures import mini_site

SITE = "https://picks.example.org/"
REPOSITORY = "https://git.example.org/owner/picks"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with a hostile entry."""
    return mini_site.build(tmp_path_factory.mktemp("mini"))


@pytest.fixture(scope="session")
def library(root: Path) -> Library:
    """What it holds."""
    return load_library(root)


@pytest.fixture(scope="session")
def html(root: Path) -> Path:
    """Its site, as MkDocs built it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SITE_URL", SITE)
        environment.setenv("REPO_URL", REPOSITORY)
        return build(root).folder
