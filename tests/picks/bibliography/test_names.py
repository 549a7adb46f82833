"""Names as entries write them, as they are spoken, and taken apart."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picks.bibliography.names import Name, from_parts, read_name

WORD = st.text(st.characters(categories=("Lu", "Ll")), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("Mor Geva", Name("Geva", "Mor")),
        ("Stephanie C. Y. Chan", Name("Chan", "Stephanie C. Y.")),
        ("Oskar van der Wal", Name("van der Wal", "Oskar")),
        ("Yoav Gur-Arieh", Name("Gur-Arieh", "Yoav")),
        ("Ann Blake Jr.", Name("Blake", "Ann", "Jr.")),
        ("De Cao", Name("Cao", "De")),
        ("Nico {De Cabo}", Name("De Cabo", "Nico")),
        ("Ann {Van Blake} III", Name("Van Blake", "Ann", "III")),
        ("Madonna", Name("Madonna")),
        ("{DeepMind, London}", Name("DeepMind, London")),
        ("{Smith and Sons}", Name("Smith and Sons")),
        ("{AI@Home 2}", Name("AI@Home 2")),
    ],
)
def test_a_name_has_these_parts_and_is_written_so(written: str, parts: Name) -> None:
    assert read_name(written) == parts
    assert parts.written == written
    assert parts.spoken == written.replace("{", "").replace("}", "")


@pytest.mark.parametrize(
    ("parts", "written"),
    [
        (["Geva", " Mor"], "Mor Geva"),
        (["van der Wal", "Oskar"], "Oskar van der Wal"),
        (["van den Oost", "Aron"], "Aron van den Oost"),
        (["De Cabo", "Nico"], "Nico {De Cabo}"),
        (["Sen Sharm", "Arun"], "Arun {Sen Sharm}"),
        (["Blake", "Jr.", "Ann"], "Ann Blake Jr."),
        (["Mor Geva"], "Mor Geva"),
        (["Geva", ""], "Geva"),
    ],
)
def test_parts_between_commas_are_a_name(parts: list[str], written: str) -> None:
    assert from_parts(parts).written == written


@pytest.mark.parametrize("parts", [["Lin Zhang", "Jie Song", "Ann Gao"], ["A", "Jr.", "B", "C"]])
def test_several_people_are_no_name(parts: list[str]) -> None:
    with pytest.raises(ValueError, match="several people"):
        from_parts(parts)


@settings(deadline=None)
@given(st.lists(WORD, min_size=1, max_size=3), st.lists(WORD, min_size=1, max_size=3))
def test_any_name_is_read_back_as_it_was(family: list[str], given_names: list[str]) -> None:
    name = Name(" ".join(family), " ".join(given_names))
    assert read_name(name.written) == name
