"""A tiny Llama that knows words of three letters, and those of the prompt that asks for their first."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from reproductions.common import first_letters
from tests.common.tiny_bridge import WORDS, tiny_llama

PIECES = ["<s>", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "has", "the", "first", "letter", ":"]
PIECES += [f"Ġ{first}{second}z" for first in "abc" for second in "abcdef"]


def tiny_speller(folder: Path):
    assert len(PIECES) <= len(WORDS)
    bridge = tiny_llama(folder)
    words = Tokenizer(models.WordLevel({piece: place for place, piece in enumerate(PIECES)}, unk_token="<s>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, bos_token="<s>", eos_token="<s>")
    tokenizer.save_pretrained(kept := folder / "tokenizer")
    bridge.tokenizer = PreTrainedTokenizerFast.from_pretrained(kept)
    return bridge


def tiny_deal(model):
    """Its words, dealt; letters with six words are enough, two of which are held out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first_letters, "FEWEST", 6)
        patch.setattr(first_letters, "HELD_OUT", 2)
        return first_letters.vocabulary(model), first_letters.deal(model, most=20, examples=2, seed=0)
