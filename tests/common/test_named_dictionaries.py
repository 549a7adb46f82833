"""Every kind of autoencoder opens by its name, at the site that it reads; what is none is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from reproductions.common import named_dictionaries, siblings
from reproductions.common.autoencoders import loading, shipped
from reproductions.common.autoencoders.shipped import AutoencoderError, Weights
from reproductions.common.errors import UserError
from reproductions.common.named_dictionaries import named_dictionary, parted

MODEL, SITE = "smollm2-135m", "blocks.15.hook_resid_post"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    monkeypatch.setattr(siblings, "FOLDER", tmp_path / "siblings")
    weights = Weights(torch.randn(6, 12), torch.zeros(12), torch.randn(12, 6), torch.zeros(6))
    for name, seed, k, root in ((SITE, 0, 4, "shipped"), (SITE, 1, 3, "shipped"), (f"{SITE}.k2", 0, 2, "siblings")):
        card = {"site": SITE, "seed": seed, "k": k, "outlier_norm": 7.5}
        shipped.write(shipped.path_of(MODEL, name, seed, tmp_path / root), weights, torch.zeros(12), card)
    return tmp_path


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(("name", "seed", "k"), [(SITE, 0, 4), (SITE, 1, 3), (f"{SITE}.k2", 0, 2)])
def test_those_that_come_along_open_by_site_seed_and_variant(name: str, seed: int, k: int) -> None:
    found = named_dictionary(MODEL, name, seed)
    assert (found.site, found.sae.cfg.k, found.layer) == (SITE, k, 15)
    assert found.ordinary(torch.tensor([[7.0, 0, 0, 0, 0, 0], [8.0, 0, 0, 0, 0, 0]])).tolist() == [True, False]


@pytest.mark.parametrize(
    ("hook", "site"),
    [
        ("blocks.12.hook_resid_post", "blocks.12.hook_resid_post"),
        ("blocks.8.hook_resid_pre", "blocks.7.hook_resid_post"),
    ],
)
def test_a_released_one_is_read_where_its_configuration_says(
    hook: str, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def released(name: str, device: str) -> Any:
        asked.append(name)
        return SimpleNamespace(cfg=SimpleNamespace(metadata=SimpleNamespace(hook_name=hook)))

    monkeypatch.setattr(loading, "_released", released)
    assert named_dictionary("gemma3-270m", "gemma-scope-2-270m-pt-res/layer_12_width_16k_l0_big").site == site
    assert asked == ["gemma-scope-2-270m-pt-res/layer_12_width_16k_l0_big"]


def test_a_released_one_of_another_place_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sae = SimpleNamespace(cfg=SimpleNamespace(metadata=SimpleNamespace(hook_name="blocks.3.attn.hook_z")))
    monkeypatch.setattr(named_dictionaries, "load_sae", lambda *_: sae)
    with pytest.raises(UserError, match=r"release/id: it was trained at blocks.3.attn.hook_z, which is no site"):
        named_dictionary("gpt2", "release/id")


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize("name", [f"{SITE}.k9", "blocks.3.hook_mlp_out", "anything"])
def test_what_is_not_there_is_refused_and_the_others_named(name: str) -> None:
    with pytest.raises(AutoencoderError, match=rf"{name.removesuffix('.k9')}.*there are {SITE}"):
        named_dictionary(MODEL, name)


def test_a_name_has_two_parts() -> None:
    assert parted(SITE) == (SITE, "")
    assert parted(f"{SITE}.k8.x2") == (SITE, "k8.x2")
    assert parted("anything.k8") == ("anything.k8", "")
