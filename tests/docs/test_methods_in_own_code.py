"""The examples for people who import a method: as written, from a wheel of the project, on tiny models."""

import inspect
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

import reproductions.circular_features
import reproductions.dictionary_features
import reproductions.feature_absorption
import reproductions.feature_flow
import reproductions.head_mapping
import reproductions.induction_clamping
import reproductions.layer_linearity
import reproductions.neurons_to_neutrons
import reproductions.output_centric
import reproductions.sae_dark_matter
import reproductions.sae_errors
import reproductions.spectral_detuning
from picks.environment import ROOT

PAGE = (ROOT / "site" / "pages" / "methods.md").read_text(encoding="utf8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PACKAGES = (
    *(reproductions.head_mapping, reproductions.feature_flow, reproductions.output_centric),
    *(reproductions.layer_linearity, reproductions.circular_features, reproductions.sae_errors),
    *(reproductions.sae_dark_matter, reproductions.feature_absorption, reproductions.dictionary_features),
    reproductions.induction_clamping,
    reproductions.neurons_to_neutrons,
    reproductions.spectral_detuning,
)

# A tiny GPT-2 whose tokenizer knows each capital as one word, and words to spell, instead of the real one.
MODEL = """
import torch
from sae_lens import StandardSAE, StandardSAEConfig
from tokenizers import Tokenizer, models, pre_tokenizers
from transformer_lens.model_bridge import TransformerBridge
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from reproductions.head_mapping import load_relations

words = {word for pair in load_relations(["country_capital"])["country_capital"].pairs for word in pair}
spelled = [f"Ġ{a}{b}{c}" for a in "abcdefghij" for b in "abcdefghi" for c in "abcdefghi"]
names = {word: place for place, word in enumerate(["<end>", *sorted(words), *spelled])}
split = Tokenizer(models.WordLevel(names, unk_token="<end>"))
split.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=split, unk_token="<end>", eos_token="<end>", pad_token="<end>")
torch.manual_seed(0)
config = GPT2Config(n_embd=24, n_layer=2, n_head=4, n_positions=128, vocab_size=len(names), attn_implementation="eager")
tiny = TransformerBridge.boot_transformers("gpt2", hf_model=GPT2LMHeadModel(config).eval(), tokenizer=tokenizer)
TransformerBridge.boot_transformers = lambda name: tiny
W_dec_before, W_dec_after, directions_of_mine = torch.randn(9, 24), torch.randn(7, 24), torch.randn(3, 24)
sae, other_sae = (StandardSAE(StandardSAEConfig(d_in=24, d_sae=48)) for _ in range(2))
sae = StandardSAE(StandardSAEConfig(d_in=24, d_sae=48))
versions = tiny.W_O[0].flatten(0, 1) + torch.randn(5, 24, 4) @ torch.randn(5, 4, 24) / 40
"""
CHECKS = (
    """
assert scores.shape == (1, 2, 4) and (scores >= 0).all() and (scores <= 1).all()
assert len(pairs) > 20
""",
    """
assert matches.source.shape == (7,) and (matches.best <= 1.0001).all()
""",
    """
assert len(words) == 20 and ends.bottom.shape == (3, 20)
""",
    """
assert linearity.shape == (2,) and (linearity <= 1).all()
""",
    """
assert found.points.shape == (2, 5, 2)
""",
    """
assert doublings.shape == (12,)
""",
    """
assert shares[0].shape == shares[1].shape == costs.kl["sae"].shape == (len(scored.tokens),)
""",
    """
assert found.letters == "abcdefghij" and rates.shape == (10,)
""",
    """
assert agreement.mcs.shape == words.purity.shape == (48,) and seen.there.shape == (2, 2)
""",
    """
assert updates.shape == (3,) and (updates <= 200).all()
""",
    """
assert e.shape[0] == 139 and share(e) > fourier(e) / 10 > 0
""",
    """
assert recovered.weights.shape == (24, 24) and recovered.objective[-1] < recovered.objective[0]
""",
)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what `pip install .` puts beside the packages that it needs."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_methods_with_their_data_and_no_results(installed: Path) -> None:
    there = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    for needed in ("models.yml", "common/held_out.jsonl", "common/schemas/reproduction.json", "head_mapping/method.py"):
        assert f"reproductions/{needed}" in there
    assert any(path.endswith("relations/country_capital.yml") for path in there)
    assert not [path for path in there if "/results/" in path or path.endswith((".ipynb", ".pyc"))]


def test_the_documented_lines_run_where_only_the_wheel_is(installed: Path, tmp_path: Path) -> None:
    examples = [text.replace("(model, directions,", "(model, directions_of_mine,") for text in EXAMPLES]
    parts = zip(examples, CHECKS, strict=True)
    program = MODEL + "".join(example + check for example, check in parts)
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(installed)!r})\n{program}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__.rpartition(".")[2])
def test_a_package_shows_the_same_lines_and_exports_what_they_use(package) -> None:
    lines = textwrap.dedent(re.search(r"\n\n((?:    .*\n)+)", inspect.getdoc(package) + "\n")[1]).splitlines()
    examples = "\n".join(EXAMPLES)
    for line in lines:
        assert line.partition("  #")[0] in examples
    assert all(hasattr(package, name) for name in package.__all__)
    used = re.search(rf"from {package.__name__} import (.*)", examples)[1].split(", ")
    assert set(used) <= set(package.__all__)
