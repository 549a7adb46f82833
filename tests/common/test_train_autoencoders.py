"""The whole way, from a corpus made here to trained, judged, shipped and loaded autoencoders of a tiny Llama."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reproductions.common import siblings, train_autoencoders
from reproductions.common.activation_files import SiteRows, collect
from reproductions.common.autoencoders import load_sae, shipped, shipped_sites
from reproductions.common.autoencoders.judging import Judge, Spliced, histogram
from reproductions.common.autoencoders.shipped import AutoencoderError
from reproductions.common.autoencoders.training import Recipe
from reproductions.common.corpus import load_sources
from reproductions.common.held_out import held_out, write
from tests.common.tiny_bridge import WIDTH, tiny_llama
from tests.common.tiny_corpus import clients, source, sources_yml, speeches, tgz

MODEL, RESIDUAL, MLP = "tiny/llama", "blocks.1.hook_resid_post", "blocks.1.hook_mlp_out"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def house(llama: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus, held-out text, a model and a place for autoencoders, all made here."""
    monkeypatch.setenv("DAILY_PICKS_CACHE", str(tmp_path / "cache"))
    clients(tmp_path, monkeypatch)
    corpus_yml = sources_yml(tmp_path, source(tmp_path, tgz(speeches(60, words=400))))
    for module in ("corpus", "text"):
        monkeypatch.setattr(f"reproductions.common.{module}.load_sources", lambda: load_sources(corpus_yml))
    text = tmp_path / "held_out.jsonl"
    write(text)
    monkeypatch.setattr("reproductions.common.held_out.held_out", lambda: held_out(text))
    monkeypatch.setattr("reproductions.common.models.load_model", lambda name, device: llama)
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    monkeypatch.setattr(siblings, "FOLDER", tmp_path / "siblings")
    monkeypatch.setattr(Recipe, "k", 4)
    return tmp_path


def _train(house: Path, *sites: str, tokens: int = 12_000, options: Sequence[str] = ()) -> int:
    where = ["--scratch", str(house / "scratch"), "--out", str(shipped.FOLDER)]
    arguments = ["--model", MODEL, "--tokens", str(tokens), "--device", "cpu", *where, *options]
    return train_autoencoders.main([*arguments, "--sites", *sites])


