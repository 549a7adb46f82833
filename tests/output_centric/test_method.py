"""VocabProj and TokenChange equal naive loops over features; descriptions keep to their budget."""

import pytest
import torch

from reproductions.common.edits import final_states, unembed
from reproductions.output_centric import method
from reproductions.output_centric.features import Feature, neurons
from reproductions.output_centric.method import METHODS, Ends, Material, TokenChange
from reproductions.output_centric.words import Words
from tests.output_centric.tiny import tiny_latents, tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model"))


def ranked(logits, k):
    """The ends of one feature's logits, sorted one by one."""
    order = sorted(range(len(logits)), key=lambda token: -logits[token].item())
    return order[:k], order[::-1][:k]


def test_vocab_proj_equals_a_loop_over_features(model, monkeypatch):
    monkeypatch.setattr(method, "FEATURES_AT_ONCE", 7)
    directions = neurons(model, 1).directions(torch.arange(64))

    ends = method.vocab_proj(model, directions, k=5)

    for row, v in enumerate(directions):
        normed = v / (v.square().mean() + model.cfg.eps).sqrt() * model.ln_final.weight
        top, bottom = ranked(normed @ model.W_U, 5)
        assert ends.top[row].tolist() == top
        assert ends.bottom[row].tolist() == bottom


def test_the_projection_on_the_embedding_leaves_the_norm_out(model):
    directions = neurons(model, 1).directions(torch.arange(10))

    ends = method.embedding_ends(model, directions, k=3)

    assert ends.top[4].tolist() == ranked(model.W_E @ directions[4], 3)[0]


def test_token_change_equals_a_loop_over_features_and_windows(model, monkeypatch):
    latents, others = tiny_latents(), neurons(model, 2)
    chosen = [Feature(latents, 3), Feature(others, 9), Feature(latents, 20), Feature(others, 50), Feature(latents, 8)]
    windows = torch.randint(1, 51, (3, 8), generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(method, "ROWS_AT_ONCE", 14)  # two features a pass

    found = method.token_change(model, chosen, windows, clamp=10.0, k=4)

    for row, feature in enumerate(chosen):
        for value, ends in ((10.0, found.amplified), (-10.0, found.negated)):
            changes = [naive_change(model, feature, window, value) for window in windows]
            top, bottom = ranked(torch.cat(changes).mean(0), 4)
            assert ends.top[row].tolist() == top
            assert ends.bottom[row].tolist() == bottom


def naive_change(model, feature, window, value):
    """Logits [position - 1, vocabulary] with the feature set, less those without, for one window."""
    source, index = feature.source, torch.tensor([feature.index])

    def through(values):
        return source.reconstructed(values)

    def clamped(values):
        if feature.source.hook.endswith("hook_post"):
            changed = values.clone()
            sign = 1 if feature.index < 32 else -1
            changed[..., feature.index % 32] = sign * value
            return changed
        code = source.dictionary.sae.encode(values)
        code[..., index] = value
        return source.dictionary.sae.decode(code)

    before, after = (final_states(model, window[None], {source.hook: edit})[0, 1:] for edit in (through, clamped))
    return unembed(model, after) - unembed(model, before)


def test_every_description_keeps_to_its_budget():
    material = Material(range(0, 30), range(100, 130), range(200, 230))

    found = material.described(12)

    assert set(found) == set(METHODS)
    assert {name: len(words) for name, words in found.items() if len(words) != 12} == {"Concat (All)": 36}
    assert found["MaxAct"] == list(range(12))
    assert found["Raw (MA+VP)"] == [0, 100, 1, 101, 2, 102, 3, 103, 4, 104, 5, 105]
    assert found["Raw (All)"][:6] == [0, 100, 200, 1, 101, 201]
    assert set(found["Raw (VP+TC)"]) == {*range(100, 106), *range(200, 206)}


def test_a_short_list_leaves_its_place_to_the_others():
    found = Material([7], [1, 2, 3], [1, 4]).described(4)

    assert found["MaxAct"] == [7]
    assert found["Raw (All)"] == [7, 1, 2, 4]
    assert sorted(found["Concat (All)"]) == [1, 2, 3, 4, 7]


def words():
    tokens = ["<s>", " Paris", "paris", "PARIS", " rain", "\n"]
    names = ["<s>", "paris", "rain", "\n"]
    return Words(tokens, names, torch.tensor([0, 1, 1, 1, 2, 3]), None)


def test_spellings_of_a_word_count_once():
    ends = Ends(torch.tensor([[1, 2, 4]]), torch.tensor([[3, 5, 0]]))

    assert words().named(method.projected_words(ends, 0, words())) == ["paris", "rain", "\n", "<s>"]
    assert words().named(method.projected_words(ends, 0, words(), suppressed=False)) == ["paris", "rain"]


def test_what_negation_lowers_counts_as_promoted():
    change = TokenChange(Ends(torch.tensor([[1]]), torch.tensor([[5]])), Ends(torch.tensor([[0]]), torch.tensor([[4]])))

    assert words().named(method.changed_words(change, 0, words(), suppressed=False)) == ["paris", "rain"]
    assert words().named(method.changed_words(change, 0, words())) == ["paris", "rain", "\n", "<s>"]


def test_words_of_a_vocabulary(model):
    found = Words.of(model)

    assert found.names[0] == "<s>"
    assert found.tokens[3] == "w2"
    assert found.counts(torch.tensor([[3, 3, 4]]))[0, found.word_of[3]] == 2
    assert found.summed(torch.ones(1, 51)).sum() == 51
    assert found.text(torch.tensor([3, 4])) == "w2 w3"
