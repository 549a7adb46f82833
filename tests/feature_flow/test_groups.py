"""Groups of predecessors, counted by hand and held against plain loops."""

import pytest
import torch

from reproductions.common.activations import Reader
from reproductions.common.held_out import Excerpt
from reproductions.feature_flow import groups
from reproductions.feature_flow.groups import (
    GROUPS,
    active_cases,
    held_out_texts,
    sample,
    sampled_targets,
    shares,
)
from reproductions.feature_flow.method import AFTER, MODULES, NONE, Matches, Predecessors
from reproductions.feature_flow.windows import Window, WindowError
from tests.common.tiny_bridge import tiny_llama
from tests.feature_flow.tiny_window import LATENTS, K, random_predecessors, tiny_texts, tiny_window


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_llama(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def window(model):
    return tiny_window(model)


@pytest.fixture(scope="module")
def found(model, window):
    return sample(model, [window], tiny_texts(), per_text=3)[0]


def test_a_window_is_four_sites_of_one_layer(window):
    assert window.sites == (
        "blocks.0.hook_resid_post", "blocks.1.hook_mlp_out", "blocks.1.hook_attn_out", "blocks.1.hook_resid_post",
    )  # fmt: skip
    with pytest.raises(WindowError, match="do not surround layer 0"):
        Window(window.residual, window.mlp, window.attention, window.residual)


def test_codes_are_those_at_the_sampled_tokens(model, window, found):
    assert len(found) == 12 and (found.position > 0).all()
    assert len({(int(row), int(position)) for row, position in zip(found.row, found.position, strict=True)}) == 12
    with Reader(model, window.sites) as reader:
        values = dict(reader.read(found.texts.tokens))
    for name, dictionary in zip((*MODULES, AFTER), window.dictionaries, strict=True):
        plain = torch.stack(
            [dictionary.codes(values[dictionary.site][r, p]) for r, p in zip(found.row, found.position, strict=True)]
        )
        torch.testing.assert_close(found.codes[name], plain, atol=1e-5, rtol=1e-5)
        assert ((plain > 0).sum(1) <= K).all() and plain.any()


def test_outliers_at_any_site_of_a_window_are_left_out_of_its_sample(model):
    plain = tiny_window(model)
    whole = sample(model, [plain], tiny_texts(), per_text=11)[0]
    with Reader(model, plain.sites) as reader:
        norms = reader.read(whole.texts.tokens)[plain.after.site].norm(dim=-1)[whole.row, whole.position]
    limited = tiny_window(model, outlier_norm=norms.median().item())
    less, again = sample(model, [limited, plain], tiny_texts(), per_text=11)
    with Reader(model, limited.sites) as reader:
        every = torch.stack([found.norm(dim=-1) for found in reader.read(whole.texts.tokens).values()])
    kept = (every[:, whole.row, whole.position] <= norms.median()).all(0)
    assert 0 < kept.sum() < len(whole)
    assert torch.equal(less.position, whole.position[kept]) and torch.equal(less.row, whole.row[kept])
    assert torch.equal(again.codes[AFTER], whole.codes[AFTER])


def test_a_case_is_grouped_by_which_of_its_matches_are_active(found):
    predecessors = random_predecessors()
    cases = active_cases(found, predecessors)
    seen = {(int(t), int(n)): int(g) for t, n, g in zip(cases.token, cases.target, cases.group, strict=True)}
    expected = {}
    for token in range(len(found)):
        for latent in range(LATENTS):
            if found.codes[AFTER][token, latent] > 0:
                expected[token, latent] = sum(
                    bit
                    for bit, module in zip((1, 2, 4), MODULES, strict=True)
                    if found.codes[module][token, predecessors[module].indices[latent, 0]] > 0
                )
    assert seen == expected and len(set(expected.values())) >= 4
    assert GROUPS[:4] == ("nowhere", "RES", "MLP", "RES & MLP")
    assert GROUPS[4:] == ("ATT", "RES & ATT", "MLP & ATT", "RES & MLP & ATT")
    torch.testing.assert_close(shares(cases)[0], torch.tensor([g == 0 for g in expected.values()]).float().mean())


def test_a_target_without_a_match_has_none_that_is_active(found):
    nothing = Matches(torch.full((LATENTS, 1), torch.nan), torch.full((LATENTS, 1), NONE), LATENTS)
    assert shares(active_cases(found, Predecessors(nothing, nothing, nothing)))[0] == 1


def test_random_matches_fire_about_as_often_and_are_never_the_match(monkeypatch):
    monkeypatch.setattr(groups, "NEAREST", 3)
    predecessors = random_predecessors()
    rates = torch.rand(3, LATENTS, generator=torch.Generator().manual_seed(3))
    drawn = groups.random_predecessors(predecessors, rates, torch.Generator().manual_seed(0))
    for true, other, own in zip(predecessors, drawn, rates, strict=True):
        place = own.argsort().argsort()
        assert ((place[true.source] - place[other.source]).abs() <= 3).all() and (true.source != other.source).all()
        assert other.best.isnan().all()


def test_targets_are_sampled_up_to_so_many_a_token(found):
    cases = active_cases(found, random_predecessors())
    few = sampled_targets(cases, 2, torch.Generator().manual_seed(0))
    assert torch.equal(few.token, few.token.sort().values)
    every = {(int(t), int(n)) for t, n in zip(cases.token, cases.target, strict=True)}
    kept = [(int(t), int(n)) for t, n in zip(few.token, few.target, strict=True)]
    assert set(kept) <= every and len(set(kept)) == len(kept)
    assert torch.bincount(few.token).tolist() == torch.bincount(cases.token).clamp(max=2).tolist()


def test_texts_are_drawn_from_each_kind(model):
    words = " ".join(f"w{number % 50}" for number in range(127 * 3))
    excerpts = [Excerpt(source, words) for source in ("speeches", "novel", "jargon")]
    texts = held_out_texts(model, excerpts, 4)
    assert texts.kinds == ("prose",) * 4 + ("technical",) * 3
    assert texts.tokens.shape == (7, 128)


def test_no_text_is_dealt_twice():
    texts = tiny_texts(12)
    hands = texts.dealt(3)
    assert [hand.kinds for hand in hands] == [("prose", "prose", "technical", "technical")] * 3
    rows = [tuple(row) for hand in hands for row in hand.tokens.tolist()]
    assert sorted(rows) == sorted(map(tuple, texts.tokens.tolist()))
