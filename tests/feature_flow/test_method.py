"""Matching against the naive loop and known cases; the rivals against brute force."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reproductions.feature_flow import method
from reproductions.feature_flow.method import (
    NONE,
    Matches,
    MatchingError,
    Sources,
    compose,
    directions,
    hungarian,
    pearson_matches,
    predecessors,
    random_of,
    random_permutation,
    top_matches,
    typical_activations,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dictionary(n: int, d: int = 24, seed: int = 0) -> Tensor:
    return directions(torch.randn(n, d, generator=seeded(seed)))


def naive(targets: Tensor, sources: Tensor, k: int) -> Tensor:
    """Each feature by itself, all sources sorted."""
    return torch.stack([(sources @ f).sort(descending=True).indices[:k] for f in targets])


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize(("n", "m"), [(1, 5), (7, 64), (50, 13), (33, 100)])
def test_blocks_of_any_size_give_what_the_naive_loop_gives(
    n: int, m: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets, sources = dictionary(n, seed=1), dictionary(m, seed=2)
    for target_block, source_block in [(4096, 4096), (8, 16), (7, 3), (1, 1)]:
        monkeypatch.setattr(method, "TARGET_BLOCK", target_block)
        monkeypatch.setattr(method, "SOURCE_BLOCK", source_block)
        found = top_matches(targets, sources, k)
        assert torch.equal(found.indices, naive(targets, sources, k))
        torch.testing.assert_close(found.scores, (targets @ sources.T).gather(1, found.indices))
        assert found.n_sources == m


def test_equal_sources_are_all_found() -> None:
    sources = torch.eye(6)[[0, 1, 1, 1, 2, 3]]
    found = top_matches(torch.eye(6)[[1]], sources, 3)
    assert sorted(found.indices[0].tolist()) == [1, 2, 3]


class Largest(TorchDispatchMode):
    """How many elements the largest tensor has that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        self.elements = max(self.elements, *sizes, 0)
        return made


def test_the_whole_product_is_never_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method, "TARGET_BLOCK", 16)
    monkeypatch.setattr(method, "SOURCE_BLOCK", 32)
    targets, sources = dictionary(300, d=1), dictionary(400, d=1)
    with Largest() as made:
        top_matches(targets, sources, 2)
    assert made.elements <= max(16 * 32, 300 * 2)


@pytest.mark.parametrize(("sources", "k"), [(3, 4), (3, 0)])
def test_more_matches_than_sources_are_refused(sources: int, k: int) -> None:
    with pytest.raises(MatchingError, match="ask for 1 to 3"):
        top_matches(dictionary(2), dictionary(sources), k)


def test_directions_of_different_streams_are_refused() -> None:
    for match in (top_matches, hungarian):
        with pytest.raises(MatchingError, match=r"width 8 .* width 9"):
            match(dictionary(3, d=8), dictionary(3, d=9))


def test_directions_have_norm_1_and_no_mean_when_centred() -> None:
    rows = 3 * torch.randn(200, 24, generator=seeded()) + 10
    torch.testing.assert_close(directions(rows).norm(dim=1), torch.ones(200))
    centred = directions(rows, centred=True)
    torch.testing.assert_close(centred.norm(dim=1), torch.ones(200))
    assert directions(rows).mean(0).norm() > 0.8
    assert centred.mean(0).norm() < 0.1


def test_a_latent_that_never_learnt_a_direction_matches_nothing() -> None:
    rows = torch.cat([torch.zeros(1, 24), dictionary(3)])
    assert top_matches(directions(rows), dictionary(5, seed=1)).best[0] == 0


def test_predecessors_are_sought_in_each_source_by_itself() -> None:
    R, M, A = torch.eye(9).split([3, 4, 2])
    targets = torch.eye(9)[[1, 5, 8]]
    found = predecessors(targets, Sources(residual=R, mlp=M, attention=A))
    assert found.s_R.tolist() == [1, 0, 0]
    assert found.s_M.tolist() == [0, 1, 0]
    assert found.s_A.tolist() == [0, 0, 1]
    assert (found.residual.source[0], found.mlp.source[1], found.attention.source[2]) == (1, 2, 1)


def one_each(indices: list[int], scores: list[float], n_sources: int) -> Matches:
    return Matches(torch.tensor(scores)[:, None], torch.tensor(indices)[:, None], n_sources)


def test_chains_follow_the_first_matches_from_layer_to_layer() -> None:
    late = one_each([2, 0], [0.9, 0.8], n_sources=3)
    early = one_each([1, 0, 3], [0.5, 0.6, 0.7], n_sources=4)
    chain = compose([late, early])
    assert chain.indices.tolist() == [[0, 2, 3], [1, 0, 1]]
    torch.testing.assert_close(chain.scores, torch.tensor([[0.9, 0.7], [0.8, 0.5]]))
    torch.testing.assert_close(chain.weakest, torch.tensor([0.7, 0.5]))


def test_layers_that_are_not_neighbours_do_not_compose() -> None:
    with pytest.raises(MatchingError, match="not neighbours"):
        compose([one_each([0], [1.0], 3), one_each([0, 1], [1.0, 1.0], 3)])
    with pytest.raises(MatchingError, match="without a match"):
        compose([one_each([NONE], [float("nan")], 1), one_each([0], [1.0], 1)])


