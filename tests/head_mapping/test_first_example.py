"""The first example of the README, a right and a wrong method, says what is found when it is run."""

import re

import pytest

from picks.run.command import ROOT
from reproductions.head_mapping.method import Heads
from tests.head_mapping.planted import SENTENCES, WRONG, planted_model, prediction

ROW = re.compile(r"^\| (.+?) \| ([a-z, ]+) \| ([\d.]+) \[.*?\] \| ([\d.]+) \| (.+?) \|$", re.MULTILINE)


def test_the_readme_tells_what_is_found():
    right, wrong = ROW.findall((ROOT / "README.md").read_text(encoding="utf8"))
    model, pairs = planted_model()
    heads = Heads.of(model)
    for (_, verdict, value, control, reason), used in ((right, heads), (wrong, WRONG["W_V transposed"](heads))):
        found = prediction(model, used, pairs, SENTENCES)
        assert (found.verdict, found.reason.partition(" (")[0]) == (verdict, reason)
        assert (found.value, found.control) == pytest.approx((float(value), float(control)), abs=0.1)