def _files(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.safetensors")}


def test_from_text_to_a_loaded_autoencoder_with_its_card(house: Path, llama: Any) -> None:
    assert _train(house, RESIDUAL, f"{RESIDUAL}@1", options=["--epochs", "3"]) == 0
    assert shipped_sites(MODEL) == [(RESIDUAL, 0), (RESIDUAL, 1)]
    sae = load_sae(MODEL, RESIDUAL)
    assert (sae.cfg.d_in, sae.cfg.d_sae, sae.cfg.k) == (WIDTH, 4 * WIDTH, 4)
    assert not torch.allclose(sae.W_dec, load_sae(MODEL, RESIDUAL, seed=1).W_dec)
    card = json.loads(shipped.path_of(MODEL, RESIDUAL, 0).with_suffix(".json").read_text(encoding="utf8"))
    assert card["steps"] == 3 * (card["rows"] // 1024) > 0
    assert card["rows"] + card["outliers_dropped"] >= 12_000
    assert 0 < card["l0"] <= 4
    assert sum(card["density_histogram"]["latents"]) <= 4 * WIDTH
    for code in ("autoencoder", "random_dictionary", "principal_components"):
        assert set(card[code]) == {"explained_variance", "loss", "loss_recovered"}


def test_another_recipe_makes_a_sibling(house: Path) -> None:
    others = ["--k", "2", "--expansion", "3", "--out", str(siblings.FOLDER)]
    _train(house, RESIDUAL)
    assert _train(house, RESIDUAL, options=others) == 0
    assert siblings.variants(MODEL) == [f"{RESIDUAL}.k2.x3"]
    sibling = siblings.load_sibling(MODEL, RESIDUAL, "k2.x3")
    assert (sibling.cfg.d_sae, sibling.cfg.k) == (3 * WIDTH, 2)
    assert sibling.cfg.metadata.outlier_norm == load_sae(MODEL, RESIDUAL).cfg.metadata.outlier_norm
    assert shipped_sites(MODEL) == [(RESIDUAL, 0)]
    with pytest.raises(AutoencoderError, match=rf"of the kind k9: there are {RESIDUAL}.k2.x3"):
        siblings.load_sibling(MODEL, RESIDUAL, "k9")


def test_a_sibling_has_a_start_of_its_own(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _train(house, RESIDUAL)
    usual = load_sae(MODEL, RESIDUAL).W_dec
    monkeypatch.setattr(Recipe, "k", 5)  # what was usual is a variant now, and trained by the same numbers
    _train(house, RESIDUAL, options=["--k", "4", "--out", str(siblings.FOLDER)])
    nearest = (usual @ siblings.load_sibling(MODEL, RESIDUAL, "k4").W_dec.T).diagonal()
    assert nearest.mean() < 0.5


def test_a_finished_site_is_not_trained_again(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _train(house, RESIDUAL)
    before = _files(shipped.FOLDER)
    _train(house, RESIDUAL, MLP)
    after = _files(shipped.FOLDER)
    assert before.items() <= after.items()
    assert len(after) == 2
    assert f"{RESIDUAL}, seed 0: finished before" in capsys.readouterr().err


def test_where_all_is_finished_the_model_is_not_loaded(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _train(house, RESIDUAL)
    monkeypatch.setattr("reproductions.common.models.load_model", lambda name, device: pytest.fail("loaded"))
    assert _train(house, RESIDUAL) == 0


@pytest.mark.parametrize("how", ["more tokens", "more epochs", "damaged"])
def test_a_site_made_otherwise_is_trained_again(house: Path, how: str) -> None:
    _train(house, RESIDUAL)
    before = _files(shipped.FOLDER)
    if how == "damaged":
        shipped.path_of(MODEL, RESIDUAL, 0).write_bytes(b"")
    more = {"more tokens": {"tokens": 13_000}, "more epochs": {"options": ["--epochs", "2"]}}
    _train(house, RESIDUAL, **more.get(how, {}))  # type: ignore[arg-type]
    assert _files(shipped.FOLDER) != before
    load_sae(MODEL, RESIDUAL)


@pytest.mark.parametrize(
    ("sites", "why"),
    [
        (["blocks.1.mlp"], "'blocks.1.mlp' is no site"),
        (["blocks.9.hook_mlp_out"], "the model has layers 0 to 2"),
        ([f"{MLP}@x"], f"write {MLP}@1"),
    ],
)
def test_a_site_that_is_not_there_is_told_in_one_line(
    house: Path, sites: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _train(house, *sites) == 1
    assert why in capsys.readouterr().err.splitlines()[-1]


def test_a_model_without_default_sites_needs_them_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert train_autoencoders.main(["--tokens", "100", "--model", "gpt2"]) == 1
    assert capsys.readouterr().err == "error: there are no default sites for gpt2: name them with --sites\n"


def test_by_default_three_windows_of_the_default_model_are_trained() -> None:
    options = train_autoencoders._parser().parse_args(["--tokens", "100"])
    jobs = train_autoencoders.plan_of(options).jobs
    assert len(set(jobs)) == 13
    assert [job.site for job in jobs if job.seed] == ["blocks.15.hook_resid_post"]


@pytest.fixture
def tokens() -> Tensor:
    drawn = torch.randint(1, 50, (12, 20), generator=torch.Generator().manual_seed(0))
    drawn[:, 0] = 0
    return drawn


@pytest.fixture
def rows(llama: Any, tokens: Tensor, tmp_path: Path) -> SiteRows:
    return collect(llama, [MLP], tokens, tmp_path)[MLP]


def test_the_loss_of_a_perfect_code_is_the_models_and_that_of_the_mean_is_mean_ablation(
    llama: Any, tokens: Tensor, rows: SiteRows
) -> None:
    judge = Judge(MLP, rows, rows, Spliced(llama, tokens), "cpu")
    perfect = judge.quality(lambda x: x)
    assert perfect["explained_variance"] == 1
    assert perfect["loss_recovered"] == pytest.approx(1)
    nothing = judge.quality(judge.mean.expand_as)
    assert nothing["explained_variance"] == pytest.approx(0, abs=1e-4)
    assert nothing["loss_recovered"] == 0


def test_the_clean_loss_is_the_cross_entropy_after_position_0(llama: Any, tokens: Tensor) -> None:
    probabilities = llama(tokens).log_softmax(-1)
    by_hand = [-probabilities[i, j, tokens[i, j + 1]] for i in range(12) for j in range(1, 19)]
    assert Spliced(llama, tokens).clean == pytest.approx(torch.stack(by_hand).mean().item(), rel=1e-5)


def test_position_0_and_outliers_stay_as_they_are(llama: Any, tokens: Tensor, rows: SiteRows) -> None:
    seen: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        seen.append(x)
        return x

    Spliced(llama, tokens).loss(rows, MLP, keep)
    assert sum(map(len, seen)) == tokens[:, 1:].numel()
    seen.clear()
    rows.limit = rows.load().float().norm(dim=1).median().item()
    Spliced(llama, tokens).loss(rows, MLP, keep)
    assert abs(sum(map(len, seen)) / tokens[:, 1:].numel() - 0.5) < 0.02


def test_latents_are_counted_by_half_decades_of_their_density() -> None:
    found = histogram(torch.tensor([0.0, 1e-6, 2e-5, 2e-5, 0.05, 1.0]))
    assert found["latents"] == [2, 0, 0, 0, 0, 0, 0, 1, 0, 1]
    assert found["edges"][0] == 1e-5
    assert found["edges"][-1] == 1
