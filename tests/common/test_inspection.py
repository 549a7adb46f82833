"""Ways to look at latents, against brute force, plain passes of a model and hand-made cases."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from reproductions.common import explorers, inspection
from reproductions.common.activations import activations
from reproductions.common.feature_cards import Album
from reproductions.common.inspection import (
    BINS,
    Fired,
    draw_examples,
    inspect,
    lens,
    numbered,
    read,
    usable,
    windows_at,
    wording,
    words_of,
)
from reproductions.common.latents import Dictionary
from tests.common.axes_sae import AxesSae
from tests.common.tiny_bridge import WIDTH, WORDS, random_tokens

SITE = "blocks.1.hook_resid_post"


@pytest.fixture(scope="module")
def tokens():
    return random_tokens(60, 20)


@pytest.fixture(scope="module")
def fired(model, tokens):
    return read(model, {"a": Dictionary(SITE, AxesSae())}, tokens)["a"]


@pytest.fixture(scope="module")
def seen(model, fired):
    return inspect(model, Dictionary(SITE, AxesSae()), [3, 9, 20], fired, m=2, context=5)


# Reading


def test_every_activation_is_there_once_and_no_other(model, tokens, fired):
    codes = (
        Dictionary(SITE, AxesSae())
        .codes(torch.cat([found[SITE] for found in activations(model, [SITE], tokens)]))
        .flatten(0, 1)
    )
    dense = torch.zeros_like(codes).index_put((fired.place, fired.latent), fired.value, accumulate=True)
    torch.testing.assert_close(dense, codes, atol=1e-4, rtol=1e-4)  # two passes, each rounded its own way
    torch.testing.assert_close(fired.rates, (codes > 0).float().mean(0))
    torch.testing.assert_close(fired.largest, codes.amax(0), atol=1e-4, rtol=1e-4)
    assert fired.rates.sum() == pytest.approx(4.0)


def test_outliers_excite_none(model, tokens):
    limit = torch.cat([found[SITE] for found in activations(model, [SITE], tokens)]).norm(dim=-1).median().item()
    assert read(model, {"a": Dictionary(SITE, AxesSae(limit=limit))}, tokens)["a"].rates.sum() == pytest.approx(
        2.0, abs=0.02
    )


def test_bins_are_of_equal_width_up_to_the_largest():
    fired = Fired(
        2, torch.zeros(1, 6), torch.arange(5), torch.tensor([0, 0, 0, 1, 0]), torch.tensor([8, 1, 1.1, 2, 0.1])
    )
    assert fired.bins(8).tolist() == [7, 0, 1, 7, 0]


# Words


def brute_force(fired: Fired, words: torch.Tensor) -> list[float]:
    """Purity as it is defined, by loops."""
    text, found = words[fired.tokens[:, 1:].flatten()], []
    for latent in range(fired.n):
        own = fired.of(latent)
        bins, word, even = own.bins(), text[own.place], own.place // fired.span % 2 == 0

        def mean_share(which, half, bins=bins, word=word):
            cells = [word[half & (bins == b)] for b in range(BINS)]
            return sum(float((cell == which).float().mean()) for cell in cells if len(cell)) / sum(
                map(bool, map(len, cells))
            )

        if min(even.sum(), (~even).sum()) < inspection.FEWEST:
            found.append(math.nan)
            continue
        best = max(word[even].unique().tolist(), key=lambda which: mean_share(which, even))
        found.append(mean_share(best, ~even))
    return found


def test_purity_is_the_held_out_share_of_the_main_word(fired):
    words = [f"w{token // 6}" for token in range(len(WORDS))]  # six tokens are one word
    found = wording(fired, words)
    expected = torch.tensor(brute_force(fired, numbered(words)), dtype=torch.double)
    ties = (found.purity - expected).abs() > 1e-6  # two words with one share: either may be the main one
    assert found.purity.isnan().tolist() == expected.isnan().tolist()
    assert ties.sum() <= 2
    assert 0 < found.purity.nanmean() < 0.5


def test_a_word_is_its_text_whatever_its_case_and_spaces(model):
    assert words_of(model)[5] == "w4"
    assert numbered(["a", "b", "a", "c", "b"]).tolist() == [0, 1, 0, 3, 1]


def planted_latents(pure: float, seed=0) -> Fired:
    """Four latents that are active at all levels; the share of the tokens that are their word is `pure` at each."""
    drawn = torch.Generator().manual_seed(seed)
    tokens = torch.randint(5, 400, (40, 101), generator=drawn)
    place, latent = torch.arange(4000), torch.arange(4000) % 4
    mine = torch.rand(4000, generator=drawn) < pure
    tokens[place[mine] // 100, 1 + place[mine] % 100] = latent[mine] + 1
    return Fired(4, tokens, place, latent, torch.rand(4000, generator=drawn))


@pytest.mark.parametrize("pure", [0.0, 0.3, 0.8, 1.0])
def test_a_known_share_comes_out_as_that_share(pure):
    found = wording(planted_latents(pure), [str(token) for token in range(400)])
    assert found.purity.tolist() == pytest.approx([pure] * 4, abs=0.06)
    assert (found.word == torch.arange(1, 5)).all() or pure == 0.0


def test_a_word_at_the_top_alone_is_not_one_word():
    """The fault that uniform examples are there for: strong activations are one word, the others any."""
    fired = planted_latents(0.0)
    strong = fired.value > 7 / 8 * fired.largest[fired.latent]
    tokens = fired.tokens.clone()
    place = fired.place[strong]
    tokens[place // 100, 1 + place % 100] = fired.latent[strong] + 1
    found = wording(Fired(4, tokens, fired.place, fired.latent, fired.value), [str(token) for token in range(400)])
    assert found.purity.tolist() == pytest.approx([1 / 8] * 4, abs=0.03)
    assert found.by_bin[:, -1].tolist() == pytest.approx([1.0] * 4)


def test_made_up_words_pass_and_hardly_active_latents_are_not_judged(fired):
    found = inspection.planted(planted_latents(0.5), [str(token) for token in range(400)], n=4)
    assert (found.purity > 0.5).all()
    few = fired.where(torch.rand(len(fired.place), generator=torch.Generator().manual_seed(0)) < 0.05)
    assert wording(few, WORDS).purity.isnan().any()


# The lens


def test_the_lens_names_the_largest_logits_that_it_may(model, monkeypatch):
    monkeypatch.setattr(inspection, "LONG", 1.2)
    directions = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(1))
    kept = usable(model)
    norms = model.original_model.lm_head.weight.norm(dim=-1)
    assert not kept[0] and (kept[1:] == (norms[1:] <= 1.2 * norms.median())).all() and (~kept).sum() > 1
    logits = model.original_model.lm_head(model.ln_final(directions))
    top, bottom = lens(model, directions, 5)
    for row in range(4):
        order = [token for token in logits[row].argsort().tolist() if kept[token]]
        assert top[row].tolist() == order[::-1][:5] and bottom[row].tolist() == order[:5]


# Single latents


def test_examples_come_from_each_bin_the_strongest_first(fired):
    for latent, context in product((3, 20), (0, 5)):
        found = draw_examples(fired, latent, BINS, context)
        own = fired.of(latent)
        bins = [int(own.bins()[own.place == place]) for place in found.tolist() if place >= 0]
        assert bins == sorted(set(bins), reverse=True) and len(bins) >= 4
        assert all(place % fired.span >= context for place in found.tolist() if place >= 0)
    assert draw_examples(fired, 3, BINS).tolist() != draw_examples(fired, 3, BINS, seed=7).tolist()


def test_a_window_ends_in_its_token(tokens):
    (window,) = windows_at(tokens, torch.tensor([19 * 2 + 7]), 5)
    assert window.tolist() == [tokens[2, 0].item(), *tokens[2, 3:9].tolist()]


def test_ablated_text_is_that_of_plain_passes(model, seen):
    dictionary = Dictionary(SITE, AxesSae())
    for row, latent in enumerate(seen.latents):
        for window, there, without, alone in zip(
            seen.windows[row], seen.there[row], seen.without[row], seen.alone[row], strict=True
        ):
            shorter = [torch.cat([window[:gone], window[gone + 1 :]]) for gone in range(1, 6)]
            texts = [window, window[[0, -1]], *shorter]
            passes = [next(activations(model, [SITE], text[None]))[SITE][0, -1] for text in texts]
            expected = torch.stack([dictionary.codes(x)[latent] for x in passes])
            torch.testing.assert_close(torch.stack([there, alone, *without]), expected, atol=1e-4, rtol=1e-4)
    whole = seen.there.sum(-1)
    whole = whole.where(whole > 0, torch.nan)
    torch.testing.assert_close(seen.drop(0), 1 - seen.without[:, :, 0].sum(-1) / whole, equal_nan=True)
    torch.testing.assert_close(seen.kept_alone, seen.alone.sum(-1) / whole, equal_nan=True)
    assert (whole > 0).any()


def test_elsewhere_is_the_token_behind_the_context_of_another(model, seen):
    windows = seen.windows.flatten(0, 1)
    for place, (there, latent) in enumerate(zip(seen.elsewhere.flatten(), [3, 3, 9, 9, 20, 20], strict=True)):
        text = torch.cat([windows[(place + 3) % 6, :-1], windows[place, -1:]])
        x = next(activations(model, [SITE], text[None]))[SITE][0, -1]
        torch.testing.assert_close(there, Dictionary(SITE, AxesSae()).codes(x)[latent], atol=1e-4, rtol=1e-4)


def test_a_direction_that_is_taken_out_is_taken_out(model, seen):
    for row, latent in enumerate(seen.latents):
        window, amount = seen.windows[row, 0], seen.there[row, 0]
        states = {}

        def edit(x, hook, states=states, latent=latent, amount=amount):
            x[:, -1] -= amount * Dictionary(SITE, AxesSae()).directions[latent] * states["out"]
            return x

        for states["out"] in (0, 1):
            with model.hooks([(SITE, edit)]):
                states[f"log p {states['out']}"] = model(window[None])[0, -1].log_softmax(-1)
        lost = states["log p 0"] - states["log p 1"]
        torch.testing.assert_close(seen.lost[row, 0], lost[seen.up].mean(-1), atol=1e-4, rtol=1e-3)
        assert lost[seen.lowered[row, 0, 0]] == pytest.approx(lost[usable(model)].max().item(), abs=1e-4)


def test_own_tokens_are_held_against_those_of_the_others(seen):
    lost = torch.tensor([[[5.0, 1, 2]], [[0, 3, 6]], [[1, 1, 1]]])
    assert seen.own_less_others(lost).tolist() == [3.5, 0, 0]
    assert seen.first(2).own_less_others(seen.first(2).lost).shape == (2,)
    assert seen.first(2).lost.shape == (2, 2, 2) and seen.first(2).windows.shape == (2, 2, 7)


def test_a_latent_with_fewer_examples_has_nan_for_the_rest(model, fired):
    one = fired.where(
        (fired.latent != 3) | (fired.place == fired.place[(fired.latent == 3) & (fired.place % 19 > 6)][0])
    )
    found = inspect(model, Dictionary(SITE, AxesSae()), [3, 9], one, m=2, context=5)
    assert found.examples[0, 1] == -1 and found.there[0, 1].isnan() and found.without[0, 1].isnan().all()
    assert (found.kept_alone.isnan() == (found.there.nansum(-1) == 0)).all()
    assert not found.own_less_others(found.lost).isnan().any()


def test_cards_can_be_drawn_for_any_dictionary(model, fired, seen):
    album = Album(model, fired, wording(fired, words_of(model)), seen, {"MCS": torch.rand(fired.n)})
    content = album.explorer()
    assert explorers.text("cards", content)
    assert [card["name"] for card in content["cards"]] == ["3", "9", "20"]
    for card in content["cards"]:
        histogram, examples, ablated, _ = card["parts"]
        assert sum(row["values"][0] for row in histogram["numbers"]["rows"]) == pytest.approx(1, abs=1e-3)
        ends = [text["weights"][-1] for text in examples["texts"]]
        assert ends == sorted(ends, reverse=True) and ends[-1] > 0
        assert len(ablated["texts"]) == (seen.there[content["cards"].index(card)] > 0).sum()
        assert card["filters"]["kind"] in {"dense", "one word", "several words", "too rare to say"}
