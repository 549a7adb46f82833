"""Ablation through the cached prefix against whole forward passes with zeroed heads."""

import math
from dataclasses import replace

import pytest
import torch

from reproductions.head_mapping import ablation
from reproductions.head_mapping.ablation import (
    Ablation,
    Answers,
    Control,
    HeadMask,
    Task,
    ablate,
    ablate_relations,
    control_tasks,
    every_head,
    layer_matched,
    ranked_heads,
)
from reproductions.head_mapping.dynamic import Prompt
from reproductions.head_mapping.method import Heads, Pairs, static_hits
from tests.head_mapping.test_method import MODELS, relation
from tests.head_mapping.tiny import tiny_llama, word_tokenizer


def task_with_answers(mask, n: int = 12, prompt: str = "w5 w9 {} w6") -> tuple[Task, torch.Tensor]:
    """A task whose targets are what the model answers anyway, for about two prompts in three."""
    made = replace(relation("r", [(source, source) for source in range(20, 20 + n)]), prompt=prompt)
    pairs = Pairs.of({"r": made}, word_tokenizer(), most=n)
    tokens = Prompt.of(made.prompt, word_tokenizer()).fill(pairs.source[:, None])
    answers = mask.model.original_model(tokens, use_cache=False).logits[:, -1].argmax(-1)
    answers[::3] = 1
    task = Task.of(mask, made, pairs)
    return replace(task, target=answers), tokens


@pytest.mark.parametrize("prompt", ["w5 w9 {} w6 w8", "w5 {}"])
@pytest.mark.parametrize("name", MODELS)
def test_cached_ablation_equals_a_whole_pass_with_zeroed_heads(name, prompt):
    model = MODELS[name]()
    with HeadMask(model) as mask:
        task, tokens = task_with_answers(mask, prompt=prompt)
        answers = task.answers(removals := [[], [(0, 1)], [(1, 0), (1, 3)], [(0, h) for h in range(4)]])
        assert task.base.accuracy == answers[0].accuracy == pytest.approx(8 / 12)

    def zeroing(removed):
        def zero(z, hook):
            layer = int(hook.name.split(".")[1])
            for other, head in removed:
                if other == layer:
                    z[:, -1, head] = 0.0
            return z

        return [(f"blocks.{layer}.attn.hook_z", zero) for layer in range(len(model.blocks))]

    expected = []
    for removed in removals:
        with model.hooks(fwd_hooks=zeroing(removed)):
            logits = model.original_model(tokens, use_cache=False).logits[:, -1]
        log_prob = logits.log_softmax(-1).gather(1, task.target[:, None])
        expected.append(Answers((logits.argmax(-1) == task.target).float().mean().item(), log_prob.mean().item()))
    for found, wanted in zip(answers, expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-4)
    assert len({wanted.accuracy for wanted in expected}) > 1


@pytest.fixture
def task():
    with HeadMask(tiny_llama()) as mask:
        yield task_with_answers(mask)[0]


def test_a_mask_leaves_the_model_as_it_was():
    model, tokens = tiny_llama(), torch.tensor([[3, 4, 5]])
    before = model.original_model(tokens, use_cache=False).logits
    with HeadMask(model) as mask:
        mask.remove([[(1, 1)]], n_prompts=1)
        assert not torch.equal(model.original_model(tokens, use_cache=False).logits, before)
    assert torch.equal(model.original_model(tokens, use_cache=False).logits, before)


def test_many_ablations_in_small_batches_give_the_same(task, monkeypatch):
    removals = [[(layer, head)] for layer in range(3) for head in range(4)]
    whole = task.answers(removals)
    monkeypatch.setattr("reproductions.head_mapping.ablation.BATCH_ROWS", 24)
    for found, expected in zip(task.answers(removals), whole, strict=True):
        assert found == pytest.approx(expected, abs=1e-5)


def test_ranking_is_by_score_then_by_place_and_leaves_out_zeros():
    phi = torch.tensor([[0.0, 0.5], [0.9, 0.5]])
    assert ranked_heads(phi, most=10) == [(1, 0), (0, 1), (1, 1)]
    assert ranked_heads(phi, most=1) == [(1, 0)]


def test_random_heads_lie_in_the_same_layers_and_never_among_the_forbidden():
    heads = [(0, 0), (0, 1), (2, 3)]
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        drawn = layer_matched(heads, set(heads), (3, 4), generator)
        assert sorted(layer for layer, _ in drawn) == [0, 0, 2]
        assert not set(drawn) & set(heads)
        assert len(set(drawn)) == 3


