"""Writing, reading and counting against brute force, plain passes, hand-made cases and identities."""

import json
import math
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from reproductions import patchscopes
from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.edits import unembed
from reproductions.common.errors import UserError
from reproductions.common.excerpts import Texts
from reproductions.common.metrics import plain
from reproductions.patchscopes import method
from reproductions.patchscopes.method import (
    Asked,
    Cards,
    Contexts,
    Found,
    Reading,
    Target,
    affine_maps,
    ask,
    asked_metrics,
    describe,
    draw,
    evenly,
    identity_error,
    layer_metrics,
    likeliest,
    measure,
    states_at,
    states_in,
)
from tests.common.tiny_bridge import LAYERS, WIDTH, random_tokens
from tests.patchscopes.planted import answered, planted, reading, rising, truth

WORDS = ["w7", "w8", "w9", "w10"]


@pytest.fixture(autouse=True)
def tiny_words(monkeypatch):
    """Prompts of the few words that tiny models have."""
    monkeypatch.setattr(method, "X", "w40")
    monkeypatch.setattr(method, "IDENTITY", "w1 w2 w1 w3 w2 w3 w4")
    monkeypatch.setattr(method, "SENTENCES", ["w5 w6 w3 {}", "w6 w1 w2 w9 {}"])
    shown = ["w1 w2 w3 w4", "w1 w5 w3 w6"]
    columns = {"capital": 0, "language": 1, "description": None}
    monkeypatch.setattr(method, "RELATIONS", {name: (shown, "w1 {} w3", place) for name, place in columns.items()})
    monkeypatch.setattr(method, "COUNTRIES", {word: (f"w{20 + k}", f"w{30 + k}") for k, word in enumerate(WORDS)})
    monkeypatch.setattr(method, "ENTITIES", WORDS)


@pytest.fixture(scope="module")
def texts():
    return Texts(random_tokens(12, method.LAST), torch.arange(6).repeat_interleave(2))


def hooked_finals(model, tokens, place, layer, states):
    """Plain passes over the whole target prompt, with a hook of torch on one block."""

    def hook(_, args, output):
        x = (output[0] if isinstance(output, tuple) else output).clone()
        x[:, place] = states
        return (x, *output[1:]) if isinstance(output, tuple) else x

    handle = model.blocks[layer].register_forward_hook(hook)
    try:
        base = model.original_model.base_model
        return base(tokens.expand(len(states), -1), use_cache=False).last_hidden_state[:, -1]
    finally:
        handle.remove()


# Writing


@pytest.mark.parametrize("place", [-1, -2, -4])
@pytest.mark.parametrize("layer", range(LAYERS))
def test_written_states_are_those_of_a_hook(model, layer, place):
    tokens, states = random_tokens(1, 14), torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(0))
    found = Target(model, tokens[0, :place], tokens[:, place:]).write(states, layer)
    torch.testing.assert_close(found, hooked_finals(model, tokens, place, layer, states), atol=1e-4, rtol=1e-4)
    if layer < LAYERS - 1 or place == -1:  # behind the last block nothing is handed on
        assert (found - found[0]).abs().max() > 1e-2


def test_a_state_written_back_changes_nothing(model, texts):
    read = Contexts.of(model, texts)
    assert identity_error(model, read) < 1e-4
    moved = Contexts(read.tokens, read.ends, read.text, read.states.roll(1, 1), read.truth)
    moved.states[-1] = read.states[-1]
    assert identity_error(model, moved) > 1e-2


def test_behind_the_last_block_it_is_the_logit_lens(model):
    states = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(0))
    target = Target.of(model, method.IDENTITY)
    torch.testing.assert_close(target.write(states, LAYERS - 1), model.ln_final(states))


def test_the_identity_prompt_is_written_to_at_its_end(model):
    target = Target.of(model, "w1 w2 w3")
    assert target.follows.tolist() == [[4]] and target.shared.tolist() == model.to_tokens("w1 w2")[0].tolist()
    assert Target.of(model, "w1 w2 w1 w3 w4", "w1").follows.tolist() == [[2, 4, 5]]


def test_going_on_from_own_states_is_what_the_model_writes(model):
    tokens = random_tokens(1, 9)
    target = Target(model, tokens[0, :-1], tokens[:, -1:])
    own = states_at(model, tokens, torch.tensor([-1]))[1]
    expected = tokens
    for _ in range(4):
        best = model.original_model(expected, use_cache=False).logits[:, -1].argmax(-1, keepdim=True)
        expected = torch.cat([expected, best], dim=1)
    assert torch.equal(target.go_on(own.repeat(3, 1), 1, 4), expected[:, -4:].repeat(3, 1))


