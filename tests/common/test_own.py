"""Models and autoencoders of the user's: folders and files of this machine, loaded, told apart, and refused."""

import json
from pathlib import Path

import pytest
import torch
from sae_lens import StandardSAE, StandardSAEConfig, TopKSAE, TopKSAEConfig
from sae_lens.saes.sae import SAEMetadata
from safetensors.torch import save_file

from reproductions.common import dictionaries, examine, fetch
from reproductions.common.autoencoders import firing_rates, load_sae, shipped_sites
from reproductions.common.autoencoders.shipped import AutoencoderError
from reproductions.common.catalogue import ModelError, has_autoencoders, model_card
from reproductions.common.errors import UserError
from reproductions.common.folders import POINTER, WEIGHTS
from reproductions.common.models import load_model, machine
from tests.common import tiny_architectures

SITE, D, LATENTS = "blocks.1.hook_resid_post", 16, 24
Kinds = type[StandardSAE] | type[TopKSAE]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAILY_PICKS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_architectures.write(tmp_path / "mine", "llama")


def _saved(folder: Path, hook: str = SITE, k: int | None = None, d: int = D) -> Path:
    """An autoencoder as SAELens writes it, and the name of the file with its weights."""
    metadata = SAEMetadata(model_name="mine", hook_name=hook)
    if k:
        sae: StandardSAE | TopKSAE = TopKSAE(TopKSAEConfig(d_in=d, d_sae=LATENTS, k=k, metadata=metadata))
    else:
        sae = StandardSAE(StandardSAEConfig(d_in=d, d_sae=LATENTS, metadata=metadata))
    return sae.save_model(folder)[0]


