"""The canary: a machine that computes wrongly is told so, once for a model and a machine."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from reproductions.common import examine
from reproductions.common.catalogue import Canary, ModelCard, ModelError, model_card, model_names
from tests.common.tiny_bridge import tiny_llama

PROMPT, TOKENS = "w1 w2 w3", (0, 5, 7)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def card(llama: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    monkeypatch.setenv("DAILY_PICKS_CACHE", str(tmp_path))
    with torch.no_grad():
        logits = llama(llama.to_tokens(PROMPT))[0, -1, list(TOKENS)].tolist()
    canary = Canary(PROMPT, TOKENS, tuple(round(logit, 3) for logit in logits))
    return replace(model_card("smollm2-135m"), name="tiny", sha256="0" * 64, canary=canary)


def test_a_machine_that_computes_rightly_is_remembered(llama: Any, card: ModelCard) -> None:
    assert examine.remembered(card, "cpu") is None
    examine.examine(llama, card, "cpu")
    assert examine.remembered(card, "cpu") == {"heads": [], "neurons": [], "sublayers": []}


def test_a_machine_that_computes_wrongly_is_told_with_numbers_and_not_remembered(llama: Any, card: ModelCard) -> None:
    wrong = [("blocks.1.hook_mlp_out", lambda value, hook: value * 2)]
    with llama.hooks(fwd_hooks=wrong), pytest.raises(ModelError, match="this machine computes tiny wrongly") as refused:
        examine.examine(llama, card, "cpu")
    told = str(refused.value)
    assert card.canary is not None
    assert ", ".join(f"{logit:.2f}" for logit in card.canary.logits) in told
    assert "\n" not in told
    assert examine.remembered(card, "cpu") is None


def test_rounding_is_no_wrong_computing(llama: Any, card: ModelCard) -> None:
    rounded = [("blocks.1.hook_mlp_out", lambda value, hook: value * (1 + 1e-5))]
    with llama.hooks(fwd_hooks=rounded):
        examine.examine(llama, card, "cpu")


def test_it_costs_nothing_the_second_time(llama: Any, card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    examine.examine(llama, card, "cpu")
    monkeypatch.setattr(examine, "_refuse_wrong_logits", lambda *_: pytest.fail("looked at again"))
    examine.examine(llama, card, "cpu")


@pytest.mark.parametrize("what", ["device", "weights", "canary", "instructions", "torch", "processor"])
def test_on_another_machine_it_is_looked_at_again(
    what: str, llama: Any, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    examine.examine(llama, card, "cpu")
    device = "cuda" if what == "device" else "cpu"
    match what:
        case "weights":
            card = replace(card, sha256="1" * 64)
        case "canary":
            card = replace(card, canary=Canary("w1", (1,), (0.0,)))
        case "instructions":
            monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
        case "torch":
            monkeypatch.setattr(examine.metadata, "version", lambda package: "9.9")
        case "processor":
            monkeypatch.setattr(examine, "_machine", lambda: ["another"])
    assert examine.remembered(card, device) is None


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_memory_is_none(content: str, llama: Any, card: ModelCard, tmp_path: Path) -> None:
    examine.examine(llama, card, "cpu")
    (memory,) = (tmp_path / "examined").iterdir()
    memory.write_text(content, encoding="utf8")
    assert examine.remembered(card, "cpu") is None


def test_a_cache_that_cannot_be_written_to_is_no_hindrance(
    llama: Any, card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf8")
    monkeypatch.setenv("DAILY_PICKS_CACHE", str(tmp_path / "file"))
    examine.examine(llama, card, "cpu")


@pytest.mark.parametrize("name", [name for name in model_names() if model_card(name).kind == "wheels"])
def test_each_model_that_pip_fetches_has_a_canary(name: str) -> None:
    canary = model_card(name).canary
    assert canary is not None
    assert len(canary.tokens) == len(canary.logits) == len(set(canary.tokens)) >= 4


def test_what_is_remembered_is_known_without_torch() -> None:
    import subprocess
    import sys

    script = (
        "import sys; from reproductions.common import examine; from reproductions.common.catalogue import model_card; "
        "examine.remembered(model_card('smollm2-135m'), 'auto'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
