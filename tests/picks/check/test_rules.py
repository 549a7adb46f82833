"""Every rule: on a fixture that breaks it alone, and on the nearest one that keeps all rules."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from picks.check.faults import ERROR, HINT
from picks.check.rules import ENTRY_RULES, FILE_RULES, rules
from tests.picks.check import shelf

ALSO = {"same-id": {"file-name"}}  # one folder cannot hold the same id twice under two right names


@pytest.mark.parametrize("rule", rules())
def test_what_breaks_a_rule_is_found(rule: str, tmp_path: Path) -> None:
    found = shelf.faults(shelf.build(tmp_path, shelf.FIXTURES / "invalid" / rule))
    assert {fault.rule for fault in found} - ALSO.get(rule, set()) == {rule}


@pytest.mark.parametrize("rule", rules())
def test_what_keeps_a_rule_passes(rule: str, tmp_path: Path) -> None:
    assert shelf.faults(shelf.build(tmp_path, shelf.FIXTURES / "valid" / rule)) == []


@pytest.mark.parametrize("kind", ["valid", "invalid"])
def test_every_rule_has_its_fixtures(kind: str) -> None:
    assert {path.name for path in (shelf.FIXTURES / kind).iterdir()} == set(rules())


@pytest.mark.parametrize("rule", rules().values(), ids=lambda rule: rule.id)
def test_a_rule_says_what_why_and_how_in_a_few_words(rule) -> None:  # type: ignore[no-untyped-def]
    assert rule.level in (ERROR, HINT)
    for said in (rule.what, rule.why, rule.mend):
        assert 10 < len(said) < 200


def test_rules_are_named_after_their_functions_and_found_in_their_modules() -> None:
    for rule, check in (FILE_RULES | ENTRY_RULES).items():
        assert check.__name__.replace("_", "-") == rule.id
        assert inspect.getfile(check).endswith(f"rules/{rule.module}.py")


def test_a_rule_without_reason_and_remedy_cannot_be_registered() -> None:
    from picks.check.faults import file_rule

    def silent(document):  # type: ignore[no-untyped-def]
        """Something is wrong."""
        yield from ()

    with pytest.raises(TypeError, match="silent must say what, Why: and Mend:"):
        file_rule(ERROR)(silent)
