"""An interrupted run goes on from what it kept, or is refused in one sentence that says why."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from picks.run import command, continuation, runner
from picks.run.arguments import parse
from picks.run.plan import make_plan
from reproductions.common.dictionaries import named
from reproductions.common.errors import UserError
from reproductions.common.files import write_json
from tests.fixtures import house

# Two expensive parts; each notes on `computed` that it was computed. Between them, the run waits for the file `go`.
STEPS = """
import os, signal, time
from pathlib import Path
import torch
from reproductions.common.steps import step


def expensive(name, values):
    with Path(out, "computed").open("a") as file:
        file.write(name + "\\n")
    return torch.tensor(values)


tosses = step(Path(out), "tosses", lambda: expensive("tosses", [share(seed, bias) for seed in seeds]))
"""
WAIT = """
Path(out, "waiting").write_text(str(os.getpid()))
while not Path(out, "go").exists():
    time.sleep(0.05)
"""
AFTER = """
coins = step(Path(out), "coins", lambda: expensive("coins", [share(seed, 0.5) for seed in seeds]))
per_seed, fair = tosses.tolist(), coins.tolist()
"""
CELLS = (*house.CELLS[:4], "## Steps", STEPS, "## Wait", WAIT, AFTER, *house.CELLS[4:])


GIVEN = ("-p", "n_tosses=30", "-p", "names=a,it's b", "--seeds", "7,8", "--model", "gemma3-270m")


def _house(folder: Path) -> Path:
    """A house whose run waits between two steps."""
    root = house.build(folder)
    house.notebook_path(root).write_text(json.dumps(house.notebook(CELLS)))
    return root


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runner, "fetch_model", lambda _: None)
    return _house(tmp_path)


@pytest.fixture(scope="module")
def _killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A house with a run whose runner was killed while it waited."""
    root = _house(tmp_path_factory.mktemp("killed"))
    ended, _ = _interrupted(root, _kill_runner, *GIVEN)
    assert ended.returncode == -signal.SIGKILL
    return root


