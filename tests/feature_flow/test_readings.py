"""One reading holds what separate passes would find."""

import pytest
import torch

from reproductions.common.activations import activations
from reproductions.common.held_out import Excerpt
from reproductions.common.latents import Dictionary
from reproductions.feature_flow.method import pearson_matches, typical_activations
from reproductions.feature_flow.readings import ALL, halves, read
from tests.common.tiny_bridge import tiny_llama
from tests.feature_flow.tiny_window import LATENTS, tiny_texts, tiny_window
from tests.head_mapping.tiny import tiny_llama as tiny_deep_llama


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def window(model):
    return tiny_window(model)


@pytest.fixture(scope="module")
def texts():
    return tiny_texts(8)


@pytest.fixture(scope="module")
def readings(model, window, texts):
    return read(model, [window], texts)[0]


def codes(model, dictionary: Dictionary, tokens):
    [values] = activations(model, [dictionary.site], tokens)
    return dictionary.codes(values[dictionary.site].flatten(0, 1))


def test_codes_are_those_of_every_token_but_the_first(model, window, texts, readings):
    for dictionary in window.dictionaries:
        found = torch.from_numpy(readings.codes[dictionary.site].csr.toarray())
        torch.testing.assert_close(found, codes(model, dictionary, texts.tokens), atol=1e-4, rtol=1e-4)


def test_correlations_are_of_all_texts_or_of_one_kind(model, window, texts, readings):
    prose = texts.tokens[[kind == "prose" for kind in texts.kinds]]
    for kind, tokens in ((ALL, texts.tokens), ("prose", prose)):
        after = codes(model, window.after, tokens)
        for module, found in zip(window.modules, readings.correlated[kind], strict=True):
            expected = pearson_matches([(after, codes(model, module, tokens))])
            torch.testing.assert_close(found.scores, expected.scores, equal_nan=True, atol=1e-4, rtol=1e-4)


def test_rates_and_typical_activations_are_those_of_the_codes(model, window, texts, readings):
    found = codes(model, window.after, texts.tokens)
    site = window.after.site

    torch.testing.assert_close(readings.typical(site), typical_activations([found]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(readings.rates(site), (found > 0).float().mean(0))


def test_peaks_are_one_a_text_and_have_their_activations(window, texts, readings):
    site = window.after.site
    own = readings.codes[site].csr.toarray()[:, 3].reshape(len(texts.tokens), -1)
    found = readings.peaks(site, 3, 3)

    assert len({text for text, _ in found}) == len(found) > 1
    values = [readings.along(site, 3, text, range(position, position + 1))[0] for text, position in found]
    assert values == sorted(own.max(1), reverse=True)[: len(found)]


def test_windows_read_in_one_pass_are_those_read_apart(texts):
    model = tiny_deep_llama(n_layers=5)
    windows = [tiny_window(model, layer) for layer in (1, 4)]
    for window, together in zip(windows, read(model, windows, texts), strict=True):
        [alone] = read(model, [window], texts)
        assert set(together.codes) == set(window.sites)
        for site in window.sites:
            found, expected = (torch.from_numpy(each.codes[site].csr.toarray()) for each in (together, alone))
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_how_often_a_source_is_active_with_its_latent(model, window, texts, readings):
    sources = torch.randperm(LATENTS, generator=torch.Generator().manual_seed(1))
    after, before = (codes(model, each, texts.tokens) > 0 for each in (window.after, window.mlp))
    found = readings.together(window.after.site, window.mlp.site, sources)
    expected = [
        (after[:, latent] & before[:, source]).sum() / after[:, latent].sum().clamp(min=1)
        for latent, source in enumerate(sources.tolist())
    ]
    torch.testing.assert_close(found, torch.tensor(expected))
    assert found.any()


def test_an_outlier_excites_nothing(model, texts):
    [strict] = read(model, [tiny_window(model, outlier_norm=0.0)], texts)

    assert all(len(found.data) == 0 for found in strict.codes.values())
    assert set(strict.correlated[ALL].mlp.indices.flatten().tolist()) == {-1}


def test_halves_share_nothing():
    excerpts = [Excerpt("novel", str(number)) for number in range(7)]
    first, second = halves(excerpts)

    assert not set(first) & set(second)
    assert set(first) | set(second) == set(excerpts)
