"""Prompts against their layout, maps and edits against brute force, cuts against identities, and planted faults."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Generator

from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.state_space import rank_one
from reproductions.common.verdicts import HOLDS, judge
from reproductions.mamba_rome import method
from reproductions.mamba_rome.method import (
    ASKING,
    CLAMP,
    END,
    EXAMS,
    FILLERS,
    LAST,
    NAME,
    ROLES,
    SITES,
    WAYS,
    Study,
    World,
    answer_logits,
    cut,
    directions,
    edited,
    exams,
    lesson,
    metrics,
    new_objects,
    probability,
    questions,
    second_moment,
    sought,
    study,
    taught,
    traced,
)

CLAIMS = load_claims(Path(method.__file__).with_name("reproduction.yml"))
BLOCKS = 6
KINDS = pytest.mark.parametrize("kind", list(SITES))


@cache
def world():
    return World.of(0, 24, 2, 4)


@cache
def net(kind):
    """A network that knows a small world."""
    return taught(kind, world(), 0, 32, BLOCKS, 120 if kind == "mamba" else 200)


@cache
def asked(kind):
    return questions(world(), net(kind), 8, 0)


def drawn(seed=0):
    return Generator().manual_seed(seed)


# The world


def test_names_are_shared_and_pairs_are_not():
    made = World.of(3, 60, 3, 10)
    assert len({tuple(pair) for pair in made.names.tolist()}) == 60
    for column in made.names.T:
        assert (column.unique(return_counts=True)[1] == 4).all()
    assert not set(made.names[:, 0].tolist()) & set(made.names[:, 1].tolist())
    for objects in made.objects.T:
        assert (objects.unique(return_counts=True)[1] == 6).all()
    assert made.held.sum() == 12
    assert len({*made.objects.flatten().tolist(), *made.names.flatten().tolist(), *made.asking.flatten().tolist()}) == (
        made.words - FILLERS
    )


def test_a_prompt_is_fillers_names_and_the_way_to_ask():
    facts = torch.tensor([[5, 1], [7, 0]])
    tokens = world().prompts(facts, torch.tensor([2, 0]), 2, drawn())
    assert tokens.shape == (2, 2 + 2 + ASKING) and (tokens[:, :2] < FILLERS).all()
    assert torch.equal(tokens[:, LAST - 1 : LAST + 1], world().names[[5, 7]])
    assert torch.equal(tokens[:, -ASKING:], torch.stack([world().asking[2, 1], world().asking[0, 0]]))
    assert tokens.shape[1] - 1 == len(ROLES)


class Listener:
    """Stands for a network, and keeps the prompts that it is taught."""

    def __init__(self):
        self.heard = []

    def start(self, tokens):
        self.heard.append(tokens)
        return torch.zeros(*tokens.shape, world().words)

    def run(self, h, first, taps):
        return h

    def read(self, h):
        return h


def test_what_is_held_out_is_not_taught_and_all_else_is_with_names_first_and_last():
    listener = Listener()
    for seed in range(100):
        lesson(world(), listener, drawn(seed))
    told = {tuple(prompt[-2 - ASKING :]) for tokens in listener.heard for prompt in tokens.tolist()}

    def asked_for(facts, ways):
        each = ((way, turned) for way in ways for turned in (False, True))
        prompts = (world().prompts(facts, way, 0, drawn(), turned=turned) for way, turned in each)
        return {tuple(prompt) for some in prompts for prompt in some.tolist()}

    held = asked_for(world().facts(held=True), [WAYS - 1])
    assert not told & held
    assert told == asked_for(world().facts(), range(WAYS)) - held


@KINDS
def test_questions_are_known_and_differ_in_the_names_alone(kind):
    some = asked(kind)
    assert len(set(some.facts[:, 0].tolist())) == len(some.facts)
    assert torch.equal(answer_logits(net(kind), some.clean).argmax(-1), some.answers)
    for other in (some.corrupted, some.stranger):
        assert (other != some.clean).any(0).tolist() == [False, True, True, False, False, False]
        assert (other[:, 1:3] != some.clean[:, 1:3]).all()
    assert (some.corrupted[:, 1:3] != some.stranger[:, 1:3]).all()


# Tracing


@KINDS
def test_maps_are_those_of_one_restored_state_after_the_other(kind):
    model, some = net(kind), asked(kind)
    for site in SITES[kind]:
        found = traced(model, some, site, some.clean)
        given = model.seen(some.clean, [f"2.{site}"])[f"2.{site}"][0]
        p_clean, p_other = (probability(answer_logits(model, x), some.answers) for x in (some.clean, some.corrupted))
        for place in (NAME, END):

            def restore(value, _, place=place, given=given):
                return torch.cat([value[:, :place], given[:, place : place + 1], value[:, place + 1 :]], 1)

            back = probability(model(some.corrupted, {f"2.{site}": restore})[:, -1], some.answers)
            assert found[2, place] == pytest.approx(float((back - p_other).sum() / (p_clean - p_other).sum()), abs=1e-4)


@KINDS
def test_what_comes_back_by_construction(kind):
    model, some = net(kind), asked(kind)
    found = traced(model, some, "resid", some.clean)
    torch.testing.assert_close(found[:, -1], torch.ones(BLOCKS), atol=1e-4, rtol=0)  # all states
    assert found[-1, END] == pytest.approx(1, abs=1e-4)  # the last state
    torch.testing.assert_close(found[-1, :END], torch.zeros(END), atol=1e-4, rtol=0)
    torch.testing.assert_close(found[:, 0], torch.zeros(BLOCKS), atol=1e-4, rtol=0)  # the same filler
    stranger = traced(model, some, "resid", some.stranger)
    assert (stranger[:, -1] < 0.3).all()  # a third subject's states do not bring it back


# Edits


def test_directions_write_to_the_key_and_to_little_else():
    keys, reads = torch.randn(5, 12, generator=drawn()).double(), torch.randn(400, 12, generator=drawn(1)).double()
    moment = reads.T @ reads / 400 * torch.linspace(0.1, 3, 12).double().outer(torch.linspace(0.1, 3, 12).double())
    found = directions(keys, moment)
    torch.testing.assert_close((found * keys).sum(-1), torch.ones(5).double())
    cost = ((found @ moment) * found).sum(-1)
    for seed in range(20):  # none that writes as much to the key changes other reads less
        off = torch.randn(5, 12, generator=drawn(seed + 2)).double()
        other = found + 0.1 * (off - (off * keys).sum(-1, keepdim=True) * keys / keys.square().sum(-1, keepdim=True))
        assert (((other @ moment) * other).sum(-1) > cost).all()


@KINDS
def test_an_edit_is_the_changed_matrix_fact_by_fact(kind):
    model, some, site = net(kind), asked(kind), "1.out"
    new = new_objects(world(), some.facts, drawn())
    tested = exams(world(), some.facts, new, drawn())
    value, read = (found[:, NAME] for found in model.seen(some.clean, [site])[site])
    delta, along = torch.randn(value.shape, generator=drawn()), directions(read, torch.eye(read.shape[-1]))
    weight = model.blocks[1].out.weight
    original, marks = weight.clone(), []
    for fact in range(len(new)):
        weight.copy_(original + torch.outer(delta[fact], along[fact]))
        torch.testing.assert_close(
            weight @ read[fact], original @ read[fact] + delta[fact], atol=1e-4, rtol=1e-4
        )  # W' k = v
        p = model(tested[1].tokens[fact])[:, -1].softmax(-1)
        marks.append((p[:, new[fact]] - p[:, some.answers[fact]]).mean())
    weight.copy_(original)
    assert tested[1].marks(model, site, along, delta) == pytest.approx(float(torch.stack(marks).mean()), abs=1e-4)


def test_exams_ask_what_they_say():
    facts = world().facts()[::6]
    new = new_objects(world(), facts, drawn())
    assert (new != world().answers(facts)).all()
    assert all(int(n) in world().objects[:, int(r)] for n, r in zip(new, facts[:, 1], strict=True))
    rewrite, paraphrase, neighbour, namesake = exams(world(), facts, new, drawn())
    for exam in (rewrite, paraphrase):
        assert (exam.wanted == new[:, None]).all() and (exam.unwanted == world().answers(facts)[:, None]).all()
    names = world().names[facts[:, 0]]
    assert (rewrite.tokens[:, 0, 1:3] == names).all()
    assert not torch.equal(paraphrase.tokens[:, 0, 3:], rewrite.tokens[:, 0, 3:])
    assert (neighbour.wanted == world().answers(facts)[:, None]).all()
    assert ((namesake.tokens[..., 1:3] == names[:, None]).sum(-1) == 1).all()
    assert ((neighbour.tokens[..., 1:3] == names[:, None]).sum(-1) < 2).all()


def test_the_value_sought_says_the_new_object_and_stays_within_bounds():
    model, some = net("mamba"), asked("mamba")
    new = new_objects(world(), some.facts, drawn())
    value = model.seen(some.clean, ["1.out"])["1.out"][0][:, NAME]
    delta, logits = sought(model, some.clean, "1.out", value, new)
    assert (delta.norm(dim=-1) <= CLAMP * value.norm(dim=-1) * 1.001).all()
    assert probability(logits, new).mean() > probability(answer_logits(model, some.clean), new).mean() + 0.1


def test_a_wrong_key_or_another_blocks_site_does_not_edit():
    """The faults that controls are for, on a network that was taught: block 0, where a value can be found."""
    model, some, site = net("mamba"), asked("mamba"), "0.out"
    new = new_objects(world(), some.facts, drawn())
    rewrite = exams(world(), some.facts, new, drawn())[0]
    value, key = (kept[:, NAME] for kept in model.seen(some.clean, [site])[site])
    delta, _ = sought(model, some.clean, site, value, new)
    moment = second_moment(model, world(), site, drawn())
    elsewhere = model.seen(some.clean, ["4.out"])["4.out"][1][:, NAME]
    wrong = {
        "nothing": 0 * key,
        "random": directions(torch.randn(key.shape, generator=drawn()), moment),
        "other": directions(key, moment).roll(1, 0),
        "block": directions(elsewhere, second_moment(model, world(), "4.out", drawn())),
    }
    marks = {name: rewrite.marks(model, site, along, delta) for name, along in wrong.items()}
    right_mark = rewrite.marks(model, site, directions(key, moment), delta)
    assert all(right_mark > mark + 0.15 for mark in marks.values()), (right_mark, marks)


def test_edits_that_are_examined_together_are_these():
    """Rank-one edits write what values say; with a wrong key they leave things as they are."""
    model, some, site = net("mamba"), asked("mamba"), "0.out"
    found = edited(world(), model, some.facts, site, 0)
    assert {name: len(marks) for name, marks in found.items()} == {"rome": 4, "other": 4, "plain": 4, "value": 1}
    assert found["rome"][0] > found["other"][0] + 0.15
    assert found["other"][EXAMS.index("neighbour")] > 0.3


# Cuts


@KINDS
def test_behind_a_cut_nothing_tells_subjects_apart(kind):
    model, some = net(kind), asked(kind)
    lost = cut(model, some, (1, 2), kind)
    assert lost[0] > 0.4  # of one; a guess among four objects is left
    assert cut(model, some, (), kind).abs().max() < 1e-5
    assert lost[0] >= lost[-1] - 0.05


def test_a_cut_in_the_transformer_is_attention_knocked_out():
    model, some = net("transformer"), asked("transformer")
    lost = cut(model, some, (NAME,), "transformer")

    def deaf(scores, _):
        scores = scores.clone()
        scores[:, :, NAME + 1 :, NAME] = -torch.inf
        return scores

    p = probability(model(some.clean, {"5.scores": deaf})[:, -1], some.answers)
    whole = probability(answer_logits(model, some.clean), some.answers)
    assert lost[5] == pytest.approx(float(1 - p.sum() / whole.sum()), abs=1e-4)


# Metrics and verdicts


def planted(kind, seed, shift=0, key="right", careful=True, recall=1.0):
    """A study of a network that does as the paper says.

    shift: states are restored so many tokens off; key: or the wrong one; careful: or edits change all subjects;
    recall: of facts, or few are known.
    """
    noise = 0.02 * torch.randn(BLOCKS, len(ROLES) + 1, generator=drawn(seed))
    states = torch.zeros(BLOCKS, len(ROLES) + 1) + noise
    states[:4, NAME + shift] += torch.tensor([0.5, 0.9, 0.8, 0.7])
    states[4:, END] += 0.9
    states[:, -1] = 1
    found = {"resid": states, "out": 0.7 * states, "gate": 0.1 * states}
    found |= {"attn": 0.3 * states, "ssm": states * (torch.arange(len(ROLES) + 1) == END)}
    found |= {f"{site}_stranger": noise for site in SITES[kind]}
    kept = 0.8 if careful else -0.8
    good, bad = torch.tensor([0.9, 0.7, kept, kept]), torch.tensor([-0.9, -0.9, 0.9, 0.9])
    marks = torch.stack([good, good, good, bad, bad]) + noise[:5, :4]
    edits = {"out_rome": marks if key == "right" else bad + noise[:5, :4], "out_other": bad + noise[:5, :4]}
    edits |= {"out_plain": marks, "out_value": 0.95 + noise[:5, :1]}
    lost = torch.tensor([1.0, 0.9, 0.8, 0.7, 0.3, 0.0]) + noise[:, 0]
    recall = {"taught": recall, "held_out": recall + float(noise[0, 2])}
    return Study(kind, recall, found, edits, {"subject": lost, "filler": noise[:, 1]})


def verdicts(**fault):
    found = metrics([planted(kind, 2 * seed + (kind == "mamba"), **fault) for seed in range(4) for kind in SITES])
    return {j.claim.id: j.verdict for j in judge(CLAIMS, {metric.name: metric for metric in found}, "quick")}


def test_what_the_paper_says_holds_where_it_is_planted():
    found = verdicts()
    assert {id for id, verdict in found.items() if verdict != HOLDS} == {"K2", "L1", "E6", "E7"}


def test_states_restored_one_token_off_are_not_taken_for_the_subjects():
    for shift in (-1, 1):
        found = verdicts(shift=shift)
        assert HOLDS not in {found["T0"], found["T1"], found["T3"]}


def test_a_wrong_key_is_not_taken_for_an_edit():
    found = verdicts(key="wrong")
    assert HOLDS not in {found[claim] for claim in ("E1", "E2", "E3", "E4", "E5", "S2")}


def test_edits_of_all_subjects_at_once_are_not_taken_for_edits_of_one():
    found = verdicts(careful=False)
    assert HOLDS not in {found["E3"], found["E4"]}
    assert found["E1"] == HOLDS


def test_networks_that_know_next_to_nothing_show_nothing_of_how_facts_are_kept():
    """The other claims have positive controls that such a network fails: values, and cuts."""
    found = verdicts(recall=0.1)
    assert HOLDS not in {found[claim] for claim in ("T0", "T2", "T3", "T4", "E3", "E4", "E5", "S1")}


def test_maps_that_are_alike_in_tokens_alone_are_not_alike():
    flat = [planted(kind, 2 * seed + (kind == "mamba")) for seed in range(4) for kind in SITES]
    for seed, some in enumerate(flat):
        some.traced["resid"][:-1, NAME] = 0.5 + 0.1 * torch.randn(BLOCKS - 1, generator=drawn(seed))
        some.traced["resid"][:-1, END] = 0
    found = {metric.name: metric for metric in metrics(flat)}
    assert {j.claim.id: j.verdict for j in judge(CLAIMS, found, "quick")}["S1"] != HOLDS


@KINDS
def test_a_study_has_all_that_is_asked_of_it(kind):
    found = study(kind, 1, (24, 1, 4), (32, BLOCKS), 20, 4, matrices=True)
    assert set(found.traced) == {*SITES[kind], *(f"{site}_stranger" for site in SITES[kind])}
    sites = ("out", "up", "gate_up", "again") if kind == "mamba" else ("out",)
    assert {name.rpartition("_")[0] for name in found.edits} == set(sites)
    assert found.edits["out_rome"].shape == (BLOCKS - 1, len(EXAMS))
    assert found.cuts["subject"].shape == (BLOCKS,)


def test_a_network_that_was_taught_next_to_nothing_is_asked_all_the_same():
    made = World.of(5, 41, 1, 20)
    some = questions(made, taught("transformer", made, 5, 16, BLOCKS, 1), 100, 5)
    assert len(some.facts) == 41 and len(set(some.facts[:, 0].tolist())) == 41
    tested = exams(made, some.facts, new_objects(made, some.facts, drawn()), drawn())
    assert [len(exam.tokens) for exam in tested] == [41] * 4


def test_what_is_reported_is_what_is_declared():
    reported = {metric.name for metric in metrics([planted(kind, seed) for seed in range(2) for kind in SITES])}
    assert reported == {name for name in CLAIMS.metrics if name in reported}
    assert {claim.metric for claim in CLAIMS.claims if claim.metric and not claim.full_only} <= reported


def test_figures_and_the_explorer_can_be_drawn():
    studies = [planted(kind, seed) for seed in range(2) for kind in SITES]
    assert explorers.text("grid", method.grid(studies))
    assert len(method.draw_traces(studies).axes) == 9 and len(method.draw_edits(studies).axes) == 3


def test_a_rank_one_tap_is_what_edits_are_made_of():
    value, read, along, delta = torch.zeros(2, 3, 4), torch.randn(2, 3, 5), torch.randn(2, 5), torch.randn(2, 4)
    found = rank_one(along, delta)(value, read)
    torch.testing.assert_close(found[1, 2], delta[1] * (read[1, 2] @ along[1]))
