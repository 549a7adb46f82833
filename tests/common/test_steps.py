"""What is kept of a step comes back as it was, or is computed again; nothing of a file is executed."""

import json
import math
from dataclasses import dataclass

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reproductions.common.claims import Claims
from reproductions.common.encoding import EncodingError, decode, encode
from reproductions.common.metrics import Metric, mean_of
from reproductions.common.report import Report
from reproductions.common.steps import StepError, step

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8, torch.uint8, torch.bool)
ARRAYS = ("<f8", "<f4", "<f2", "<i8", "<i4", "u1", "?")


@dataclass(frozen=True)
class Foreign:
    """Frozen, but of no module of the project."""

    value: int


@st.composite
def tensors(draw):
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    made = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(draw(st.integers(0, 99))))
    made = made.to(draw(st.sampled_from(DTYPES)))
    return made.transpose(0, 1) if made.dim() > 1 and draw(st.booleans()) else made


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | tensors()
    | st.sampled_from(ARRAYS).flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, max_side=3)))
    | st.sampled_from([np.float32(0.1), np.int64(7), np.bool_(True), np.float64(math.nan)])
    | st.just(mean_of("r", [0.1, math.nan, 0.3]))
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | inner.map(lambda value: Metric("m", value, 1))
    ),
    max_leaves=8,
)


def same(one, other):
    """Equal in every type, shape and bit; NaN equals NaN."""
    return spelt(one) == spelt(other)


