"""Activations: sites that add up in models of two kinds, read without the rest of the model, and kept in files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reproductions.common.activation_files import collect
from reproductions.common.activations import OUTLIER, Reader, SiteError, activations, norm_limit
from tests.common.tiny_bridge import LAYERS, WIDTH, WORDS, tiny_gemma, tiny_llama

LAST = f"blocks.{LAYERS - 1}.hook_resid_post"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def tokens() -> Tensor:
    return torch.randint(1, len(WORDS), (10, 12), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("build", [tiny_llama, tiny_gemma])
def test_a_block_adds_its_attention_and_its_mlp_to_the_residual_stream(
    build: Callable[[Path], Any], tmp_path: Path, tokens: Tensor
) -> None:
    model = build(tmp_path)
    sites = [f"blocks.{layer}.hook_resid_post" for layer in range(LAYERS)]
    parts = [f"blocks.{layer}.hook_{part}_out" for layer in range(LAYERS) for part in ("attn", "mlp")]
    (read,) = activations(model, sites + parts, tokens)
    for layer in range(1, LAYERS):
        added = read[f"blocks.{layer}.hook_attn_out"] + read[f"blocks.{layer}.hook_mlp_out"]
        torch.testing.assert_close(read[sites[layer - 1]] + added, read[sites[layer]])


@pytest.mark.parametrize("site", ["blocks.0.hook_resid_post", "blocks.1.hook_mlp_out", LAST])
def test_what_is_read_is_what_a_whole_pass_has_there_but_for_position_0(llama: Any, tokens: Tensor, site: str) -> None:
    _, whole = llama.run_with_cache(tokens)
    read = torch.cat([batch[site] for batch in activations(llama, [site], tokens, batch=4)])
    torch.testing.assert_close(read, whole[site][:, 1:])


@pytest.mark.parametrize(("site", "ran"), [("blocks.0.hook_resid_post", 1), (LAST, LAYERS)])
def test_what_comes_after_the_last_site_is_not_computed(llama: Any, tokens: Tensor, site: str, ran: int) -> None:
    seen = []
    names = [*(f"blocks.{layer}.hook_mlp_out" for layer in range(LAYERS)), "unembed.hook_out"]
    with llama.hooks(fwd_hooks=[(name, lambda activation, hook: seen.append(hook.name)) for name in names]):
        list(activations(llama, [site], tokens))
    assert len(seen) == ran


def test_afterwards_the_model_is_as_it_was(llama: Any, tokens: Tensor) -> None:
    before = llama(tokens)
    with Reader(llama, ["blocks.0.hook_resid_post"]) as reader:
        reader.read(tokens)
    assert torch.equal(llama(tokens), before)


@pytest.mark.parametrize("site", ["blocks.1.mlp", "blocks.-1.hook_mlp_out", f"blocks.{LAYERS}.hook_mlp_out"])
def test_a_site_that_is_not_there_is_refused(llama: Any, site: str) -> None:
    with pytest.raises(SiteError, match=r"is no site|has layers 0 to 2"):
        Reader(llama, [site])


def test_the_limit_is_told_from_the_median_norm() -> None:
    rows = torch.zeros(5, WIDTH)
    rows[:, 0] = torch.tensor([1.0, 2.0, 3.0, 4.0, 1000.0])
    assert norm_limit(rows) == OUTLIER * 3


def test_rows_are_kept_in_float16_and_outliers_dropped_and_counted(llama: Any, tokens: Tensor, tmp_path: Path) -> None:
    site = "blocks.1.hook_resid_post"
    large = 3
    with llama.hooks(fwd_hooks=[(site, lambda a, hook: _enlarge(a, at=large))]):
        rows = collect(llama, [site], tokens, tmp_path)[site]
    (read,) = activations(llama, [site], tokens)
    ordinary = torch.cat([read[site][:, : large - 1], read[site][:, large:]], dim=1).flatten(0, 1)
    assert (rows.rows, rows.dropped) == (len(ordinary), len(tokens))
    assert torch.equal(rows.load(), ordinary.half())


def _enlarge(activation: Tensor, at: int) -> Tensor:
    changed = activation.clone()
    changed[:, at] *= 1000
    return changed


def test_the_model_runs_again_only_for_other_text_or_another_site(
    llama: Any, tokens: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[list[str]] = []

    def counted(model: Any, sites: list[str], text: Tensor) -> Any:
        runs.append(sites)
        return activations(model, sites, text)

    monkeypatch.setattr("reproductions.common.activation_files.activations", counted)
    both = ["blocks.0.hook_mlp_out", LAST]
    first = collect(llama, both, tokens, tmp_path)
    assert collect(llama, [LAST], tokens, tmp_path)[LAST] == first[LAST]
    assert len(runs) == 1
    collect(llama, ["blocks.1.hook_mlp_out"], tokens, tmp_path)
    collect(llama, ["blocks.1.hook_mlp_out"], tokens[:5], tmp_path)
    assert len(runs) == 3


def test_activations_too_large_for_float16_are_refused(llama: Any, tokens: Tensor, tmp_path: Path) -> None:
    with (
        llama.hooks(fwd_hooks=[(LAST, lambda a, hook: a * 1e5)]),
        pytest.raises(SiteError, match="too large for float16"),
    ):
        collect(llama, [LAST], tokens, tmp_path)
