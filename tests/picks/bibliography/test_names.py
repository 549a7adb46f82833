"""Names taken apart and put together."""

from __future__ import annotations

import pytest

from picks.bibliography.names import Name, given_first, take_apart


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("Mor Geva", Name("Geva", "Mor")),
        ("Stephanie C. Y. Chan", Name("Chan", "Stephanie C. Y.")),
        ("Oskar van der Wal", Name("van der Wal", "Oskar")),
        ("Yoav Gur-Arieh", Name("Gur-Arieh", "Yoav")),
        ("Ann Blake Jr.", Name("Blake", "Ann", "Jr.")),
        ("De Cao", Name("Cao", "De")),
        ("Madonna", Name("Madonna")),
        ("DeepMind, London", Name("DeepMind, London")),
        ("Smith and Sons", Name("Smith and Sons")),
    ],
)
def test_a_name_has_these_parts(name: str, parts: Name) -> None:
    assert take_apart(name) == parts


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (["Geva", " Mor"], "Mor Geva"),
        (["van der Wal", "Oskar"], "Oskar van der Wal"),
        (["Blake", "Jr.", "Ann"], "Ann Blake Jr."),
        (["Mor Geva"], "Mor Geva"),
        (["Geva", ""], "Geva"),
    ],
)
def test_parts_become_a_name_as_it_is_spoken(parts: list[str], name: str) -> None:
    assert given_first(parts) == name
