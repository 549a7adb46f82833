"""The relation files are what they claim to be, and a file that is not is refused where it is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reproductions.head_mapping.relations import (
    CATEGORIES,
    MultiTokenPair,
    Relation,
    RelationError,
    TokenPair,
    load_relations,
    multi_token_sources,
    single_token_pairs,
)

RELATIONS = load_relations()
EVERY = pytest.mark.parametrize("relation", RELATIONS.values(), ids=RELATIONS.keys())
COPYING = ("copying", "name_copying")

GOOD = """\
title: country → capital
category: knowledge
prompt: "The capital of France is Paris and that of {} is"
shots: [France]
top_k: 10
origin: written for this test
licence: CC-BY-4.0
pairs: |
  France -> Paris
  Norway -> Oslo
  Costa Rica -> San Jose
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good relation."""
    (tmp_path / "capital.yml").write_text(GOOD, encoding="utf-8")
    return tmp_path


def refusal(folder: Path, text: str) -> str:
    """What loading says when the relation's file has this text."""
    (folder / "capital.yml").write_text(text, encoding="utf-8")
    with pytest.raises(RelationError) as caught:
        load_relations(folder=folder)
    return str(caught.value)


def test_a_relation_is_read_from_its_file(folder: Path) -> None:
    assert load_relations(folder=folder) == {
        "capital": Relation(
            name="capital",
            title="country → capital",
            category="knowledge",
            prompt="The capital of France is Paris and that of {} is",
            shots=("France",),
            top_k=10,
            origin="written for this test",
            licence="CC-BY-4.0",
            pairs=(("France", "Paris"), ("Norway", "Oslo"), ("Costa Rica", "San Jose")),
        )
    }