# Reading


def test_contexts_are_read_at_their_ends(model, texts):
    read = Contexts.of(model, texts)
    for row, (tokens, end) in enumerate(zip(texts.tokens, read.ends.tolist(), strict=True)):
        whole = model.original_model(tokens[None, : end + 1], output_hidden_states=True)
        for layer, states in enumerate(whole.hidden_states[1:-1]):  # the last is normed
            torch.testing.assert_close(read.states[layer, row], states[0, -1], atol=1e-4, rtol=1e-4)
        assert read.truth[row] == whole.logits[0, -1].argmax()
    assert read.ends.min() >= method.FIRST and read.ends.max() < method.LAST


def test_all_methods_agree_with_plain_passes(model, texts):
    read = Contexts.of(model, texts)
    found = measure(model, read, affine_maps(model, texts))
    prompt = model.to_tokens(method.IDENTITY)
    for layer in range(LAYERS):
        finals = hooked_finals(model, prompt, -1, layer, read.states[layer])
        log_p = model.original_model.lm_head(finals).log_softmax(-1)
        own = found.readings["identity"]
        torch.testing.assert_close(own.surprisal[layer], -log_p[:, read.truth], atol=1e-3, rtol=1e-3)
        assert torch.equal(own.top[layer, :, 0], log_p.argmax(-1))
    last = {name: found.own(found.hits(name))[-1].mean() for name in method.METHODS}
    assert last["identity"] == last["lens"] == last["affine"] == 1


def test_logits_in_parts_are_the_same(model, texts, monkeypatch):
    read = Contexts.of(model, texts)
    finals = [model.ln_final(x) for x in read.states]
    whole = Reading.of(model, finals, read.truth)
    monkeypatch.setattr(method, "ROWS", 5)
    parts = Reading.of(model, finals, read.truth)
    assert torch.equal(whole.top, parts.top) and torch.equal(likeliest(model, finals[0]), whole.top[0, :, 0])
    torch.testing.assert_close(whole.surprisal, parts.surprisal)


def test_affine_maps_bring_states_to_the_final_ones(model):
    """The later the layer, the better, on texts that they were not fitted on; and better than the mean."""
    fitted = Texts(random_tokens(40, 128), torch.arange(40))
    other = Contexts.of(model, Texts(random_tokens(40, method.LAST, seed=1), torch.arange(40)))
    finals = other.states[-1]
    maps = affine_maps(model, fitted)
    errors = [(linear(x) - finals).square().mean() for linear, x in zip(maps, other.states, strict=True)]
    assert errors[0] > errors[1] > errors[2]
    torch.testing.assert_close(maps[2](finals), finals, atol=1e-2, rtol=1e-2)
    assert errors[0] < (finals - finals.mean(0)).square().mean()


# Counting


def test_own_and_shuffled_by_hand():
    """Three contexts, two of one text: those of the same text are no control of each other."""
    found = Found({}, torch.tensor([0, 0, 1]), torch.tensor([5, 6, 5]))
    values = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])  # by state and token
    assert found.own(values).tolist() == [1, 5, 9]
    assert found.shuffled(values).tolist() == [7, 8, 4.5]
    assert found.by_text(torch.tensor([1.0, 2, 7])) == [1.5, 7]


def test_hits_and_unbroken_runs_by_hand():
    top = torch.tensor([[5, 6], [5, 5], [6, 6], [5, 6]])[..., None]
    found = Found({"lens": Reading(top, torch.zeros(4, 2, 2))}, torch.tensor([0, 1]), torch.tensor([5, 6]))
    assert found.own(found.hits("lens")).tolist() == [[1, 1], [1, 0], [0, 1], [1, 1]]
    assert found.shuffled(found.hits("lens")).tolist() == [[0, 0], [1, 0], [0, 1], [0, 0]]
    assert found.own(found.unbroken("lens")).tolist() == [1 / 4, 2 / 4]


def test_gains_by_hand():
    """Two target layers, two source layers, three entities, the last two with the same answer; 2 without a state."""
    said = torch.tensor([[[1, 2, 0], [0, 0, 0]], [[0, 0, 0], [2, 1, 2]]])[None]
    asked = Asked(["a", "b", "c"], [0, 1], torch.tensor([1, 2, 2]), torch.tensor([True, True, False]), 2, said, said)
    own, other = asked.gains(said)
    assert own[:2].tolist() == [0.5, 0.5 - 1] and math.isnan(own[2])
    assert other[:2].tolist() == [(0.5 + 0) / 2, 0.5 - 1] and math.isnan(other[2])
    assert asked.by_layer().tolist() == [[1.0, 0], [0, 0.0]]


