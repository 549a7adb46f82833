"""Ablation through cached and padded prompts against whole forward passes with zeroed heads."""

import math
from dataclasses import replace

import pytest
import torch

from reproductions.head_mapping import ablation
from reproductions.head_mapping.ablation import (
    Ablation,
    Control,
    Plan,
    ablate,
    ablate_relations,
    control_tasks,
    layer_matched,
    ranked_heads,
)
from reproductions.head_mapping.dynamic import Prompt
from reproductions.head_mapping.method import Heads, Pairs, static_hits
from reproductions.head_mapping.tasks import Answers, HeadMask, Tasks, every_head
from tests.head_mapping.test_method import MODELS, relation
from tests.head_mapping.tiny import tiny_llama, word_tokenizer

PROMPTS = {"long": "w5 w9 w11 w3 {} w6 w8", "short": "w7 {}", "middle": "w5 w9 {} w6"}  # padded in both places


def tasks_with_answers(mask, prompts=PROMPTS, n: int = 12) -> tuple[Tasks, dict[str, torch.Tensor]]:
    """Tasks whose targets are what the model answers anyway, for about two prompts in three; and their prompts."""
    made = {
        name: replace(relation(name, [(source, source) for source in range(20, 20 + n)]), prompt=prompt)
        for name, prompt in prompts.items()
    }
    pairs = Pairs.of(made, word_tokenizer(), most=n)
    filled, answers = {}, []
    for place, (name, prompt) in enumerate(prompts.items()):
        own = Prompt.of(prompt, word_tokenizer()).fill(pairs.source[pairs.relation == place][:, None])
        filled[name] = own
        answers.append(mask.model.original_model(own, use_cache=False).logits[:, -1].argmax(-1))
    target = torch.cat(answers)
    target[::3] = 1
    return Tasks.of(mask, made, replace(pairs, target=target)), filled


def zeroing(model, removed):
    """Hooks that set heads' z to zero at the last position."""

    def zero(z, hook):
        layer = int(hook.name.split(".")[1])
        for other, head in removed:
            if other == layer:
                z[:, -1, head] = 0.0
        return z

    return [(f"blocks.{layer}.attn.hook_z", zero) for layer in range(len(model.blocks))]


@pytest.mark.parametrize("name", MODELS)
def test_padded_and_cached_ablation_equals_whole_passes_with_zeroed_heads(name):
    model = MODELS[name]()
    removals = [[], [(0, 1)], [(1, 0), (1, 3)], [(0, h) for h in range(4)]]
    with HeadMask(model) as mask:
        tasks, filled = tasks_with_answers(mask)
        answers = tasks.answers({"short": removals, "long": removals[:2], "middle": removals[::-1]})
        for task in PROMPTS:
            assert tasks.base(task).accuracy == pytest.approx(8 / 12)
        mask.kept = None

    for task, own in (("short", removals), ("long", removals[:2]), ("middle", removals[::-1])):
        target = tasks.target[tasks.rows(task)]
        for removed, found in zip(own, answers[task], strict=True):
            with model.hooks(fwd_hooks=zeroing(model, removed)):
                logits = model.original_model(filled[task], use_cache=False).logits[:, -1]
            log_prob = logits.log_softmax(-1).gather(1, target[:, None])
            wanted = Answers((logits.argmax(-1) == target).float().mean().item(), log_prob.mean().item())
            assert found == pytest.approx(wanted, abs=1e-4)
    assert len({found.accuracy for found in answers["short"]}) > 1


@pytest.fixture
def tasks():
    with HeadMask(tiny_llama()) as mask:
        yield tasks_with_answers(mask)[0]


def test_a_mask_leaves_the_model_as_it_was():
    model, tokens = tiny_llama(), torch.tensor([[3, 4, 5]])
    before = model.original_model(tokens, use_cache=False).logits
    with HeadMask(model) as mask:
        mask.kept = mask.keeping([[(1, 1)]])
        assert not torch.equal(model.original_model(tokens, use_cache=False).logits, before)
    assert torch.equal(model.original_model(tokens, use_cache=False).logits, before)


