"""Citation keys: short, telling, unique, and the same tomorrow."""

from __future__ import annotations

import re
from dataclasses import replace

from picks.exports import cite
from picks.papers import Place
from tests.picks.exports.sample import paper, real


def test_a_key_is_author_year_and_first_telling_word() -> None:
    made = paper(id="2412.11965", title="What is the Inferring of Heads?", authors=("Amit Elhelo",))
    assert cite([made])["2412.11965"].key == "elhelo2024inferring"


def test_accents_particles_and_hyphens_are_folded() -> None:
    keys = {name: cite([paper(authors=(name,))])["2412.00001"].key for name in ("Anders Søgaard", "Oskar van der Wal")}
    assert keys == {"Anders Søgaard": "sogaard2024title", "Oskar van der Wal": "vanderwal2024title"}
    assert cite([paper(authors=("Yoav Gur-Arieh",))])["2412.00001"].key == "gurarieh2024title"


def test_the_earlier_pick_keeps_the_short_key_whatever_comes_later() -> None:
    first = paper(id="2412.00009", title="Heads of state", collection=Place(order=1))
    second = replace(first, id="2412.00002", title="Heads of cabbage", collection=Place(order=2))
    third = replace(first, id="2412.00001", title="Heads", collection=Place())
    alone = cite([first])["2412.00009"].key
    cited = cite([third, second, first])
    assert [cited[name].key for name in ("2412.00009", "2412.00002", "2412.00001")] == [
        alone,
        "example2024headscabbage",
        "example2024_2412.00001",
    ]


def test_a_paper_whose_name_and_title_have_no_latin_letter_gets_a_key() -> None:
    assert cite([paper(title="注意力", authors=("陈",))])["2412.00001"].key == "2024_2412.00001"


def test_every_real_key_is_plain_and_its_own() -> None:
    keys = [citation.key for citation in real().values()]
    assert len(set(keys)) == len(keys)
    assert all(re.fullmatch(r"[a-z]+\d{4}[a-z0-9]+", key) for key in keys)
