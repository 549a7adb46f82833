"""What a reproduction claims is read whole, and its faults are named with their line."""

import json
import re
from dataclasses import asdict

import pytest

from reproductions.common.claims import Claim, ClaimError, load_claims

FILE = """\
paper: "2412.11965"
models: [smollm2-135m]
deadline: {quick: 60, full: 120}
parameters: {}
metrics:
  - unit: r
    titles: {r: a correlation, shuffled: its null}
found:
  figure: scatter
  sentences:
    - text: "On a small model, scores predict behaviour: r = {C1}."
      model: smollm2-135m
      verdicts: {C1: holds}
claims:
  - id: C1
    kind: paper
    fact: prediction
    statement: Scores predict behaviour.
    paper: {value: ".9", model: big, source: table 1, seen: read, effect: [0.8, 0.9], comparable: true}
    metric: r
    null: 0
    direction: above
    unit: relation
    control: shuffled
    positive_control: {metric: r, above: 0.1}
    second_route: {metric: shuffled, differs: it is small}
    scale: smaller
  - id: C2
    kind: paper
    fact: people
    statement: Humans agree.
    paper: {value: "80 %", model: big, source: text, seen: second-hand}
    not_tested: It needs people.
    scale: "-"
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "reproduction.yml"
    path.write_text(FILE, encoding="utf8")
    return path


def test_a_claims_file_is_read(path):
    first, second = load_claims(path).claims
    assert (first.null, first.direction, first.sought) == (0, "above", "above 0")
    assert first.paper.effect == (0.8, 0.9)
    assert first.paper.typical == pytest.approx(0.85)
    assert (second.metric, second.not_tested) == (None, "It needs people.")


def test_a_claim_survives_its_record(path):
    for claim in load_claims(path).claims:
        assert Claim.from_json(json.loads(json.dumps(asdict(claim)))) == claim


def test_what_was_found_is_a_sentence_with_the_numbers_of_its_claims(path):
    declared = load_claims(path)
    assert declared.figure == "scatter"
    [sentence] = declared.found
    assert (
        sentence.filled({"C1": "0.7 [0.6, 0.8]"}) == "On a small model, scores predict behaviour: r = 0.7 [0.6, 0.8]."
    )
    assert (sentence.model, sentence.verdicts) == ("smollm2-135m", {"C1": "holds"})


def test_what_has_to_be_true_is_said_in_a_few_words(path):
    def sought(lines):
        path.write_text(FILE.replace("    null: 0\n    direction: above\n", lines), encoding="utf8")
        return load_claims(path).claims[0].sought

    assert sought("    null: 0\n    direction: within\n    bound: 0.07\n") == "within 0.07 of 0"
    assert sought("    null: 0\n    direction: below\n    bound: 0.08\n") == "below 0.08"
    assert sought("    null: 0.5\n    direction: below\n") == "below 0.5"


@pytest.mark.parametrize(
    ("before", "after", "line", "problem"),
    [
        ('paper: "2412.11965"', "paper: 2412.11965", 1, "`paper` must be text"),
        ("    metric: r\n", "    metric: q\n", 20, "'q' is not among the declared metrics"),
        (
            "    control: shuffled\n",
            "    control: shufled\n",
            24,
            "'shufled' is not among the declared metrics: did",
        ),
        ("{metric: r, above", "{metric: q, above", 25, "'q' is not among the declared metrics"),
        ("{metric: shuffled, differs", "{metric: q, differs", 26, "'q' is not among the declared metrics"),
        ("    scale: smaller\n", "", 15, "has no `scale`"),
        ("    scale: smaller\n", "    scale: smaller\n    margin: 0.03\n", 28, "'margin'"),
        ("    kind: paper\n", "    kind: theirs\n", 16, "'theirs' is none of paper, ours, arithmetic"),
        ("direction: above", "direction: up", 22, "'up' is none of above, below, within"),
        ("direction: above", "direction: within", 22, "take its `bound` from the paper"),
        ("    unit: relation\n", "", 15, "C1 lacks unit"),
        ("    null: 0\n", "", 15, "C1 lacks null"),
        ("    null: 0\n", "    null: high\n", 21, "`claims[1].null` must be a number"),
        ("    control: shuffled\n", "", 15, "needs a `control`, or the reason"),
        ("    scale: smaller\n", "    scale: smaller\n    set: later\n", 28, "`claims[1].set`"),
        ("effect: [0.8, 0.9]", "effect: [0.9, 0.8]", 19, "[lowest, highest]"),
        ("effect: [0.8, 0.9]", "effect: [0.8]", 19, "[lowest, highest]"),
        ("effect: [0.8, 0.9], ", "", 19, "nothing is comparable without the authors' `effect`"),
        ("- id: C2", "- id: C1", 28, "same id"),
        ("    not_tested: It needs people.\n", "", 28, "either a `metric`"),
        ("shuffled: its null", "r: its null", 7, "'r' stands here for the second time, after line 7"),
        ("    null: 0\n", "    null: 0\n    null: 1\n", 22, "'null' stands here for the second time"),
        ("      model: smollm2-135m", "      model: gemma3-270m", 12, "not among this reproduction's models"),
        ("verdicts: {C1: holds}", "verdicts: {C3: holds}", 13, "there is no claim C3"),
        ("verdicts: {C1: holds}", "verdicts: {C2: not tested}", 11, "{C1} stands for a claim's number; give that"),
        ("r = {C1}.", "r = {C1}, shuffled {C2_control}.", 11, "{C2} stands for a claim's number"),
        ("verdicts: {C1: holds}", "verdicts: {C1: proven}", 13, "'proven' is none of holds, "),
        ("    statement: Humans agree.\n", "    statement: [Humans, agree]\n", 31, "must be text"),
    ],
)
def test_faults_are_named_with_their_line(path, before, after, line, problem):
    assert before in FILE
    path.write_text(FILE.replace(before, after, 1), encoding="utf8")
    with pytest.raises(ClaimError, match=f"reproduction.yml:{line}:[0-9]+: .*{re.escape(problem)}"):
        load_claims(path)


def test_a_file_that_is_no_yaml_is_refused(path):
    path.write_text("paper: [", encoding="utf8")
    with pytest.raises(ClaimError, match=r"reproduction.yml:2:1: did not find expected"):
        load_claims(path)
