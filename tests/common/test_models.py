"""Loading a model: from a hub snapshot made here, and, where the default model is cached, the real thing."""

import json
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformer_lens.model_bridge import TransformerBridge
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from reproductions.common import hub
from reproductions.common.catalogue import ModelError, model_card
from reproductions.common.models import NotANumberError, load_model

NAME = "tiny/llama"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WORDS = ["<s>", "the", "capital", "of", "France", "is", "Paris"]
TEXT = "the capital of France is"


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A random Llama in bfloat16, as the hub cache would keep it, and no network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--tiny--llama"
    folder = repository / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    _save_llama(folder)
    _save_tokenizer(folder)
    return folder


def _save_llama(folder: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=len(WORDS),
        bos_token_id=0,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)


def _save_tokenizer(folder: Path) -> None:
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<s>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="<s>").save_pretrained(folder)


def _reference(folder: Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


@pytest.mark.usefixtures("snapshot")
def test_a_model_comes_in_float32_for_evaluation_and_without_gradients() -> None:
    model = load_model(NAME)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert not model.training
    assert not model(TEXT).requires_grad
    assert model.cfg.model_name == NAME


def test_its_weights_and_logits_are_the_models_own(snapshot: Path) -> None:
    model, reference = load_model(NAME), _reference(snapshot)
    tokens = model.to_tokens(TEXT)
    assert tokens.tolist() == [[0, 1, 2, 3, 4, 5]]
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), reference(tokens).logits)
    values = reference.model.layers[1].self_attn.v_proj.weight
    assert torch.equal(model.W_V[1], values.view(2, 8, 32).transpose(1, 2))


@pytest.mark.usefixtures("snapshot")
def test_the_hooks_that_reproductions_rely_on_fire_and_add_up() -> None:
    model = load_model(NAME)
    _, cache = model.run_with_cache(TEXT)
    block = "blocks.1."
    values = cache[f"{block}attn.hook_v"].repeat_interleave(2, dim=2)
    mixed = torch.einsum("bhqk,bkhd->bqhd", cache[f"{block}attn.hook_pattern"], values)
    torch.testing.assert_close(mixed, cache[f"{block}attn.hook_z"])
    written = torch.einsum("bqhd,hdm->bqm", mixed, model.W_O[1])
    middle = cache[f"{block}hook_resid_pre"] + written
    torch.testing.assert_close(middle + cache[f"{block}hook_mlp_out"], cache[f"{block}hook_resid_post"])


@pytest.mark.usefixtures("snapshot")
def test_a_hook_can_change_the_outcome() -> None:
    model = load_model(NAME)
    hook = ("blocks.0.attn.hook_z", lambda z, hook: torch.zeros_like(z))
    assert not torch.equal(model.run_with_hooks(TEXT, fwd_hooks=[hook]), model(TEXT))


def test_loading_is_silent(snapshot: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert hub.cached(model_card(NAME)) == snapshot
    load_model(NAME)
    assert capfd.readouterr() == ("", "")


def test_pickled_weights_are_not_loaded(snapshot: Path) -> None:
    torch.save({}, snapshot / "pytorch_model.bin")
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"tiny/llama could not be fetched .* HF_HUB_OFFLINE is set"):
        load_model(NAME)


def test_a_snapshot_without_a_shard_is_not_taken_for_whole(snapshot: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert hub.cached(model_card(NAME)) is None


@pytest.mark.parametrize("left_out", ["config.json", "tokenizer.json"])
def test_a_snapshot_of_which_another_program_took_only_a_part_is_not_taken_for_whole(
    left_out: str, snapshot: Path
) -> None:
    (snapshot / left_out).unlink()
    assert hub.cached(model_card(NAME)) is None


def test_code_that_comes_with_a_model_is_not_run(snapshot: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (snapshot / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Config: ...\n", encoding="utf-8")
    config = json.loads((snapshot / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}
    (snapshot / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="tiny/llama is in the cache, but cannot be loaded"):
        load_model(NAME)
    assert not ran.exists()


def test_a_model_that_is_no_language_model_is_refused(snapshot: Path) -> None:
    config = {"model_type": "vit", "architectures": ["ViTForImageClassification"]}
    (snapshot / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="tiny/llama is in the cache, but cannot be loaded"):
        load_model(NAME)


def test_a_model_whose_file_lacks_a_weight_is_refused_rather_than_filled_at_random(snapshot: Path) -> None:
    weights = load_file(snapshot / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, snapshot / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"its file lacks the weights model\.norm\.weight"):
        load_model(NAME)


@pytest.mark.usefixtures("snapshot")
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_told() -> None:
    with pytest.raises(ModelError, match="this PyTorch sees no GPU; use device='cpu'"):
        load_model(NAME, device="cuda")


@pytest.fixture(scope="module")
def default_model() -> TransformerBridge:
    return load_model()


@pytest.mark.model
def test_the_default_model_knows_the_capital_of_france(default_model: TransformerBridge) -> None:
    best = default_model(" The capital of France is")[0, -1].topk(3).indices
    assert " Paris" in [default_model.tokenizer.decode(token) for token in best]


@pytest.mark.model
def test_the_default_models_embeddings_are_tied(default_model: TransformerBridge) -> None:
    assert default_model.W_U.data_ptr() == default_model.W_E.data_ptr()
    assert default_model.W_E.shape == (49152, 576)


@pytest.mark.model
def test_the_default_models_tokenizer_takes_digits_singly(default_model: TransformerBridge) -> None:
    assert default_model.to_str_tokens("in  1999", prepend_bos=False) == ["in", "  ", "1", "9", "9", "9"]


@pytest.mark.model
@pytest.mark.usefixtures("default_model")
def test_a_model_in_the_cache_is_loaded_without_gguf_and_in_silence() -> None:
    script = (
        "import sys; from reproductions.common.models import load_model; load_model(); "
        "sys.exit('gguf' in sys.modules or 'reproductions.common.convert' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_run_ends_where_the_model_puts_out_nan(snapshot: Path) -> None:
    model = load_model(NAME, "cpu")
    tokens = model.to_tokens(TEXT)
    model(tokens)
    broken = [("blocks.1.hook_resid_post", lambda value, hook: value * torch.nan)]
    with model.hooks(fwd_hooks=broken), pytest.raises(NotANumberError, match="NaN or infinite"):
        model(tokens)
