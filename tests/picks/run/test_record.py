"""A run's record: what is in it, how it is kept, and when a later run is told to differ from it."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from picks.run import provenance, record
from picks.run.arguments import parse
from picks.run.plan import Plan, make_plan
from reproductions.common.claims import ClaimError, MetricSpec
from reproductions.common.dictionaries import OwnAutoencoder, named
from reproductions.common.errors import UserError
from reproductions.common.files import dump_json, write_json
from reproductions.common.metrics import Metric, mean_of, missing, share_of
from tests.fixtures import house

HEADS = share_of("heads", 51, 60, (0.8, 0.85, 0.9))
FAIR = share_of("fair", 30, 60)
SHA = hashlib.sha256(b"PNG").hexdigest()
MACHINE = {"cpu_capability": "AVX512", "threads": 2, "device": "cpu", "dtype": "float32", "cpu_s": 1.5}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return house.build(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run directory with one figure and one file of data."""
    for name, content in {"figures/toss.png": b"PNG", "data/toss.json": b"[1]"}.items():
        (tmp_path / "run" / name).parent.mkdir(parents=True)
        (tmp_path / "run" / name).write_bytes(content)
    return tmp_path / "run"


def _plan(root: Path, *arguments: str) -> Plan:
    return make_plan(root, parse(["coin_flips", *arguments]))


def _build(plan: Plan, folder: Path, *metrics: Metric, **reported: Any) -> dict[str, Any]:
    content = {
        "metrics": [metric.to_json() for metric in (metrics or (HEADS, FAIR))],
        "figures": [{"name": "toss", "file": "figures/toss.png", "alt": "a coin", "sha256": "a lie"}],
        "data": [{"name": "toss", "file": "data/toss.json", "sha256": "a lie"}],
        "environment": MACHINE,
    }
    return record.build_record(plan, folder, content | reported, "2026-01-01T00:00:00+00:00", 12.345)


def _git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def _commit(root: Path) -> None:
    _git(root, "init", "-q")
    _git(root, "add", "-A")
    _git(root, "commit", "-qm", "all")


def test_the_record_says_what_was_asked_found_and_by_what(root: Path, folder: Path) -> None:
    built = _build(_plan(root, "-p", "n_tosses=30"), folder)
    assert (built["schema"], built["state"], built["profile"]) == (2, "complete", "quick")
    assert (built["paper"], built["reproduction"], built["model"]["name"]) == (
        "2501.08310", "coin_flips", "smollm2-135m",
    )  # fmt: skip
    assert built["parameters"]["n_tosses"] == {"value": 30, "origin": "command line"}
    assert built["parameters"]["coin"] == {"value": "penny", "origin": "default"}
    assert built["metrics"][0]["per_seed"] == [0.8, 0.85, 0.9]
    assert [claim["verdict"] for claim in built["claims"]] == ["holds", "cannot tell", "not tested"]
    origin = built["provenance"]
    assert (origin["threads"], origin["seeds"], origin["wall_s"]) == (2, [0, 1, 2], 12.3)
    assert origin["packages"].keys() == {"python", *provenance.PACKAGES}
    assert len(origin["claims_sha256"]) == len(origin["notebook_sha256"]) == 64
    assert str(root) not in json.dumps(built)


def test_hashes_of_files_are_our_own(root: Path, folder: Path) -> None:
    assert _build(_plan(root), folder)["figures"][0]["sha256"] == SHA


def test_a_number_that_is_none_becomes_null(root: Path, folder: Path) -> None:
    built = _build(_plan(root), folder, missing("heads"), FAIR)
    assert built["metrics"][0]["value"] is None
    assert "NaN" not in dump_json(built)


def test_a_metric_that_a_claim_needs_must_be_there(root: Path, folder: Path) -> None:
    with pytest.raises(ClaimError, match="C1"):
        _build(_plan(root), folder, FAIR)


def test_the_notebook_hash_is_of_its_code(root: Path) -> None:
    path = house.notebook_path(root)
    before = provenance.notebook_sha256(path)
    notebook = json.loads(path.read_text())
    notebook["cells"][0]["source"] = "# Another text"
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    path.write_text(json.dumps(notebook))
    assert provenance.notebook_sha256(path) == before
    notebook["cells"][1]["source"] += "\n"
    path.write_text(json.dumps(notebook))
    assert provenance.notebook_sha256(path) != before