def test_random_heads_spill_into_the_nearest_layer():
    heads = [(0, head) for head in range(3)]
    drawn = layer_matched(heads, set(heads), (3, 4), torch.Generator().manual_seed(0))
    assert sorted(layer for layer, _ in drawn) == [0, 1, 1]


def made(relation_name="r", heads=((0, 0),), base=0.8, **fields) -> Ablation:
    given = {
        "n_pairs": 10,
        "drawn": ((1, 1),),
        "counts": (1, 3),
        "curve": (0.6, 0.2),
        "random": ((0.8, 0.8), (0.8, 0.4)),
        "all_heads": 0.0,
        "relation_nats": 3.0,
        "random_nats": 0.5,
    }
    return Ablation(relation_name, heads=heads, base=base, **(given | fields))


def test_drops_are_shares_of_the_base_accuracy():
    assert made().relation_drop == pytest.approx(0.75)
    assert made().random_drop == pytest.approx(0.25)
    assert made().all_drop == pytest.approx(1.0)


def test_gaps_compare_the_own_task_with_the_mean_of_its_control_tasks():
    found = made(controls=(Control(0.1, 0.0, 1.0), Control(0.3, 0.2, 2.0)))
    assert found.control_gap == pytest.approx(0.75 - 0.2)
    assert found.control_gap_random == pytest.approx(0.0 - 0.1)  # of the first draw
    assert found.control_nats == pytest.approx(3.0 - 1.5)
    assert math.isnan(made().control_gap)


def test_counts_are_cut_to_the_heads_there_are(task):
    heads = [(0, 0), (1, 1)]
    found = ablate(task, "r", heads, [1, 5, 9], [[(2, 0), (2, 1)]])
    one, two, first, both, none = task.answers([heads[:1], heads, [(2, 0)], [(2, 0), (2, 1)], every_head((3, 4))])
    assert found.counts == (1, 2)
    assert found.curve == (one.accuracy, two.accuracy)
    assert found.random == ((first.accuracy, both.accuracy),)
    assert found.all_heads == none.accuracy
    assert found.relation_nats == pytest.approx(task.base.log_prob - two.log_prob, abs=1e-5)
    assert found.random_nats == pytest.approx(task.base.log_prob - both.log_prob, abs=1e-5)


def test_tasks_the_model_cannot_do_are_left_out():
    model = tiny_llama()
    impossible = relation("no", [(source, 1) for source in range(20, 60)], top_k=1300)
    pairs = Pairs.of({"no": impossible}, word_tokenizer(), most=40)
    promoted = static_hits(Heads.of(model), pairs).promoted
    assert ablate_relations(model, {"no": impossible}, pairs, promoted, seed=0, counts=[2], draws=2) == []


def test_control_tasks_are_other_tasks_about_as_easy_with_few_heads_in_common():
    """b is a control of a; c shares a's heads, d is much harder."""
    a, b = made("a", ((0, 0), (0, 1))), made("b", ((1, 1),), 0.9)
    found = [a, b, made("c", ((0, 0), (2, 2))), made("d", ((2, 3),), 0.2)]
    assert control_tasks(a, found) == ["b"]
    assert control_tasks(b, found) == ["a", "c"]
    assert control_tasks(found[3], found) == []


def test_control_tasks_lose_what_they_lose_without_the_heads_in_question(task, monkeypatch):
    """Two relations of the same task; each is made the control of the other."""
    monkeypatch.setattr(ablation, "control_tasks", lambda own, found: [o.relation for o in found if o is not own])
    heads = {"a": ((0, 0), (1, 1)), "b": ((2, 2),)}
    drawn = {"a": ((0, 2), (1, 3)), "b": ((2, 0),)}
    found = [made(name, heads[name], drawn=drawn[name]) for name in heads]
    first, second = ablation._with_controls(found, {name: replace(task) for name in heads})
    for result, name in ((first, "a"), (second, "b")):
        own, random = task.answers([heads[name], drawn[name]])
        (control,) = result.controls
        assert control.drop == pytest.approx(1 - own.accuracy / task.base.accuracy)
        assert control.drop_random == pytest.approx(1 - random.accuracy / task.base.accuracy)
        assert control.nats == pytest.approx(task.base.log_prob - own.log_prob, abs=1e-5)
