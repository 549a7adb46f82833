"""Dead latents: woken by the token that they write where they also read it, and otherwise not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reproductions.common.activations import activations
from reproductions.common.autoencoders import shipped
from reproductions.common.autoencoders.shipped import Weights
from reproductions.output_centric import dead as module
from reproductions.output_centric.dead import (
    CARRIERS,
    Attempts,
    Lists,
    Probes,
    Revival,
    counted,
    dead_latents,
    projected,
    projected_and_changed,
    revive,
)
from reproductions.output_centric.features import RESIDUAL, Latents
from reproductions.output_centric.method import PROJECTED, vocab_proj
from tests.output_centric.tiny import LATENTS, WIDTH, latents_of, random_weights, tiny_latents, tiny_model

SITE = "blocks.1.hook_resid_post"
PLANTED, LISTED = 7, 3  # the dead latent, and how many tokens describe a latent here
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_model(tmp_path_factory.mktemp("model"))


def first_tokens(model: Any, source: Latents) -> Lists:
    return lambda latents: vocab_proj(model, source.directions(latents), LISTED).top


def reading(model: Any, token: int) -> Tensor:
    """The activation at the site of a token alone."""
    [found] = activations(model, [SITE], torch.tensor([[0, token]]))
    return found[SITE][0, 0]


def promoting(model: Any, token: int) -> Tensor:
    """A direction that VocabProj says promotes a token."""
    direction = model.original_model.lm_head.weight[token] / final_gains(model)
    return direction / direction.norm()


def final_gains(model: Any) -> Tensor:
    return model.original_model.base_model.norm.weight


@pytest.fixture(scope="module")
def token(model: Any) -> int:
    """The token that the planted latent has to do with: one that its own direction promotes above all others."""
    directions = torch.stack([promoting(model, token) for token in range(1, 51)])
    best = vocab_proj(model, directions, 1).top[:, 0]
    return int((best == torch.arange(1, 51)).nonzero()[0]) + 1


def planted(model: Any, reads: int, writes: int, outlier_norm: float = math.inf) -> Latents:
    """An autoencoder of which one latent ever fires: on the exact activation of one token; and it promotes one."""
    weights = random_weights()
    looked_for = reading(model, reads)
    W_enc, b_enc, W_dec = torch.zeros(WIDTH, LATENTS), torch.full((LATENTS,), -1.0), weights.W_dec.clone()
    W_enc[:, PLANTED] = looked_for
    b_enc[PLANTED] = -0.99 * looked_for.square().sum()
    W_dec[PLANTED] = promoting(model, writes)
    return latents_of(Weights(W_enc, b_enc, W_dec, torch.zeros(WIDTH)), SITE, 2, outlier_norm)


def seeds_without(token: int, n: int = 3) -> list[int]:
    """Seeds whose random tokens are others."""
    latents, listed = torch.tensor([PLANTED]), lambda asked: torch.zeros(len(asked), LISTED).long()
    given = {seed: module._given(latents, LATENTS, 51, [seed], listed) for seed in range(5 * n)}
    return [seed for seed, (_, random, _) in given.items() if token not in random[0]][:n]


def test_a_latent_that_reads_what_it_writes_is_revived_and_random_tokens_do_not_do_it(model: Any, token: int) -> None:
    source = planted(model, token, token)
    assert token in vocab_proj(model, source.directions(torch.tensor([PLANTED])), LISTED).top[0]
    found = revive(model, source, torch.tensor([PLANTED]), seeds_without(token), first_tokens(model, source))
    assert found.own.fired.tolist() == [True]
    assert [attempts.fired.tolist() for attempts in found.random] == [[False]] * 3
    place = int((vocab_proj(model, source.directions(found.dead), LISTED).top[0] == token).nonzero())
    assert found.own.texts.tolist() == [place + 1]
    assert found.own.tokens.tolist() == [2 * (place + 1)]


def test_a_latent_that_writes_something_else_is_not_revived(model: Any, token: int) -> None:
    other = token + 1
    source = planted(model, other, token)
    listed = first_tokens(model, source)
    assert other not in listed(torch.tensor([PLANTED]))[0]
    assert not revive(model, source, torch.tensor([PLANTED]), SEEDS, listed).own.fired.any()


def test_a_token_beyond_the_norm_limit_wakes_nothing(model: Any, token: int) -> None:
    norm = float(reading(model, token).norm())
    for limit, wakes in ((1.01 * norm, True), (0.99 * norm, False)):
        source = planted(model, token, token, limit)
        found = revive(model, source, torch.tensor([PLANTED]), (), first_tokens(model, source))
        assert found.own.fired.tolist() == [wakes]
        assert found.random == found.other == ()


def by_hand(model: Any, source: Latents, latent: int, tokens: list[int], probes: Probes) -> tuple[bool, int, int]:
    """One text after the other, until the latent fires."""
    read = 0
    for number, text in enumerate(probes.texts(tokens), 1):
        read += len(text)
        _, cache = model.run_with_cache(torch.tensor([text]))
        values = cache[source.hook][0, 1:]
        codes = (values @ source.dictionary.sae.W_enc + source.dictionary.sae.b_enc).topk(source.dictionary.sae.cfg.k)
        active = (codes.indices == latent) & (codes.values > 0)
        if (active.any(-1) & (values.norm(dim=-1) <= source.dictionary.sae.cfg.metadata.outlier_norm)).any():
            return True, number, read
    return False, number, read


@pytest.mark.parametrize("site", [SITE, "blocks.2.hook_mlp_out"])
def test_one_pass_over_all_texts_equals_a_loop(model: Any, site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOKENS_AT_ONCE", 40)
    source = tiny_latents(site, k=1, limit=18.0 if site == SITE else 60.0)
    latents, probes = torch.arange(0, LATENTS, 4), Probes.of(model, 1)
    listed = first_tokens(model, source)
    found = revive(model, source, latents, SEEDS[:2], listed, carried=1)
    given = module._given(latents, LATENTS, 51, SEEDS[:2], listed)
    outcomes = set()
    for way, tokens in zip([found.own, *found.random, *found.other], given, strict=True):
        for row, latent in enumerate(latents.tolist()):
            got = (bool(way.fired[row]), int(way.texts[row]), int(way.tokens[row]))
            assert got == by_hand(model, source, latent, tokens[row], probes)
            outcomes.add(got[0])
    assert outcomes == {True, False}


def test_both_controls_take_the_same_effort_and_another_latent_is_another() -> None:
    latents = torch.arange(5)

    def listed(asked: Tensor) -> Tensor:
        return asked[:, None] * 100 + torch.arange(4)

    own, random, other = module._given(latents, 6, 51, [3], listed)
    assert own == listed(latents).tolist()
    assert random[0] == random[4]
    assert len(set(random[0])) == 4
    partners = [tokens[0] // 100 for tokens in other]
    assert all(partner != latent for partner, latent in zip(partners, range(5), strict=True))
    probes = Probes(0, [((1, 2), (3,))], 2)
    lengths = [[len(text) for text in probes.texts(way[2])] for way in (own, random, other)]
    assert lengths[0] == lengths[1] == lengths[2]


def test_another_latent_is_drawn_uniformly() -> None:
    drawn = module._others(torch.full((9000,), 2), 4, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn, minlength=4)
    assert counts[2] == 0
    assert counts[[0, 1, 3]].min() > 2800


def test_texts_are_tokens_alone_in_pairs_and_in_carriers(model: Any) -> None:
    probes = Probes(9, [((1, 2), (3,)), ((), (4, 5))], carried=1)
    assert probes.texts([6, 7, 8]) == [
        *[(9, 6), (9, 7), (9, 8)],
        *[(9, 6, 7), (9, 7, 8), (9, 8, 6)],
        *[(9, 1, 2, 6, 3), (9, 6, 4, 5)],
    ]
    ours = Probes.of(model)
    assert ours.first == 0
    assert len(ours.carriers) == len(CARRIERS) == 20
    assert all(carrier.count("{}") == 1 for carrier in CARRIERS)


def test_no_text_is_read_twice(model: Any) -> None:
    source = tiny_latents(k=1)
    found = revive(model, source, torch.arange(4), (0,), lambda asked: torch.arange(3).repeat(len(asked), 1), carried=0)
    random = set(module._given(torch.arange(4), 40, 51, (0,), lambda asked: torch.zeros(len(asked), 3).long())[1][0])
    texts = {text for tokens in ([0, 1, 2], sorted(random)) for text in [(0, token) for token in tokens]}
    assert found.passed == 2 * len(texts) + 3 * 6


def test_without_a_dead_latent_nothing_is_read_and_n_is_0(model: Any) -> None:
    found = revive(model, tiny_latents(), torch.zeros(0).long(), SEEDS)
    assert found.passed == 0
    assert len(found.random) == len(found.other) == 3
    assert counted(found) == (SITE, 0, "0", "0", "0")


def test_default_lists_and_those_of_both_methods_are_equally_long(model: Any) -> None:
    source, latents = tiny_latents(), torch.tensor([3, 8])
    alone = projected(model, source)(latents)
    both = projected_and_changed(model, source, torch.randint(1, 51, (4, 6)))(latents)
    assert alone.shape == both.shape == (2, PROJECTED)
    assert both[:, 0].tolist() == alone[:, 0].tolist()
    assert all(len(set(row)) == PROJECTED for row in both.tolist())
    assert both.tolist() != alone.tolist()


def test_dead_are_those_that_never_fired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    rates = torch.full((LATENTS,), 1e-3)
    rates[[2, 31]] = torch.tensor([0.0, 2e-4])
    path = shipped.path_of("smollm2-135m", SITE, 0)
    shipped.write(path, random_weights(), rates, {"site": SITE, "seed": 0, "k": 4, "outlier_norm": 1.0})
    assert dead_latents("smollm2-135m", tiny_latents(SITE)).tolist() == [2]


def test_those_that_fired_are_counted_the_mean_over_seeds() -> None:
    def attempts(*fired: int) -> Attempts:
        return Attempts(torch.tensor(fired).bool(), torch.ones(len(fired)).long(), torch.ones(len(fired)).long())

    random, other = (attempts(0, 0, 1), attempts(0, 0, 0)), (attempts(0, 0, 0), attempts(1, 1, 1))
    found = Revival(RESIDUAL, SITE, torch.arange(3), attempts(1, 1, 0), random, other, 0)

    assert counted(found) == (SITE, 3, "2", "0.5", "1.5")