def test_the_signature_tells_two_numbers_apart(root: Path, folder: Path) -> None:
    built = _build(_plan(root), folder)
    nb, claims = built["provenance"]["notebook_sha256"][:6], built["provenance"]["claims_sha256"][:4]
    assert built["signature"].startswith(
        f"repro:2501.08310|nb:{nb}|claims:{claims}|model:smollm2-135m@b179|profile:quick|seeds:0-2|dtype:f32"
        "|dev:cpu.avx512x2|torch:"
    )
    assert built["signature"].endswith(f"|v:{provenance.own_version()}")
    assert "|n_tosses:30|" in _build(_plan(root, "-p", "n_tosses=30"), folder)["signature"]
    assert "|seeds:0,2,5|" in _build(_plan(root, "--seeds", "0,2,5"), folder)["signature"]
    on_gpu = _build(_plan(root), folder, environment={"device": "cuda", "dtype": "bfloat16"})["signature"]
    assert "|dtype:bf16|dev:cuda|" in on_gpu


def test_without_git_there_is_no_commit(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    origin = _build(_plan(root), folder)["provenance"]
    assert (origin["commit"], origin["dirty"]) == (None, None)


def test_the_commit_is_named_and_whether_the_tree_is_its(root: Path, folder: Path) -> None:
    _commit(root)
    origin = _build(_plan(root), folder)["provenance"]
    assert (len(origin["commit"]), origin["dirty"]) == (40, False)
    (root / "papers" / "new.yml").write_text("x")
    assert _build(_plan(root), folder)["provenance"]["dirty"] is True


def test_what_is_kept_is_found_again(root: Path, folder: Path) -> None:
    plan = _plan(root)
    built = _build(plan, folder)
    results = plan.reproduction.results
    assert record.recorded(plan.reproduction, "smollm2-135m", "quick") is None
    results.mkdir()
    (results / "smollm2-135m.quick.old.png").write_bytes(b"stale")
    (results / "smollm2-135m.full.toss.png").write_bytes(b"another profile's")
    kept = record.keep(built, folder, results)
    names = {"smollm2-135m.quick.json", "smollm2-135m.quick.toss.png", "smollm2-135m.quick.toss.json"}
    assert {path.name for path in kept} == names
    assert {path.name for path in results.iterdir()} == names | {"smollm2-135m.full.toss.png"}
    found = record.recorded(plan.reproduction, "smollm2-135m", "quick")
    assert found is not None
    assert found["figures"][0]["file"] == "smollm2-135m.quick.toss.png"
    assert {key: value for key, value in found.items() if key not in {"figures", "data"}} == {
        key: value for key, value in built.items() if key not in {"figures", "data"}
    }
    assert record.compare(built, found, plan.claims.metrics) == []


def _kept(root: Path, folder: Path, profile: str) -> set[str]:
    """What lies in `results/` once a profile was recorded."""
    plan = _plan(root, "--profile", profile)
    record.keep(_build(plan, folder), folder, plan.reproduction.results)
    return {path.name for path in plan.reproduction.results.iterdir()}


@pytest.mark.parametrize("order", [("quick", "full"), ("full", "quick")])
def test_figures_and_data_are_kept_of_the_fullest_profile_alone(
    root: Path, folder: Path, order: tuple[str, str]
) -> None:
    first, second = order
    assert len(_kept(root, folder, first)) == 3
    stem = "smollm2-135m.full"
    assert _kept(root, folder, second) == {
        "smollm2-135m.quick.json", f"{stem}.json", f"{stem}.toss.png", f"{stem}.toss.json",
    }  # fmt: skip
    quick = record.recorded(_plan(root).reproduction, "smollm2-135m", "quick")
    assert quick is not None
    assert (quick["figures"], quick["data"]) == ([], [])
    assert quick["metrics"] == _build(_plan(root), folder)["metrics"]


def test_what_the_fullest_profile_has_not_got_stays_with_the_other(root: Path, folder: Path) -> None:
    assert len(_kept(root, folder, "quick")) == 3
    plan = _plan(root, "--profile", "full")
    record.keep(_build(plan, folder, data=[]), folder, plan.reproduction.results)
    quick = record.recorded(plan.reproduction, "smollm2-135m", "quick")
    assert quick is not None
    assert [fields["file"] for fields in quick["data"]] == ["smollm2-135m.quick.toss.json"]
    assert (plan.reproduction.results / "smollm2-135m.quick.toss.json").read_bytes() == b"[1]"
    assert quick["figures"] == []


def test_a_number_that_is_no_longer_reported_leaves_the_others_found_again(root: Path, folder: Path) -> None:
    plan = _plan(root)
    built, more = _build(plan, folder), _build(plan, folder, HEADS, FAIR, share_of("edges", 1, 60))
    assert record.found_again(built, more, plan.claims.metrics)
    assert not record.found_again(more, built, plan.claims.metrics)
    assert not record.found_again(_changed(built, heads=0.9), more, plan.claims.metrics)


def test_a_hub_model_makes_one_file_name() -> None:
    assert record.results_stem("owner/name", "quick") == "owner--name.quick"


@pytest.mark.parametrize(("content", "why"), [("{", "not JSON"), ("[]", "not a record"), ('{"schema": 1}', "schema 2")])
def test_a_faulty_record_is_named(content: str, why: str, root: Path) -> None:
    plan = _plan(root)
    plan.reproduction.results.mkdir()
    path = plan.reproduction.results / "smollm2-135m.quick.json"
    path.write_text(content)
    with pytest.raises(UserError, match=why) as refusal:
        record.recorded(plan.reproduction, "smollm2-135m", "quick")
    assert str(path) in str(refusal.value)


def _changed(built: dict[str, Any], *, heads: float | None = None, verdict: str | None = None) -> dict[str, Any]:
    changed = copy.deepcopy(built)
    changed["metrics"][0]["value"] = built["metrics"][0]["value"] if heads is None else heads
    changed["claims"][0]["verdict"] = verdict or built["claims"][0]["verdict"]
    return changed


def test_a_number_is_told_once_it_leaves_its_tolerance(root: Path, folder: Path) -> None:
    plan = _plan(root)
    built = _build(plan, folder)
    specs = plan.claims.metrics
    assert record.compare(_changed(built, heads=0.8505), built, specs) == []
    [moved] = record.compare(_changed(built, heads=0.852), built, specs)
    assert moved == record.Change("heads", "0.85", "0.852", fell=False)
    [lost] = record.compare(_changed(built, heads=math.nan), built, specs)
    assert lost.subject == "heads"


def test_a_number_without_a_tolerance_is_not_compared(root: Path, folder: Path) -> None:
    plan = _plan(root)
    built, other = _build(plan, folder), _build(plan, folder, HEADS, share_of("fair", 24, 60))
    assert record.compare(other, built, plan.claims.metrics) == []


@pytest.mark.parametrize(("gap", "told"), [(0.3, False), (0.4, True)])
def test_numbers_of_chaotic_training_may_move_as_far_as_other_draws(gap: float, told: bool) -> None:
    """Intervals reach .12 to either side of these means: two draws are .33 apart less than once in a thousand times."""
    units = [0.1, 0.3, 0.2, 0.4, 0.5, 0.1, 0.3, 0.2]
    recorded, found = (
        {"claims": [], "metrics": [mean_of("drop", [unit + by for unit in units]).to_json()]} for by in (0, gap)
    )
    spec = MetricSpec("drop", "Drop", "nats", tolerance=0.05, why="training", mean_over="seeds", chaotic=True)
    assert bool(record.compare(found, recorded, {"drop": spec})) == told
    assert record.compare(found, recorded, {"drop": replace(spec, chaotic=False)})


def test_another_draw_of_chaotic_training_vouches_for_nothing(root: Path, folder: Path) -> None:
    plan = _plan(root)
    recorded = _build(plan, folder, mean_of("heads", [0.8, 0.9, 0.7, 0.8]), FAIR)
    redrawn = _build(plan, folder, mean_of("heads", [0.9, 0.9, 0.8, 0.8]), FAIR)
    specs = {name: replace(spec, chaotic=True) for name, spec in plan.claims.metrics.items()}
    assert [change for change in record.compare(redrawn, recorded, specs) if change.subject == "heads"] == []
    assert record.found_again(recorded, recorded, specs)
    assert not record.found_again(redrawn, recorded, specs)


def test_numbers_of_chaotic_training_without_an_interval_keep_to_their_tolerance() -> None:
    spec = MetricSpec("drop", "Drop", "nats", tolerance=0.05, why="training", chaotic=True)
    recorded, near, far = ({"claims": [], "metrics": [{"name": "drop", "value": value}]} for value in (0.2, 0.24, 0.3))
    assert record.compare(near, recorded, {"drop": spec}) == []
    assert record.compare(far, recorded, {"drop": spec})


def test_a_worse_verdict_has_fallen_and_a_better_one_has_changed(root: Path, folder: Path) -> None:
    plan = _plan(root)
    built = _build(plan, folder)
    worse = _changed(built, verdict="cannot tell")
    assert record.compare(worse, built, plan.claims.metrics) == [
        record.Change("claim C1", "holds", "cannot tell", fell=True)
    ]
    assert [change.fell for change in record.compare(built, worse, plan.claims.metrics)] == [False]


def test_only_the_same_question_is_compared(root: Path, folder: Path) -> None:
    built = _build(_plan(root), folder)
    assert record.comparable(_build(_plan(root, "-p", "n_tosses=20"), folder), built)  # the same value, typed by hand
    for other in (("-p", "n_tosses=30"), ("--profile", "full"), ("--model", "gemma3-270m"), ("--seeds", "0,1")):
        assert not record.comparable(_build(_plan(root, *other), folder), built)


def test_a_record_is_a_profile_from_a_commit(root: Path) -> None:
    with pytest.raises(UserError, match="there is none here"):
        record.refuse_unrecordable(_plan(root))
    _commit(root)
    record.refuse_unrecordable(_plan(root))
    results = _plan(root).reproduction.results
    results.mkdir()
    write_json(results / "smollm2-135m.quick.json", {})
    record.refuse_unrecordable(_plan(root))
    with pytest.raises(UserError, match="leave out n_tosses"):
        record.refuse_unrecordable(_plan(root, "-p", "n_tosses=30"))
    with pytest.raises(UserError, match="pinned"):
        record.refuse_unrecordable(_plan(root, "--model", "owner/name"))
    (root / "reproductions" / "coin_flips" / "new.py").write_text("x = 1")
    with pytest.raises(UserError, match=r"clean tree(.|\n)*coin_flips/new\.py"):
        record.refuse_unrecordable(_plan(root))


def test_a_record_is_never_of_a_model_without_a_checksum(root: Path) -> None:
    _commit(root)
    plan = _plan(root, "--model", "gpt2")
    unpinned = replace(plan, model=replace(plan.model, sha256=None))
    with pytest.raises(UserError, match="keeps no model without a checksum; give gpt2 its sha256 in models"):
        record.refuse_unrecordable(unpinned)
    record.refuse_unrecordable(replace(plan, model=replace(plan.model, sha256="0" * 64)))


def test_a_record_is_never_of_what_only_this_machine_has(root: Path, tmp_path: Path) -> None:
    _commit(root)
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"path:/.*mine is not$"):
        record.refuse_unrecordable(_plan(root, "--model", f"path:{tmp_path / 'mine'}"))
    with pytest.raises(UserError, match="leave out --sae"):
        record.refuse_unrecordable(replace(_plan(root), autoencoders=(_own(tmp_path),)))