def test_words_that_yaml_would_turn_into_something_else_stay_words(folder: Path) -> None:
    text = GOOD.replace("  Norway -> Oslo\n", "  yes -> no\n  1564 -> null\n")
    (folder / "capital.yml").write_text(text, encoding="utf-8")
    assert load_relations(folder=folder)["capital"].pairs[1:3] == (("yes", "no"), ("1564", "null"))


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("top_k: 10\n", "", 1, "this file has no `top_k`"),
        ("top_k: 10", "top_k: 10\ntopk: 1", 6, "'topk': did you mean top_k?"),
        ("top_k: 10", "top_k: ten", 5, "`top_k` must be a whole number, not 'ten'"),
        ("top_k: 10", "top_k: true", 5, "`top_k` must be a whole number, not 'True'"),
        ("top_k: 10", "top_k: 0", 5, "`top_k` is below 1"),
        ("category: knowledge", "category: trivia", 2, "`category`: 'trivia' is none of algorithmic, knowledge"),
        ("that of {} is", "that of this is", 3, "must contain {} once"),
        ("that of {} is", "{} and {} is", 3, "must contain {} once"),
        ("The capital of France is Paris and that of {} is", "{} has", 3, "after a space"),
        ("{} is", "{} is ", 3, "must not begin or end"),
        ("shots: [France]", "shots: [Sweden]", 4, "the shot 'Sweden' is not a source"),
        ("shots: [France]", "shots: [no]", 4, "the shot 'no' is not a source"),
        ("  Norway -> Oslo", "  Norway Oslo", 10, "'Norway Oslo' is not a line"),
        ("  Norway -> Oslo", "  Norway -> Oslo -> Bergen", 10, "is not a line"),
        ("  Norway -> Oslo", "  Norway ->", 10, "is not a line"),
        ("  Norway -> Oslo", "", 10, "'' is not a line"),
        ("  Costa Rica", "  Norway -> Oslo\n  Costa Rica", 11, "'Norway' is a source for the second time"),
        ("top_k: 10", "top_k: [10", 6, "did not find expected"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(folder: Path, old: str, new: str, line: int, says: str) -> None:
    assert GOOD.count(old) == 1
    message = refusal(folder, GOOD.replace(old, new))
    assert re.match(rf"{re.escape(str(folder / 'capital.yml'))}:{line}:\d+: ", message)
    assert says in message


def test_a_file_without_pairs_is_refused(folder: Path) -> None:
    assert "`pairs` is too short" in refusal(folder, GOOD[: GOOD.index("  France ->")])


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n"])
def test_a_file_that_is_no_mapping_is_refused(folder: Path, text: str) -> None:
    assert "this file must be `key: value` lines" in refusal(folder, text)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(RelationError, match=r"no relation 'country_capitol': did you mean 'country_capital'\?"):
        load_relations(["copying", "country_capitol"])


def test_a_name_near_to_none_is_refused_with_the_list(folder: Path) -> None:
    with pytest.raises(RelationError, match=r"no relation 'xyz': the relations are capital\."):
        load_relations(["xyz"], folder)


def test_relations_come_by_category_and_name() -> None:
    chosen = load_relations(["plural", "english_german", "antonym", "copying", "country_capital"])
    assert list(chosen) == ["copying", "country_capital", "antonym", "plural", "english_german"]
    assert {relation.category for relation in RELATIONS.values()} == set(CATEGORIES)


def letters_or_word(text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
    """A tokenizer that knows three words with a space before them; the rest it splits into characters."""
    assert not add_special_tokens
    known = {" France": 1000, " Paris": 1001, " Oslo": 1002}
    return {"input_ids": [known[text]] if text in known else [ord(character) for character in text]}


def test_pairs_are_sorted_by_what_the_tokenizer_makes_of_them(folder: Path) -> None:
    relation = load_relations(folder=folder)["capital"]
    assert single_token_pairs(relation, letters_or_word) == [TokenPair("France", "Paris", 1000, 1001)]
    norway = tuple(ord(character) for character in " Norway")
    assert multi_token_sources(relation, letters_or_word) == [MultiTokenPair("Norway", "Oslo", norway, 1002)]


def words(text: str) -> set[str]:
    """The words of a text."""
    return set(re.findall(r"\w+", text))


@EVERY
def test_the_prompt_shows_its_shots_and_gives_no_other_pair_away(relation: Relation) -> None:
    targets = dict(relation.pairs)
    for shot in relation.shots:
        _, _, after = relation.prompt.partition(shot)
        assert words(targets[shot]) <= words(after)
    shown = words(relation.prompt)
    away = [s for s, t in relation.pairs if s not in relation.shots and words(s) <= shown and words(t) <= shown]
    assert away == []


@EVERY
def test_a_target_is_its_source_only_in_the_copying_relations(relation: Relation) -> None:
    same = [source for source, target in relation.pairs if source == target]
    assert len(same) == (len(relation.pairs) if relation.name in COPYING else 0)
    assert relation.top_k == (1 if relation.name in COPYING else 10)


@EVERY
def test_the_first_pairs_are_a_fair_sample(relation: Relation) -> None:
    """A run that takes the first 40 must not see one class only, nor the alphabet's beginning."""
    all_targets = {target for _, target in relation.pairs}
    first = {target for _, target in relation.pairs[:40]}
    assert len(first) >= min(len(all_targets), 40) / 3
    sources = [source for source, _ in relation.pairs]
    assert sources != sorted(sources)


def broken(name: str, rule: str) -> list[tuple[str, str]]:
    """The pairs of a relation whose target does not match a pattern made of the source."""
    return [(s, t) for s, t in RELATIONS[name].pairs if not re.fullmatch(rule.format(s=s, stem=s[:-1]), t)]


def test_letters_are_the_letters_of_their_words() -> None:
    assert all(target == source[0] for source, target in RELATIONS["first_letter"].pairs)
    assert all(target == source[-1] for source, target in RELATIONS["last_letter"].pairs)
    assert all(target == source.capitalize() for source, target in RELATIONS["capitalised"].pairs)


def test_the_next_letter_comes_next_in_the_alphabet() -> None:
    steps = [ord(t) - ord(s) for s, t in RELATIONS["next_in_order"].pairs if len(s) == len(t) == 1]
    assert steps == [1] * 50


def test_an_ordered_list_neither_branches_nor_turns_back() -> None:
    following = dict(RELATIONS["next_in_order"].pairs)
    assert len(set(following.values())) == len(following)
    for start in following:
        seen, at = {start}, start
        while at in following:
            at = following[at]
            assert at not in seen
            seen.add(at)


def test_inflections_are_regular_but_for_the_known_exceptions() -> None:
    assert {s for s, _ in broken("comparative", r"({s}|{stem}|{stem}i|{s}.)e?r")} == {
        "good",
        "bad",
        "far",
        "much",
        "little",
    }
    assert all(target.endswith("st") for _, target in RELATIONS["superlative"].pairs)
    assert {s for s, _ in broken("gerund", r"({s}|{stem}|{s}.|..)ing")} == set()
    assert {s for s, _ in broken("adverb", r"({s}|{stem}|{stem}i)(l?y|ally)")} == set()


def test_comparatives_and_superlatives_belong_together() -> None:
    superlatives = dict(RELATIONS["superlative"].pairs)
    regular = [(s, t) for s, t in RELATIONS["comparative"].pairs if t.endswith("er")]
    assert len(regular) > 100
    assert [(s, t) for s, t in regular if t not in ("better", "further") and superlatives[s] != t[:-1] + "st"] == []


def test_facts_told_twice_agree() -> None:
    """Two relations that say the same thing of the same words say it alike."""
    languages, adjectives = dict(RELATIONS["country_language"].pairs), dict(RELATIONS["country_adjective"].pairs)
    for country in ("France", "Poland", "Japan", "Turkey", "Greece", "Hungary", "Thailand"):
        assert languages[country] == adjectives[country]
    months = [source for source, target in RELATIONS["time_unit_extension"].pairs if target == "year"]
    assert {s for s, t in RELATIONS["object_superclass"].pairs if t == "month"} <= set(months)


def test_years_of_birth_are_years() -> None:
    assert all(re.fullmatch(r"1[4-9]\d\d", year) for _, year in RELATIONS["person_birth_year"].pairs)


def test_pronouns_are_the_four_of_the_third_person() -> None:
    assert {target for _, target in RELATIONS["entity_pronoun"].pairs} == {"he", "she", "it", "they"}
