"""Models of the hub, from a hub on this machine: what is recorded of them, what is refused, and what is mended."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file

from reproductions.common import examine, fetch, hub
from reproductions.common.catalogue import ModelCard, ModelError, model_card
from reproductions.common.folders import POINTER, WEIGHTS, identity
from reproductions.common.models import load_model, machine
from tests.common import tiny_architectures
from tests.common.loopback_hub import COMMIT, Hub, look_only_there, serving

GOOD = ("gpt2", "llama", "neox", "gemma")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of each architecture, to be copied by tests that alter one."""
    root = tmp_path_factory.mktemp("made")
    for name in tiny_architectures.CONFIGS:
        tiny_architectures.write(root / name, name)
    tiny_architectures.write(root / "sharded", "llama", shards=True)
    return root


@pytest.fixture
def there(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub that serves them as tiny/<architecture>, and an empty cache."""
    with serving() as found:
        look_only_there(monkeypatch, found, tmp_path)
        found.folders = {f"tiny/{path.name}": path for path in made.iterdir()}
        yield found


def _altered(there: Hub, name: str, folder: Path) -> Path:
    """A copy of a model that the hub serves from now on in place of it."""
    there.folders[f"tiny/{name}"] = Path(shutil.copytree(there.folders[f"tiny/{name}"], folder))
    return folder


def _in_cache(name: str, file: str = WEIGHTS) -> Path:
    return fetch.ensure(model_card(name)).resolve() / file


def _fetch(*arguments: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capfd.readouterr()
    status = fetch.main(arguments)
    return status, capfd.readouterr().err


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("name", GOOD)
def test_a_model_of_the_hub_is_known_by_its_commit_and_the_sha256_of_its_weights(name: str) -> None:
    card = fetch.pinned(model_card(f"tiny/{name}"))
    weights = hashlib.sha256(_in_cache(f"tiny/{name}").read_bytes()).hexdigest()
    assert (card.revision, card.sha256) == (COMMIT, weights)


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("name", GOOD)
def test_a_model_of_the_hub_is_loaded_and_says_which_weights_ran(name: str) -> None:
    model = load_model(f"tiny/{name}", "cpu")
    assert model(model.to_tokens("w1 w2")).shape == (1, 3, len(tiny_architectures.WORDS))
    assert machine(model)["weights_sha256"] == fetch.pinned(model_card(f"tiny/{name}")).sha256


def test_of_shards_the_list_is_summed(there: Hub) -> None:
    card = fetch.pinned(model_card("tiny/sharded"))
    shards = sorted(there.folders["tiny/sharded"].glob("*.safetensors"))
    assert len(shards) > 1
    lines = "".join(f"{hashlib.sha256(shard.read_bytes()).hexdigest()}  {shard.name}\n" for shard in shards)
    assert card.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    load_model("tiny/sharded", "cpu")


def test_what_lies_in_the_cache_is_not_asked_for_again_and_stays_at_its_commit(there: Hub) -> None:
    fetch.ensure(model_card("tiny/gpt2"))
    there.asked.clear()
    there.commit = "f" * 40
    assert fetch.pinned(model_card("tiny/gpt2")).revision == COMMIT
    assert there.asked == []


def test_a_gated_model_is_told_as_such(there: Hub) -> None:
    there.gated.add("tiny/gemma")
    with pytest.raises(ModelError, match="its owner asks for a login and consent there first"):
        fetch.ensure(model_card("tiny/gemma"))


@pytest.mark.usefixtures("there")
def test_a_model_that_is_not_there_is_told_as_such() -> None:
    with pytest.raises(ModelError, match="the hub has no public model 'tiny/gtp2'"):
        fetch.ensure(model_card("tiny/gtp2"))


@pytest.mark.usefixtures("there")
def test_a_commit_that_is_not_there_is_told_as_such() -> None:
    card = replace(model_card("tiny/gpt2"), revision="a" * 40)
    with pytest.raises(ModelError, match="the hub has no revision 'aaaa"):
        fetch.ensure(card)


@pytest.mark.parametrize("left_out", ["config.json", "tokenizer.json", WEIGHTS])
def test_a_model_without_what_loading_needs_is_refused_by_the_name_of_what_it_lacks(
    left_out: str, there: Hub, tmp_path: Path
) -> None:
    (_altered(there, "gpt2", tmp_path / "part") / left_out).unlink()
    with pytest.raises(ModelError, match=f"it lacks {left_out}, and pickled weights are not loaded"):
        fetch.ensure(model_card("tiny/gpt2"))


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("file", [WEIGHTS, "config.json", "tokenizer.json"])
@pytest.mark.parametrize("damage", [_flip_a_byte, _truncate])
def test_a_damaged_file_is_refused_and_fetched_anew_when_asked(
    damage: object, file: str, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = _in_cache("tiny/llama", file).read_bytes()
    fetch.pinned(model_card("tiny/llama"))
    assert callable(damage)
    damage(_in_cache("tiny/llama", file).resolve())
    with pytest.raises(ModelError, match=rf"tiny/llama is damaged in .*{file} differs .*fetch tiny/llama --anew"):
        load_model("tiny/llama", "cpu")
    assert _fetch("tiny/llama", capfd=capfd)[0] == 1
    assert _fetch("tiny/llama", "--check", capfd=capfd)[0] == 1
    assert _fetch("tiny/llama", "--anew", capfd=capfd)[0] == 0
    assert _in_cache("tiny/llama", file).read_bytes() == whole


@pytest.mark.usefixtures("there")
def test_a_pointer_in_place_of_weights_is_told_as_such() -> None:
    weights = _in_cache("tiny/llama").resolve()
    weights.write_bytes(POINTER + b"v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ModelError, match=r"is damaged .*: of model\.safetensors only git's pointer lies there; "):
        fetch.pinned(model_card("tiny/llama"))


def test_nothing_is_fetched_anew_where_nothing_is_damaged(there: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    fetch.ensure(model_card("tiny/llama"))
    there.asked.clear()
    assert _fetch("tiny/llama", "--anew", capfd=capfd) == (0, "")
    assert there.asked == []


def test_what_cannot_be_fetched_anew_is_told(there: Hub, capfd: pytest.CaptureFixture[str]) -> None:
    _truncate(_in_cache("tiny/llama").resolve())
    there.folders.clear()
    status, told = _fetch("tiny/llama", "--anew", capfd=capfd)
    assert (status, told.count("\n")) == (1, 1)
    assert "the hub has no public model" in told


@pytest.mark.usefixtures("there")
def test_other_weights_than_models_yml_names_are_refused() -> None:
    card = replace(model_card("tiny/gpt2"), sha256="0" * 64)
    with pytest.raises(ModelError, match=r"have sha256 [0-9a-f]{64}, but models\.yml names 0000"):
        fetch.pinned(card)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(broken: float, there: Hub, tmp_path: Path) -> None:
    folder = _altered(there, "llama", tmp_path / "nan")
    weights = load_file(folder / WEIGHTS)
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = broken
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"NaN or infinite numbers are among its weights .*layers\.1\.mlp\.up_proj"):
        load_model("tiny/llama", "cpu")


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("name", "why"),
    [("bert", "finds no original_model.lm_head"), ("roberta", "has no hooks for RobertaForMaskedLM$")],
)
def test_a_model_that_no_reproduction_can_read_is_refused_by_the_part_that_is_missing(name: str, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        load_model(f"tiny/{name}", "cpu")


@pytest.mark.usefixtures("there")
def test_a_model_that_looks_ahead_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "EVERY", ())
    with pytest.raises(ModelError, match="tiny/bert is no model that predicts the next token"):
        load_model("tiny/bert", "cpu")


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("name", "need", "part"), [("mamba", "heads", "W_V"), ("mixtral", "neurons", "blocks.*.mlp.W_out")]
)
def test_a_part_that_only_some_need_is_missed_only_by_them(
    name: str, need: str, part: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _fetch(f"tiny/{name}", "--device", "cpu", capfd=capfd)[0] == 0
    status, told = _fetch(f"tiny/{name}", "--device", "cpu", "--needs", need, capfd=capfd)
    assert (status, told.count("\n")) == (1, 1)
    assert f"tiny/{name} has no {need} that can be read: TransformerLens finds no {part}" in told


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("name", GOOD)
def test_the_usual_architectures_have_every_part(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert _fetch(f"tiny/{name}", "--device", "cpu", "--needs", *examine.NEEDS, capfd=capfd)[0] == 0


def test_a_model_is_examined_once_and_not_loaded_again(there: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetch.main(["tiny/gpt2", "--device", "cpu"]) == 0
    monkeypatch.setattr(examine, "_refuse_broken_weights", lambda *_: pytest.fail("examined again"))
    monkeypatch.setattr("reproductions.common.models.load_model", lambda *_: pytest.fail("loaded again"))
    there.folders.clear()
    assert fetch.main(["tiny/gpt2", "--device", "cpu"]) == 0


@pytest.mark.usefixtures("there")
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize(("device", "why"), [("cuda", "this PyTorch sees no GPU"), ("mps", "compute wrong numbers")])
def test_a_device_that_is_of_no_use_is_refused_before_anything_is_fetched(
    device: str, why: str, there: Hub, capfd: pytest.CaptureFixture[str]
) -> None:
    status, told = _fetch("tiny/gpt2", "--device", device, capfd=capfd)
    assert (status, there.asked) == (1, [])
    assert why in told
    with pytest.raises(ModelError, match=why):
        load_model("tiny/gpt2", device)


@pytest.mark.parametrize("name", ["gpt2", "pythia-70m"])
def test_the_listed_models_of_the_hub_are_fetched_at_their_commit(name: str, made: Path, there: Hub) -> None:
    card: ModelCard = model_card(name)
    there.folders[card.source] = made / {"gpt2": "gpt2", "pythia-70m": "neox"}[name]
    there.commit = card.revision
    assert fetch.pinned(replace(card, sha256=None)).revision == card.revision
    assert hub.cached(card) is not None


def test_one_file_has_its_own_identity_and_the_order_of_several_does_not_matter() -> None:
    assert identity({"a": "1" * 64}) == "1" * 64
    assert identity({"a": "1" * 64, "b": "2" * 64}) == identity({"b": "2" * 64, "a": "1" * 64})
    assert identity({"a": "1" * 64, "b": "2" * 64}) != identity({"a": "2" * 64, "b": "1" * 64})


@pytest.mark.usefixtures("there")
def test_a_cache_that_another_program_filled_works_without_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch.ensure(model_card("tiny/gpt2"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert load_model("tiny/gpt2", "cpu").cfg.n_layers == 2