def _own(folder: Path) -> OwnAutoencoder:
    (folder / "sae").mkdir()
    (folder / "sae" / "w.safetensors").write_bytes(b"weights")
    write_json(folder / "sae" / "cfg.json", {"d_in": 4, "metadata": {"hook_name": "blocks.2.hook_resid_post"}})
    return named(f"path:{folder / 'sae' / 'w.safetensors'}")


def test_the_users_own_model_and_autoencoders_are_marked_as_such(root: Path, folder: Path, tmp_path: Path) -> None:
    own = _own(tmp_path)
    plan = replace(_plan(root, "--model", f"path:{tmp_path}"), autoencoders=(own,))
    plan = replace(plan, model=replace(plan.model, sha256="abcd" * 16))
    built = _build(plan, folder)
    assert (built["model"]["kind"], built["model"]["sha256"]) == ("path", "abcd" * 16)
    sha256 = hashlib.sha256(b"weights").hexdigest()
    assert built["provenance"]["own_autoencoders"] == [
        {"file": str(own.file), "site": "blocks.2.hook_resid_post", "sha256": sha256}
    ]
    assert f"|model:path:{tmp_path}@abcd|" in built["signature"]
    assert f"|sae:{sha256[:4]}|" in built["signature"]
    assert "own_autoencoders" not in _build(_plan(root), folder)["provenance"]