def test_small_batches_and_fewer_tasks_give_the_same(tasks, monkeypatch):
    removals = {"long": [[(layer, head)] for layer in range(3) for head in range(4)], "middle": [[(2, 2)]]}
    whole = tasks.answers(removals)
    monkeypatch.setattr("reproductions.head_mapping.tasks.BATCH_ROWS", 7)
    for found in (tasks.answers(removals), tasks.select(["middle", "long"]).answers(removals)):
        for name in removals:
            for one, expected in zip(found[name], whole[name], strict=True):
                assert one == pytest.approx(expected, abs=1e-5)


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


def test_counts_are_cut_to_the_heads_there_are(tasks):
    heads = [(0, 0), (1, 1)]
    (found,) = ablate(tasks, {"middle": Plan.of(heads, [1, 5, 9], [[(2, 0), (2, 1)]])})
    removals = [heads[:1], heads, [(2, 0)], [(2, 0), (2, 1)], every_head((3, 4))]
    one, two, first, both, none = tasks.answers({"middle": removals})["middle"]
    base = tasks.base("middle")
    assert (found.relation, found.n_pairs, found.base) == ("middle", 12, base.accuracy)
    assert found.counts == (1, 2)
    assert found.curve == (one.accuracy, two.accuracy)
    assert found.random == ((first.accuracy, both.accuracy),)
    assert found.all_heads == none.accuracy
    assert found.relation_nats == pytest.approx(base.log_prob - two.log_prob, abs=1e-5)
    assert found.random_nats == pytest.approx(base.log_prob - both.log_prob, abs=1e-5)


def test_tasks_the_model_cannot_do_are_left_out():
    model = tiny_llama()
    impossible = relation("no", [(source, 1) for source in range(20, 60)], top_k=1300)
    pairs = Pairs.of({"no": impossible}, word_tokenizer(), most=40)
    promoted = static_hits(Heads.of(model), pairs).promoted
    assert ablate_relations(model, {"no": impossible}, pairs, promoted, seed=0, counts=[2], draws=2) == []


def test_control_tasks_are_other_tasks_about_as_easy_with_few_heads_in_common():
    """b is a control of a; c shares a's heads, d is much harder."""
    heads = {"a": ((0, 0), (0, 1)), "b": ((1, 1),), "c": ((0, 0), (2, 2)), "d": ((2, 3),)}
    plans = {name: Plan.of(own, [30], []) for name, own in heads.items()}
    bases = {name: Answers(accuracy, -1.0) for name, accuracy in zip(heads, (0.8, 0.9, 0.8, 0.2), strict=True)}
    assert control_tasks("a", plans, bases) == ["b"]
    assert control_tasks("b", plans, bases) == ["a", "c"]
    assert control_tasks("d", plans, bases) == []


def test_control_tasks_lose_what_they_lose_without_the_heads_in_question(tasks, monkeypatch):
    """Three relations; each of the first two is made the control of the other."""
    pair = {"long": "short", "short": "long"}
    monkeypatch.setattr(ablation, "control_tasks", lambda name, plans, bases: [pair[name]] if name in pair else [])
    heads = {"long": ((0, 0), (1, 1)), "short": ((2, 2),), "middle": ((2, 3),)}
    drawn = {"long": ((0, 2), (1, 3)), "short": ((2, 0),), "middle": ((0, 1),)}
    found = ablate(tasks, {name: Plan.of(heads[name], [2], [drawn[name]]) for name in heads})
    assert [one.relation for one in found] == list(heads)
    assert found[2].controls == ()
    for result in found[:2]:
        name, other = result.relation, pair[result.relation]
        own, random = tasks.answers({other: [heads[name], drawn[name]]})[other]
        base = tasks.base(other)
        (control,) = result.controls
        assert control.drop == pytest.approx(1 - own.accuracy / base.accuracy)
        assert control.drop_random == pytest.approx(1 - random.accuracy / base.accuracy)
        assert control.nats == pytest.approx(base.log_prob - own.log_prob, abs=1e-5)