def permutations_by_cost(targets: Tensor, sources: Tensor) -> Iterator[tuple[float, tuple[int, ...]]]:
    for chosen in itertools.permutations(range(len(sources)), len(targets)):
        yield (targets - sources[list(chosen)]).square().sum().item(), chosen


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("m", [4, 6])
@pytest.mark.parametrize("folded", [False, True])
def test_the_permutation_is_the_cheapest_of_all(m: int, folded: bool, seed: int) -> None:
    targets, sources = dictionary(4, d=3, seed=seed), dictionary(m, d=3, seed=seed + 10)
    typical = (
        (torch.rand(4, generator=seeded(seed + 20)), torch.rand(m, generator=seeded(seed + 30))) if folded else None
    )
    found = hungarian(targets, sources, folded_by=typical)
    scaled = (targets * typical[0][:, None], sources * typical[1][:, None]) if typical else (targets, sources)
    assert tuple(found.source.tolist()) == min(permutations_by_cost(*scaled))[1]
    torch.testing.assert_close(found.best, (targets * sources[found.source]).sum(1))


def test_the_permutation_undoes_a_shuffle() -> None:
    sources = dictionary(60)
    order = torch.randperm(60, generator=seeded())
    noisy = directions(sources[order] + 0.1 * dictionary(60, seed=9))
    assert torch.equal(hungarian(noisy, sources).source, order)


@pytest.mark.parametrize("match", [hungarian, lambda t, s: random_permutation(t, s, seeded())])
def test_more_targets_than_sources_are_not_matched_one_to_one(match) -> None:
    with pytest.raises(MatchingError, match="one to one"):
        match(dictionary(4), dictionary(3))


def test_a_random_permutation_uses_each_source_once_and_tells_its_cosine() -> None:
    targets, sources = dictionary(30, seed=1), dictionary(30, seed=2)
    found = random_permutation(targets, sources, seeded())
    assert sorted(found.source.tolist()) == list(range(30))
    torch.testing.assert_close(found.best, (targets * sources[found.source]).sum(1))


def test_random_of_five_draws_each_of_the_five_equally_often() -> None:
    top5 = Matches(torch.arange(5.0).expand(5000, 5), torch.arange(10, 15).expand(5000, 5), 20)
    drawn = random_of(top5, seeded())
    counts = torch.bincount(drawn.source - 10, minlength=5)
    assert (counts - 1000).abs().max() < 120  # four standard deviations
    assert torch.equal(drawn.best, drawn.source - 10.0)


def codes(tokens: int, latents: int, seed: int) -> Tensor:
    drawn = torch.randn(tokens, latents, generator=seeded(seed)) + 0.3
    return drawn.clamp(min=0) * (torch.rand(tokens, latents, generator=seeded(seed + 100)) < 0.3)


def test_correlations_over_batches_are_numpys_over_all_tokens() -> None:
    targets, sources = codes(400, 6, 0), codes(400, 9, 1)
    sources[:, 4] += 2 * targets[:, 2]
    found = pearson_matches(zip(targets.split(37), sources.split(37), strict=True), k=9)
    expected = np.corrcoef(targets.T.double(), sources.T.double())[:6, 6:]
    np.testing.assert_allclose(found.scores, -np.sort(-expected, axis=1), atol=1e-12)
    assert torch.equal(found.indices, torch.from_numpy((-expected).argsort(1)))
    assert found.source[2] == 4


@pytest.mark.parametrize("value", [0.0, 1 / 3, 0.7])  # in float32, sums of the last two leave a variance
def test_a_latent_that_does_not_vary_is_in_no_match(value: float) -> None:
    targets, sources = codes(300, 3, 0), codes(300, 4, 1)
    targets[:, 1] = value
    sources[:, 2] = value
    found = pearson_matches(zip(targets.split(64), sources.split(64), strict=True), k=4)
    assert found.scores[1].isnan().all()
    assert (found.indices[1] == NONE).all()
    for row in (0, 2):
        assert sorted(found.indices[row].tolist()) == [NONE, 0, 1, 3]
        assert found.scores[row].isnan().tolist() == [False, False, False, True]


def test_codes_that_cannot_be_correlated_are_refused() -> None:
    with pytest.raises(MatchingError, match="without a batch"):
        pearson_matches([])
    with pytest.raises(MatchingError, match="codes of 5 tokens"):
        pearson_matches([(codes(5, 2, 0), codes(6, 2, 0))])
    with pytest.raises(MatchingError, match="3 matches"):
        pearson_matches([(codes(5, 2, 0), codes(5, 2, 0))], k=3)


def test_a_typical_activation_is_the_mean_where_there_is_one() -> None:
    batches = [torch.tensor([[1.0, 0.0, 0.0], [3.0, 0.0, 2.0]]), torch.tensor([[5.0, 0.0, 0.0]])]
    assert typical_activations(batches).tolist() == [3, 0, 2]
    with pytest.raises(MatchingError, match="without a batch"):
        typical_activations([])