def test_a_model_of_the_hub_is_recorded_with_its_commit_and_checksum(root: Path, folder: Path) -> None:
    plan = _plan(root, "--model", "owner/name")
    plan = replace(plan, model=replace(plan.model, revision="c" * 40, sha256="abcd" * 16))
    built = _build(plan, folder, environment=MACHINE | {"weights_sha256": "abcd" * 16})
    assert (built["model"]["revision"], built["model"]["sha256"]) == ("c" * 40, "abcd" * 16)
    assert "|model:owner/name@abcd|" in built["signature"]


def test_a_run_on_other_weights_than_were_planned_has_no_record(root: Path, folder: Path) -> None:
    with pytest.raises(UserError, match=r"weights of smollm2-135m with sha256 0000, not on .*; run it again"):
        _build(_plan(root), folder, environment=MACHINE | {"weights_sha256": "0000"})


def test_autoencoders_are_only_given_to_what_reads_some(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="coin_flips reads no autoencoders; leave out --sae"):
        _plan(root, "--sae", f"path:{_own(tmp_path).file}")


def test_a_repository_without_a_commit_cannot_record(root: Path) -> None:
    _git(root, "init", "-q")
    with pytest.raises(UserError, match="there is none here"):
        record.refuse_unrecordable(_plan(root))