def test_a_folder_is_loaded_where_it_lies_and_nothing_is_written_to_it(folder: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    model = load_model(f"path:{folder}", "cpu")
    assert model(model.to_tokens("w1 w2")).shape == (1, 3, len(tiny_architectures.WORDS))
    assert model.cfg.model_name == f"path:{folder}"
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_its_card_says_that_it_is_the_users_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    card = model_card("path:mine")
    assert (card.kind, card.name, card.source, card.slug) == ("path", f"path:{folder}", str(folder), "own--mine")
    assert card.sha256 is None


@pytest.mark.parametrize("file", [WEIGHTS, "config.json", "tokenizer.json"])
def test_its_checksum_is_of_all_that_is_loaded_and_of_nothing_else(file: str, folder: Path) -> None:
    first = fetch.pinned(model_card(f"path:{folder}")).sha256
    (folder / "notes.md").write_text("mine", encoding="utf8")
    assert fetch.pinned(model_card(f"path:{folder}")).sha256 == first
    with (folder / file).open("ab") as altered:
        altered.write(b" ")
    assert fetch.pinned(model_card(f"path:{folder}")).sha256 != first


def test_what_ran_is_what_was_pinned(folder: Path) -> None:
    model = load_model(f"path:{folder}", "cpu")
    assert machine(model)["weights_sha256"] == fetch.pinned(model_card(f"path:{folder}")).sha256


@pytest.mark.parametrize("left_out", [WEIGHTS, "config.json", "tokenizer.json"])
def test_what_a_folder_lacks_is_told(left_out: str, folder: Path) -> None:
    (folder / left_out).unlink()
    with pytest.raises(ModelError, match=f"cannot be loaded: it lacks {left_out}; it must be as .* save_pretrained"):
        load_model(f"path:{folder}", "cpu")


def test_a_shard_that_its_index_names_must_be_there(tmp_path: Path) -> None:
    folder = tiny_architectures.write(tmp_path / "shards", "llama", shards=True)
    lost = max(folder.glob("*.safetensors"))
    lost.unlink()
    with pytest.raises(ModelError, match=f"it lacks {lost.name};"):
        load_model(f"path:{folder}", "cpu")


@pytest.mark.parametrize("index", ["", "[]", "{}", '{"weight_map": 1}'])
def test_an_index_that_cannot_be_read_is_told(index: str, folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf8")
    with pytest.raises(ModelError, match=r"it lacks model\.safetensors\.index\.json that can be read"):
        load_model(f"path:{folder}", "cpu")


def test_a_pointer_is_told_as_such(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(POINTER + b"v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ModelError, match=r"safetensors is damaged: only git's pointer .* run: git -C /.* lfs pull"):
        load_model(f"path:{folder}", "cpu")


@pytest.mark.parametrize("damage", [b"", b"\x00" * 50])
def test_weights_that_cannot_be_read_are_told_in_one_line(damage: bytes, folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(damage)
    with pytest.raises(ModelError, match="cannot be loaded with TransformerLens's hooks") as refused:
        load_model(f"path:{folder}", "cpu")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["path:", "path:/no/such/folder"])
def test_a_folder_that_is_not_there_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"there is no such folder|lacks config"):
        fetch.ensure(model_card(name))


def test_an_altered_folder_is_examined_anew(folder: Path) -> None:
    load_model(f"path:{folder}", "cpu")
    assert examine.remembered(fetch.pinned(model_card(f"path:{folder}")), "cpu") is not None
    tiny_architectures.write(folder, "gpt2")
    assert examine.remembered(fetch.pinned(model_card(f"path:{folder}")), "cpu") is None


@pytest.mark.parametrize("k", [None, 3])
def test_an_autoencoder_of_the_users_takes_its_site(k: int | None, tmp_path: Path) -> None:
    own = dictionaries.named(f"path:{_saved(tmp_path / 'sae', k=k)}")
    assert (own.site, own.width) == (SITE, D)
    dictionaries.use([own])
    try:
        assert shipped_sites("gpt2") == [(SITE, 0)]
        sae = load_sae("gpt2", SITE)
        assert sae.W_dec.shape == (LATENTS, D)
        assert sae.encode(torch.randn(5, D)).shape == (5, LATENTS)
        assert {weight.dtype for weight in sae.parameters()} == {torch.float32}
    finally:
        dictionaries.use([])
    assert shipped_sites("gpt2") == []


def test_those_that_come_along_stay_at_other_sites(tmp_path: Path) -> None:
    before = shipped_sites("smollm2-135m")
    dictionaries.use([dictionaries.named(f"path:{_saved(tmp_path / 'sae', 'blocks.3.hook_mlp_out', d=576)}")])
    try:
        assert set(shipped_sites("smollm2-135m")) == {*before, ("blocks.3.hook_mlp_out", 0)}
        assert load_sae("smollm2-135m", "blocks.15.hook_resid_post").cfg.d_sae == 2304
    finally:
        dictionaries.use([])


def test_the_residual_stream_before_a_block_is_that_behind_the_one_before(tmp_path: Path) -> None:
    own = dictionaries.named(f"path:{_saved(tmp_path / 'sae', 'blocks.8.hook_resid_pre')}")
    assert own.site == "blocks.7.hook_resid_post"


def test_how_often_latents_fire_is_read_from_the_file_that_saelens_writes(tmp_path: Path) -> None:
    file = _saved(tmp_path / "sae")
    dictionaries.use([dictionaries.named(f"path:{file}")])
    try:
        with pytest.raises(AutoencoderError, match=r"does not say how often .* no sparsity\.safetensors beside it"):
            firing_rates("gpt2", SITE)
        save_file({"sparsity": torch.full((LATENTS,), -2.0)}, file.with_name("sparsity.safetensors"))
        torch.testing.assert_close(firing_rates("gpt2", SITE), torch.full((LATENTS,), 0.01))
    finally:
        dictionaries.use([])


@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        ("{", "is no configuration of SAELens"),
        ("[]", "is no configuration of SAELens"),
        ('{"d_in": "wide"}', "is no configuration of SAELens"),
        ('{"d_in": 16}', "trained at None, which is no site"),
        ('{"d_in": 16, "metadata": {"hook_name": "blocks.1.attn.hook_z"}}', r"trained at blocks\.1\.attn\.hook_z"),
        ('{"d_in": 16, "hook_name": "blocks.0.hook_resid_pre"}', r"trained at blocks\.0\.hook_resid_pre"),
        ('{"d_in": 16, "metadata": 1}', "is no configuration of SAELens"),
    ],
)
def test_an_autoencoder_that_cannot_be_used_is_refused(configuration: str, why: str, tmp_path: Path) -> None:
    file = _saved(tmp_path / "sae")
    file.with_name("cfg.json").write_text(configuration, encoding="utf8")
    with pytest.raises(UserError, match=why):
        dictionaries.named(f"path:{file}")


@pytest.mark.parametrize("text", ["path:/no/such.safetensors", "sae.safetensors", "path:.", "release/id"])
def test_what_names_no_file_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"write path:FOLDER/sae_weights\.safetensors"):
        dictionaries.named(text)


def test_two_of_one_site_are_refused(tmp_path: Path) -> None:
    two = [dictionaries.named(f"path:{_saved(tmp_path / name)}") for name in ("a", "b")]
    with pytest.raises(UserError, match="two of the files given with --sae are of one site"):
        dictionaries.by_site(two)


def test_weights_that_saelens_cannot_load_are_told_in_one_line(tmp_path: Path) -> None:
    file = _saved(tmp_path / "sae")
    file.write_bytes(b"damaged")
    dictionaries.use([dictionaries.named(f"path:{file}")])
    try:
        with pytest.raises(AutoencoderError, match=r"--sae path:/.* could not be loaded through SAELens: ") as refused:
            load_sae("gpt2", SITE)
        assert "\n" not in str(refused.value)
    finally:
        dictionaries.use([])


def test_a_run_directory_tells_its_notebook_which_ones_to_use(tmp_path: Path) -> None:
    own = dictionaries.named(f"path:{_saved(tmp_path / 'sae')}")
    dictionaries.leave([own], tmp_path)
    assert json.loads((tmp_path / "autoencoders.json").read_text(encoding="utf8")) == [str(own.file)]
    dictionaries.take_up(tmp_path)
    assert list(dictionaries.in_use()) == [SITE]
    dictionaries.take_up(tmp_path / "another")
    assert dictionaries.in_use() == {}


def test_which_models_have_autoencoders_is_known_without_torch() -> None:
    assert has_autoencoders("smollm2-135m")
    assert not has_autoencoders("gpt2")