@pytest.fixture
def killed(_killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A copy of it, and the directory of its run."""
    monkeypatch.setattr(runner, "fetch_model", lambda _: None)
    root = shutil.copytree(_killed, tmp_path / "copy")
    [folder] = house.run_folders(root)
    return root, folder


def _wait_for(condition: Callable[[], Any]) -> Any:
    until = time.monotonic() + 300  # a busy machine is slow to import torch
    while not (found := condition()) and time.monotonic() < until:
        time.sleep(0.05)
    assert found
    return found


def _interrupted(root: Path, stop: Callable[[subprocess.Popen[str], int], Any], *arguments: str) -> tuple[Any, Path]:
    """A run that was stopped while it waited: how its runner ended, and its directory."""
    process = house.start(root, "2501.08310", *arguments)
    [waiting] = _wait_for(lambda: list(root.glob("runs/*/*/*/waiting")))
    kernel = _wait_for(waiting.read_text)
    stop(process, int(kernel))
    stdout, stderr = process.communicate(timeout=120)
    (waiting.parent / "go").touch()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr), waiting.parent


def _kill_runner(process: subprocess.Popen[str], _: int) -> None:
    process.kill()


def _kill_kernel(_: subprocess.Popen[str], kernel: int) -> None:
    os.kill(kernel, signal.SIGKILL)


def _interrupt(process: subprocess.Popen[str], _: int) -> None:
    process.send_signal(signal.SIGINT)


def _results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def _computed(folder: Path) -> list[str]:
    return (folder / "computed").read_text().split()


def test_autoencoders_of_the_users_are_kept_for_the_next_attempt(tmp_path: Path) -> None:
    plan = make_plan(house.build(tmp_path), parse([house.NAME]))
    file = tmp_path / "sae.safetensors"
    file.write_bytes(b"weights")
    (tmp_path / "cfg.json").write_text('{"d_in": 4, "hook_name": "blocks.2.hook_mlp_out"}', encoding="utf8")
    plan = replace(plan, autoencoders=(named(f"path:{file}"),))
    folder = tmp_path / "run"
    folder.mkdir()
    continuation.begin(plan, {}, folder)
    options = parse(["--continue", str(folder)])
    assert continuation.reopen(options).saes == [f"path:{file}"]
    assert json.loads((folder / "autoencoders.json").read_text()) == [str(file)]
    continuation.go_on(plan, folder, record=False)
    file.write_bytes(b"others")
    with pytest.raises(UserError, match="because the autoencoders changed"):
        continuation.go_on(plan, folder, record=False)


def test_a_run_whose_runner_was_killed_goes_on_and_finds_the_same(killed: tuple[Path, Path]) -> None:
    root, folder = killed
    assert json.loads((folder / "state.json").read_text())["state"] == "running"
    assert command.main(["--continue", str(folder)], root) == 0
    assert _computed(folder) == ["tosses", "coins"]
    assert not {"plan.json", "steps"} & {path.name for path in folder.iterdir()}
    assert house.run_folders(root) == [folder]
    house.notebook_path(root).write_text(json.dumps(house.notebook([cell for cell in CELLS if cell != WAIT])))
    assert command.main(["2501.08310", *GIVEN], root) == 0
    [other] = set(house.run_folders(root)) - {folder}
    for part in ("metrics", "claims", "parameters", "model"):
        assert _results(other)[part] == _results(folder)[part]
    assert [_results(run)["provenance"]["continued"] for run in (folder, other)] == [1, 0]


def test_a_killed_kernel_leaves_what_was_kept_and_the_way_to_go_on(root: Path) -> None:
    ended, folder = _interrupted(root, _kill_kernel)
    assert ended.returncode == 137
    assert _told(ended, folder)
    assert house.run(root, "--continue", str(folder)).returncode == 0
    assert _computed(folder) == ["tosses", "coins"]


def test_so_does_an_interruption(root: Path) -> None:
    ended, folder = _interrupted(root, _interrupt)
    assert ended.returncode == 130
    assert _told(ended, folder)


def _told(ended: subprocess.CompletedProcess[str], folder: Path) -> bool:
    return ended.stderr.strip().splitlines()[-2:] == [
        "  kept: tosses; everything else is computed again",
        f"  to go on from the last finished step: tools/repro --continue {folder}",
    ]


def test_a_run_that_kept_nothing_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    house.notebook_path(root).write_text(json.dumps(house.notebook([*house.CELLS[:2], "import time; time.sleep(60)"])))
    assert command.main(["2501.08310", "--timeout", "0.1"], root) == 124
    assert capsys.readouterr().err.endswith("  nothing is kept: none of its expensive steps had finished\n")


def test_a_spoilt_step_is_computed_again(killed: tuple[Path, Path]) -> None:
    root, folder = killed
    for file in (folder / "steps").iterdir():
        file.write_bytes(b"\x80\x04cos\nsystem\n(S'touch executed'\ntR.")
    assert command.main(["--continue", str(folder)], root) == 0
    assert _computed(folder) == ["tosses", "tosses", "coins"]
    assert not Path("executed").exists()
    assert _results(folder)["metrics"][0]["value"] > 0.5


def test_time_is_that_of_the_steps_taken_over_and_of_the_last_attempt(killed: tuple[Path, Path]) -> None:
    root, folder = killed
    path = folder / "steps" / "tosses.json"
    write_json(path, json.loads(path.read_text()) | {"wall_s": 1000.0, "cpu_s": 500.0})
    assert command.main(["--continue", str(folder)], root) == 0
    origin = _results(folder)["provenance"]
    assert 1000 < origin["wall_s"] < 1100
    assert 500 <= origin["cpu_s"] < 600


# What is refused


@pytest.fixture
def interrupted(root: Path) -> Path:
    """The directory of a run that was killed before its kernel started."""
    folder = root / "runs" / "a" / "b" / "c"
    folder.mkdir(parents=True)
    options = parse(["coin_flips"])
    continuation.begin(make_plan(root, options), options.parameters, folder)
    return folder


def _refusal(root: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert command.main(arguments, root) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_a_run_is_not_gone_on_with_while_it_runs(
    root: Path, interrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with continuation.locked(interrupted):
        assert "has not ended" in _refusal(root, capsys, "--continue", str(interrupted))
    with continuation.locked(interrupted):
        pass


def test_a_fault_within_a_lock_is_not_taken_for_another_run(interrupted: Path) -> None:
    with pytest.raises(BlockingIOError), continuation.locked(interrupted):
        raise BlockingIOError


def test_a_complete_run_is_not_gone_on_with(root: Path, interrupted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (interrupted / "results.json").write_text("{}")
    assert "is complete" in _refusal(root, capsys, "--continue", str(interrupted))


@pytest.mark.parametrize("content", [None, "", "[]", '{"attempt": 0}'])
def test_a_folder_that_is_none(
    content: str | None, root: Path, interrupted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is None:
        (interrupted / "plan.json").unlink()
    else:
        (interrupted / "plan.json").write_text(content)
    assert "no directory of an interrupted run" in _refusal(root, capsys, "--continue", str(interrupted))
    assert "no directory of an interrupted run" in _refusal(root, capsys, "--continue", str(interrupted / "none"))


def _other_notebook(root: Path, _: Any) -> None:
    house.notebook_path(root).write_text(json.dumps(house.notebook([*CELLS, "x = 1"])))


def _other_data(root: Path, _: Any) -> None:
    (house.notebook_path(root).parent / "tosses.txt").write_text("HTTH")


def _other_profile(root: Path, _: Any) -> None:
    path = house.notebook_path(root)
    path.write_text(path.read_text().replace("n_tosses = 20", "n_tosses = 25"))


def _other_threads(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_other_notebook, "because the notebook changed"),
        (_other_data, "because reproductions/coin_flips/tosses.txt changed"),
        (_other_profile, "because the profile's parameters changed"),
        (_other_threads, "because the number of threads changed"),
    ],
)
def test_a_run_of_something_else_is_not_gone_on_with(
    change: Any, what: str, root: Path, interrupted: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    change(root, monkeypatch)
    assert what in _refusal(root, capsys, "--continue", str(interrupted))


def test_what_is_only_told_may_change(root: Path, interrupted: Path) -> None:
    notebook = json.loads(house.notebook_path(root).read_text())
    notebook["cells"][0]["source"] = "# Other words"
    house.notebook_path(root).write_text(json.dumps(notebook))
    (house.notebook_path(root).parent / "results").mkdir()
    (house.notebook_path(root).parent / "results" / "a.json").write_text("{}")
    plan = make_plan(root, parse(["coin_flips"]))
    assert continuation.go_on(plan, interrupted, record=False).number == 1
    assert continuation.go_on(plan, interrupted, record=False).number == 2


def test_what_an_interrupted_attempt_reported_is_not_taken_for_the_next_ones(root: Path, interrupted: Path) -> None:
    (interrupted / "reported.json").write_text("{}")
    (interrupted / "figures").mkdir()
    (interrupted / "notes.txt").write_text("the user's")
    continuation.go_on(make_plan(root, parse(["coin_flips"])), interrupted, record=False)
    assert {path.name for path in interrupted.iterdir()} == {"plan.json", "notes.txt"}


@pytest.mark.parametrize(
    "asked",
    [
        {"paper": "--record"},
        {"paper": "../evil"},
        {"parameters": {"x=1 y": "2"}},
        {"profile": "slow"},
        {"paper": "verify"},
    ],
    ids=str,
)
def test_a_plan_is_read_as_the_command_line_is(asked: dict[str, Any], root: Path, interrupted: Path) -> None:
    path = interrupted / "plan.json"
    content = json.loads(path.read_text())
    write_json(path, content | {"asked": content["asked"] | asked})
    with pytest.raises(SystemExit) as refusal:  # by the command line's own reader, or by what comes after it
        sys.exit(command.main(["--continue", str(interrupted)], root))
    assert refusal.value.code == 2
    assert not (interrupted / "state.json").exists()


@pytest.mark.parametrize("more", [["2501.08310"], ["-p", "n_tosses=3"], ["--profile", "quick"], ["--out", "x"]])
def test_nothing_is_asked_anew(more: list[str], interrupted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        command.main(["--continue", str(interrupted), *more])
    assert error.value.code == 2
    assert "with what it was started with" in capsys.readouterr().err


def _commit(root: Path) -> None:
    (root / ".gitignore").write_text("runs/\n")
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all", "--allow-empty"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def test_only_a_run_from_one_clean_commit_is_recorded(root: Path, tmp_path: Path) -> None:
    options = parse(["coin_flips"])
    plan = make_plan(root, options)
    dirty, clean = tmp_path / "dirty", tmp_path / "clean"
    for folder in (dirty, clean):
        folder.mkdir()
        continuation.begin(plan, options.parameters, folder)
        if folder == dirty:
            _commit(root)
    assert continuation.go_on(plan, clean, record=True).number == 1
    _commit(root)
    for folder in (dirty, clean):
        with pytest.raises(UserError, match="one commit and a clean tree"):
            continuation.go_on(plan, folder, record=True)
        assert continuation.go_on(plan, folder, record=False).number >= 1