def spelt(value):
    """A value written out."""
    body = repr(value)
    if isinstance(value, torch.Tensor | np.ndarray):
        body = value.dtype, tuple(value.shape), value.tolist()
    elif isinstance(value, Metric):
        body = spelt(vars(value))
    elif isinstance(value, dict):
        body = [(spelt(key), spelt(item)) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        body = [spelt(item) for item in value]
    return f"{type(value).__name__} {body!r}"


@given(values)
def test_every_value_comes_back_from_its_bytes_as_it_was(value):
    skeleton, kept = encode(value)
    found = decode(json.loads(json.dumps(skeleton)), safetensors.torch.load(safetensors.torch.save(kept)))
    assert same(value, found)


@pytest.mark.parametrize(
    "value",
    [{1, 2}, Foreign(1), print, object(), torch.Generator(), torch.Size([1]), np.array(["a"]), np.array([None]), [1j]],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_kept_is_named(value):
    with pytest.raises(EncodingError, match=r"the hits\['a'\]\[1\].*cannot be kept"):
        encode({"a": (0, value)}, "the hits")


HOSTILE = [
    ["object", "os:system", {}],
    ["object", "reproductions.common.files:write_text", {}],
    ["object", "reproductions.common.encoding:importlib", {}],
    ["object", "reproductions.common.report:Report", {}],
    ["object", "tests.common.test_steps:Foreign", {"value": 1}],
    ["object", "reproductions.common.claims:Metric", {}],
    ["object", "reproductions.no_such_module:A", {}],
    ["object", "reproductions.common.metrics:Metric", {"name": "r"}],
    ["object", "reproductions.common.metrics:Metric.__class__", {}],
    ["eval", "1 + 1"],
    ["tensor", "7", "cpu"],
    ["tensor", "0", "nowhere"],
    [["list"]],
    [],
    {},
    ["dict", [["list"], 1]],
]


@pytest.mark.parametrize("node", HOSTILE, ids=str)
def test_nothing_but_values_is_read(node):
    with pytest.raises(EncodingError):
        decode(node, {"0": torch.zeros(1)})


def test_no_module_outside_of_the_project_is_imported(tmp_path, monkeypatch):
    (tmp_path / "intruder.py").write_text("raise SystemExit('executed')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EncodingError):
        decode(["object", "intruder:A", {}], {})


# Steps in a run directory


class Counted:
    """Something expensive that counts how often it was computed."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return {"hits": torch.eye(3, dtype=torch.bool), "rate": math.nan, "seeds": (0, 1)}


def plan(folder, attempt, fingerprint="f"):
    (folder / "plan.json").write_text(json.dumps({"fingerprint": fingerprint, "attempt": attempt}))


@pytest.fixture
def kept(tmp_path):
    """A run directory in which the step `hits` was kept before an interruption."""
    plan(tmp_path, 0)
    step(tmp_path, "hits", Counted())
    plan(tmp_path, 1)
    return tmp_path


def test_a_continued_run_takes_over_what_was_kept(kept, capsys):
    compute = Counted()
    assert same(step(kept, "hits", compute), Counted()())
    assert compute.times == 0
    assert "hits: taken over" in capsys.readouterr().out


def test_a_step_taken_over_stays_kept_for_the_next_interruption(kept):
    step(kept, "hits", Counted())
    plan(kept, 2)
    compute = Counted()
    step(kept, "hits", compute)
    assert compute.times == 0


def test_a_notebook_run_by_hand_keeps_nothing(tmp_path):
    compute = Counted()
    report = Report(str(tmp_path), Claims("2412.11965", {}, ()))
    assert report.step("hits", compute)["seeds"] == (0, 1)
    assert (compute.times, list(tmp_path.iterdir())) == (1, [])


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _garbage(path):
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch executed'\ntR.")


def _empty(path):
    path.write_bytes(b"")


def _nested(path):
    path.write_text("[" * 100_000)


@pytest.mark.parametrize("spoil", [_truncate, _flip, _garbage, _empty, _nested])
@pytest.mark.parametrize("file", ["hits.json", "hits.safetensors"])
def test_a_damaged_step_is_computed_again_and_kept_anew(file, spoil, kept, capsys):
    spoil(kept / "steps" / file)
    compute = Counted()
    assert same(step(kept, "hits", compute), Counted()())
    assert compute.times == 1
    assert "computed again, because what was kept is of no use: its files are damaged" in capsys.readouterr().out
    plan(kept, 2)
    step(kept, "hits", compute)
    assert compute.times == 1


def test_half_a_step_is_none(kept):
    (kept / "steps" / "hits.json").unlink()
    compute = Counted()
    step(kept, "hits", compute)
    assert compute.times == 1


def test_a_value_changed_by_hand_is_not_believed(kept, capsys):
    path = kept / "steps" / "hits.json"
    path.write_text(path.read_text().replace("seeds", "sleds"))
    compute = Counted()
    step(kept, "hits", compute)
    assert compute.times == 1
    assert "other bytes than were written" in capsys.readouterr().out


def test_a_step_of_another_run_is_not_taken_over(kept, capsys):
    plan(kept, 1, fingerprint="other")
    compute = Counted()
    step(kept, "hits", compute)
    assert compute.times == 1
    assert "of another run" in capsys.readouterr().out


def test_a_name_stands_for_one_step(tmp_path):
    plan(tmp_path, 0)
    step(tmp_path, "hits", Counted())
    with pytest.raises(StepError, match="stands for two steps"):
        step(tmp_path, "hits", Counted())


@pytest.mark.parametrize("name", ["", "../hits", "a/b", ".hidden", "Hits", "a b", "a" * 99])
def test_a_name_must_be_able_to_name_a_file(name, tmp_path):
    with pytest.raises(StepError, match="cannot name a step"):
        step(tmp_path, name, Counted())


def test_a_full_disk_does_not_end_the_run(tmp_path, capsys):
    plan(tmp_path, 0)
    (tmp_path / "steps").write_text("no folder")
    assert step(tmp_path, "hits", Counted())["seeds"] == (0, 1)
    assert "could not be kept" in capsys.readouterr().out


def test_what_a_step_cost_is_kept_with_it(kept):
    content = json.loads((kept / "steps" / "hits.json").read_text())
    assert content["attempt"] == 0
    assert 0 <= content["cpu_s"] < 5
    assert 0 <= content["wall_s"] < 60