def test_what_middle_states_have_beyond_the_first_by_hand():
    """Three layers, so that the middle one counts: written there, each middle state gives its answer, the second's also
    for the first layer."""
    said = torch.zeros(1, 3, 3, 3, dtype=torch.long)
    said[0, 1, 1] = torch.tensor([1, 2, 1])
    said[0, 1, 0] = torch.tensor([0, 2, 0])
    asked = Asked(["a", "b", "c"], [0, 1, 2], torch.tensor([1, 2, 3]), torch.ones(3, dtype=torch.bool), 0, said, said)
    own, other = asked.enriched()
    assert own.tolist() == [1, 0, 0] and other.tolist() == [0.5, 0, 0]


def test_layers_are_spread_evenly():
    assert evenly(30, 3) == [5, 15, 25] and evenly(3, 16) == [0, 1, 2]


# Asking


def test_asking_writes_each_layer_to_each(model):
    names = WORDS
    asked = ask(model, "capital", 3, sentences=2)
    shown, question, _ = method.RELATIONS["capital"]
    prompt = model.to_tokens(" ".join([*shown, question]).format("w40"))
    at = int((prompt[0] == method.token(model, "w40")).nonzero()[-1])
    for sentence in range(2):
        states = states_in(model, method.SENTENCES[sentence], names, range(LAYERS))
        for target in range(LAYERS):
            for source in range(LAYERS):
                finals = hooked_finals(model, prompt, at, target, states[source])
                assert torch.equal(asked.said[sentence, target, source], likeliest(model, finals))
    assert asked.plain == model.original_model(prompt).logits[0, -1].argmax()


def test_names_are_read_where_they_stand(model):
    states = states_in(model, "w1 w2 {} w3", ["w4", "w40"], [1])
    for row, word in enumerate(("w4", "w40")):
        whole = model.original_model(model.to_tokens(f"w1 w2 {word}"), output_hidden_states=True)
        torch.testing.assert_close(states[0, row], whole.hidden_states[2][0, -1], atol=1e-4, rtol=1e-4)


def test_descriptions_go_on_behind_a_plain_pass(model):
    found = describe(model, WORDS, evenly(LAYERS, 2), most=3)
    assert found.shape == (2, 4, 3)
    shown, question, _ = method.RELATIONS["description"]
    prompt = model.to_tokens(" ".join([*shown, question]).format("w40"))
    at = int((prompt[0] == method.token(model, "w40")).nonzero()[-1])
    for row, layer in enumerate(evenly(LAYERS, 2)):
        states = states_in(model, method.SENTENCES[0], WORDS, [layer])[0]
        first = hooked_finals(model, prompt, at, layer, states)
        assert torch.equal(found[row, :, 0], likeliest(model, first))
        whole = torch.cat([prompt, found[row, :1, :2]], 1)
        third = hooked_finals(model, whole, at, layer, states[:1])
        assert found[row, 0, 2] == unembed(model, third).argmax()


# What is shown


def test_what_a_run_reports_is_what_was_declared():
    found, asked = planted(*[reading(truth(), rising(0.5))] * 3), answered(0.5)
    declared = load_claims(Path(patchscopes.__file__).with_name("reproduction.yml")).metrics
    asked_all = {"capital": asked, "language": asked, "description": asked}
    reported = [*layer_metrics(found), *asked_metrics(asked_all), plain("identity", 0.0, 1)]
    assert sorted(metric.name for metric in reported) == sorted(declared)
    assert isinstance(draw(found, asked_all), Figure)


def test_cards_are_what_an_explorer_draws(model, texts):
    read, asked = Contexts.of(model, texts), ask(model, "description", 2)
    found = measure(model, read, affine_maps(model, texts))
    content = Cards(model, read, found, [0, 2]).explorer(asked, describe(model, WORDS, evenly(LAYERS, 2)))
    cards = json.loads(explorers.text("cards", content))["cards"]
    assert [card["name"] for card in cards] == [*(f"context {k}" for k in range(1, 12, 2)), *WORDS]
    lists = cards[0]["parts"][1]["lists"][1]["lists"]
    assert lists["logit lens"][0] == cards[0]["words"][0]


def test_a_tokenizer_without_the_names_is_refused(model):
    with pytest.raises(UserError, match="has a token for 0 of the names, fewer than 4"):
        method.of_one_token(model, ["France of old", "Japan of old"])
