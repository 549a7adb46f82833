"""Ablation through the cached prefix against whole forward passes with zeroed heads."""

from dataclasses import replace

import pytest
import torch

from reproductions.head_mapping import ablation
from reproductions.head_mapping.ablation import (
    Ablation,
    HeadMask,
    Task,
    ablate,
    ablate_relations,
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
    return Task(mask, task.last, answers, task.cache), tokens


@pytest.mark.parametrize("prompt", ["w5 w9 {} w6 w8", "w5 {}"])
@pytest.mark.parametrize("name", MODELS)
def test_cached_ablation_equals_a_whole_pass_with_zeroed_heads(name, prompt):
    model = MODELS[name]()
    with HeadMask(model) as mask:
        task, tokens = task_with_answers(mask, prompt=prompt)
        base, *rest = task.accuracies(removals := [[], [(0, 1)], [(1, 0), (1, 3)], [(0, h) for h in range(4)]])
        assert task.accuracy() == task.base == base == pytest.approx(8 / 12)

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
        expected.append(float((logits.argmax(-1) == task.target).float().mean()))
    assert [base, *rest] == pytest.approx(expected)
    assert len(set(expected)) > 1


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
    whole = task.accuracies(removals)
    monkeypatch.setattr("reproductions.head_mapping.ablation.BATCH_ROWS", 24)
    assert task.accuracies(removals) == pytest.approx(whole)


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


def test_drops_are_shares_of_the_base_accuracy():
    made = Ablation("r", 10, ((0, 0),), 0.8, (1, 3), (0.6, 0.2), ((0.8, 0.8), (0.8, 0.4)))
    assert made.relation_drop == pytest.approx(0.75)
    assert made.random_drop == pytest.approx(0.25)


def test_counts_are_cut_to_the_heads_there_are(task):
    heads = [(0, 0), (1, 1)]
    found = ablate(task, "r", heads, [1, 5, 9], [[(2, 0), (2, 1)]])
    assert found.counts == (1, 2)
    assert found.curve == (task.accuracy(heads[:1]), task.accuracy(heads))
    assert found.random == ((task.accuracy([(2, 0)]), task.accuracy([(2, 0), (2, 1)])),)


def test_tasks_the_model_cannot_do_are_left_out():
    model = tiny_llama()
    impossible = relation("no", [(source, 1) for source in range(20, 60)], top_k=1300)
    pairs = Pairs.of({"no": impossible}, word_tokenizer(), most=40)
    promoted = static_hits(Heads.of(model), pairs).promoted
    assert ablate_relations(model, {"no": impossible}, pairs, promoted, seed=0, counts=[2], draws=2) == []


def test_control_tasks_are_other_tasks_about_as_easy_with_few_heads_in_common(monkeypatch):
    """b is a control of a; c shares a's heads, d is much harder."""
    with HeadMask(tiny_llama()) as mask:
        made = task_with_answers(mask)[0]
        tasks = {name: replace(made) for name in "abcd"}
    for name, base in {"a": 0.8, "b": 0.9, "c": 0.8, "d": 0.2}.items():
        tasks[name].__dict__["base"] = base
    heads = {"a": [(0, 0), (0, 1)], "b": [(1, 1)], "c": [(0, 0), (2, 2)], "d": [(2, 3)]}
    monkeypatch.setattr(Task, "accuracies", lambda _, removals: [0.45 for _ in removals])
    drops = ablation._control_drops(tasks, heads)
    assert drops["a"] == (pytest.approx(1 - 0.45 / 0.9),)
    assert drops["b"] == (pytest.approx(1 - 0.45 / 0.8), pytest.approx(1 - 0.45 / 0.8))
    assert drops["d"] == ()
