"""The examples for people who import a method: as written, from a wheel of the project, on tiny models."""

import importlib
import re
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from picks.environment import ROOT
from picks.run.reproductions import names
from picks.site.own_code import own_code

NAMES = names(ROOT)
EXAMPLES = {name: own_code(ROOT / "reproductions" / name) for name in NAMES}
THE_LINES = "# the lines\n"  # what stands before this in tests/<name>/own_code.txt is given, what follows must be true

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
sae, other_sae = (StandardSAE(StandardSAEConfig(d_in=24, d_sae=48)) for _ in range(2))
model = tiny
"""


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
    program = MODEL + "".join(map(_checked, NAMES))
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(installed)!r})\n{program}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _checked(name: str) -> str:
    """A package's example in a function of its own, so that it takes nothing from another's."""
    example = EXAMPLES[name]
    assert example is not None
    given, _, true = (ROOT / "tests" / name / "own_code.txt").read_text(encoding="utf8").partition(THE_LINES)
    assert "assert" in true
    body = textwrap.indent(f"{given}\n{example.program}\n{true}", "    ")
    return f"def {name}():\n{body}\n\n{name}()\n\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_package_exports_what_its_lines_use_and_nothing_that_is_not_there(name: str) -> None:
    example, package = EXAMPLES[name], importlib.import_module(f"reproductions.{name}")
    assert example is not None
    assert example.title and example.about.endswith(":")
    assert all(hasattr(package, each) for each in package.__all__)
    used = re.search(rf"from reproductions.{name} import (.+)", example.imports)
    assert used and set(used[1].split(", ")) <= set(package.__all__)
