"""Single runs, with real kernels: every way a notebook can end, and what is left of it."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from picks.run import command, launch, runner, session
from picks.run.arguments import parse
from picks.run.plan import make_plan
from picks.run.progress import LiveProgress, progress_on
from picks.run.state import cell_titles
from reproductions.common.dictionaries import OwnAutoencoder, named
from reproductions.common.errors import UserError
from tests.fixtures import house

NEVER = "## Never reached\n\n(the cell before stops the run)"


class Ran:
    """What a run in this process left behind."""

    def __init__(self, root: Path, code: int, stdout: str, stderr: str) -> None:
        self.code, self.stdout, self.stderr = code, stdout, stderr
        [self.folder] = house.run_folders(root)

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.folder / "state.json").read_text())

    @property
    def cells(self) -> list[str]:
        return [cell["state"] for cell in self.state["cells"]]

    @property
    def notebook(self) -> dict[str, Any]:
        return json.loads((self.folder / "notebook.ipynb").read_text())

    @property
    def code_cells(self) -> list[dict[str, Any]]:
        return [cell for cell in self.notebook["cells"] if cell["cell_type"] == "code"]

    @property
    def complete(self) -> bool:
        return (self.folder / "results.json").exists()


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a house's notebook, with `code` in place of what it does, in this process."""
    monkeypatch.setattr(runner, "fetch_model", lambda _: None)
    former = signal.getsignal(signal.SIGTERM)

    def run(*code: str, arguments: tuple[str, ...] = ()) -> Ran:
        root = house.build(tmp_path, *code)
        exit_code = command.main(["2501.08310", *arguments], root)
        return Ran(root, exit_code, *capsys.readouterr())

    yield run
    signal.signal(signal.SIGTERM, former)


def _alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be collected does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def _wait_for(condition: Any, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(condition())


def test_a_run_that_ends_well_leaves_everything(ran: Any) -> None:
    run = ran()
    assert run.code == 0, run.stderr
    assert run.state["state"] == "complete"
    assert run.cells == ["completed"] * 4
    assert sorted(path.name for path in run.folder.iterdir()) == [
        "data", "executed.json", "figures", "notebook.ipynb", "reported.json", "results.json", "state.json",
    ]  # fmt: skip
    assert run.folder.parent.relative_to(run.folder.parents[3]) == Path("runs/coin_flips/smollm2-135m")


def test_a_killed_kernel_is_told_and_no_cell_after_it_counts_as_run(ran: Any) -> None:
    run = ran("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", NEVER, "print('never')")
    assert run.code == 137
    assert (run.state["state"], run.complete) == ("killed", False)
    assert run.cells == ["completed", "completed", "failed", "not run"]
    assert [cell["metadata"]["papermill"]["status"] for cell in run.code_cells] == [
        "completed", "completed", "failed", "pending",
    ]  # fmt: skip
    assert "too little memory" in run.stderr


def test_a_kernel_that_dies_otherwise_is_told_apart(ran: Any) -> None:
    run = ran("import os; os._exit(3)", NEVER, "print('never')")
    assert run.code == 138
    assert (run.state["state"], run.cells[-2:]) == ("killed", ["failed", "not run"])
    assert "exit status 3" in run.stderr


def test_a_deadline_is_for_the_whole_notebook(ran: Any) -> None:
    nap = "import os, time; print(os.getpid()); time.sleep(2)"
    run = ran(nap, nap, nap, NEVER, "print('never')", arguments=("--timeout", "5"))
    assert run.code == 124
    assert (run.state["state"], run.complete) == ("timeout", False)
    assert run.cells[-1] == "not run"
    assert "failed" in run.cells
    assert "deadline of 5 s" in run.stderr
    pid = int(run.code_cells[2]["outputs"][0]["text"][0])
    assert _wait_for(lambda: not _alive(pid), 3)


def test_a_deadline_may_pass_before_the_kernel_is_there(ran: Any) -> None:
    run = ran("import time; time.sleep(60)", arguments=("--timeout", "0.001"))
    assert run.code == 124
    assert run.cells == ["not run"] * 3


def test_a_kernel_that_does_not_start_says_why(ran: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "picks").mkdir()
    (tmp_path / "picks" / "__init__.py").write_text("raise ImportError('no kernel today')")
    monkeypatch.setattr(launch, "CODE", tmp_path)
    (tmp_path / "tools").symlink_to(tmp_path)
    run = ran("x = 1")
    assert run.code == 138
    assert (run.state["state"], run.cells) == ("killed", ["not run"] * 3)
    assert "the kernel did not start: ImportError: no kernel today" in run.stderr


def test_an_exception_is_told_in_four_lines(ran: Any) -> None:
    run = ran(
        "raise ValueError('the coin stands\\non its edge')", NEVER, "print('never')", arguments=("--seeds", "0,1")
    )
    assert run.code == 4
    assert (run.state["state"], run.cells[-2:], run.complete) == ("error", ["failed", "not run"], False)
    progress, what, why, where, again = run.stderr.strip().rsplit("\n", 4)
    assert "2501.08310" in what
    assert "On the Fairness of Coins" in what
    assert '"The cell under test"' in what
    assert why == "  ValueError: the coin stands"
    assert where == f"  the notebook so far: {run.folder / 'notebook.ipynb'}"
    assert again == "  to run it again: tools/repro 2501.08310 --seeds 0,1"
    assert "Traceback" not in progress
    assert "papermill" not in run.stderr


def test_the_notebook_of_an_exception_leads_to_its_cell(ran: Any) -> None:
    run = ran("1 / 0")
    markdown = "".join("".join(cell["source"]) for cell in run.notebook["cells"] if cell["cell_type"] == "markdown")
    assert "papermill-error-cell" in markdown
    assert any(output["output_type"] == "error" for cell in run.code_cells for output in cell["outputs"])


def test_leaving_early_is_no_success(ran: Any) -> None:
    """papermill takes `sys.exit(0)` for a good end."""
    run = ran("import sys; sys.exit(0)", NEVER, "print('never')")
    assert run.code == 4
    assert (run.state["state"], run.cells[-2:], run.complete) == ("error", ["failed", "not run"], False)


def test_a_notebook_that_reports_nothing_is_an_error(ran: Any) -> None:
    run = ran("x = 1")
    assert run.code == 4
    assert (run.state["state"], run.complete) == ("error", False)
    assert "report.finish()" in run.stderr


@pytest.mark.parametrize(
    ("reported", "why"),
    [
        ({"metrics": [], "data": [], "figures": [{"file": "../../outside.png"}]}, "no file in the run directory"),
        ({"metrics": [], "data": [], "figures": [{"file": "/etc/hostname"}]}, "no file in the run directory"),
        ({"metrics": [], "data": [], "figures": [{"file": "link.png"}]}, "no file in the run directory"),
        ({"metrics": [], "data": [], "figures": [{}]}, "not what report.finish() writes"),
        ({"metrics": [], "data": [], "figures": []}, "the notebook did not report"),
        ([1], "not what report.finish() writes"),
    ],
)
def test_a_report_is_checked_not_trusted(reported: Any, why: str, ran: Any) -> None:
    code = f"""
import json, os
from pathlib import Path
Path(out).parents[1].joinpath("outside.png").write_text("x")
os.symlink("/etc/hostname", Path(out, "link.png"))
Path(out, "reported.json").write_text(json.dumps({reported!r}))
"""
    run = ran(code)
    assert run.code == 4
    assert why in run.stderr
    assert not run.complete


def test_parameters_reach_the_notebook_as_their_types(ran: Any) -> None:
    code = """
assert (n_tosses, type(bias), bias, spin, coin) == (30, float, 1.0, True, "penny")
assert names == ["2501.08310", "{out}", "it's", 'a"b'] and seeds == [7] and model == "gemma3-270m" and device == "cpu"
"""
    given = ("-p", "n_tosses=30", "-p", "bias=1", "-p", "spin=true", "-p", "names=2501.08310,{out},it's,a\"b")
    run = ran(code, arguments=(*given, "--seeds", "7", "--model", "gemma3-270m", "--device", "cpu"))
    assert run.cells[-1] == "completed", run.stderr


def test_a_million_lines_make_a_small_notebook(ran: Any) -> None:
    run = ran(
        "for i in range(1000):\n    print('\\n'.join(str(i * 1000 + j) for j in range(1000)))",
        "for i in range(500):\n    print(i, flush=True)",
    )
    assert (run.folder / "notebook.ipynb").stat().st_size < 200_000
    million, flushed = (cell["outputs"] for cell in run.code_cells[2:])
    text = "".join(million[0]["text"])
    assert (len(million), len(flushed)) == (1, 1)
    assert text.startswith("0\n1\n2\n")
    assert text.endswith("999998\n999999\n")
    assert "characters cut here" in text
    assert "".join(flushed[0]["text"]) == "".join(f"{i}\n" for i in range(500))


def test_figures_without_end_make_a_bounded_notebook(ran: Any) -> None:
    display = "from IPython.display import display\n"
    run = ran(
        display + "for i in range(10):\n    display({'image/png': 'x' * 1_500_000}, raw=True)",
        display + "for i in range(300):\n    display({'text/plain': 'small'}, raw=True)",
        display + "handle = display('a', display_id=True)\nhandle.update('b' * 3_000_000)",
    )
    assert (run.folder / "notebook.ipynb").stat().st_size < 10 * 2**20
    large, many, updated = (cell["outputs"] for cell in run.code_cells[2:])
    assert sum("image/png" in output["data"] for output in large) == 4
    assert len(many) == 101
    assert "left out" in "".join(many[-1]["data"]["text/plain"])
    assert "left out" in "".join(updated[0]["data"]["text/plain"])


def test_the_kernel_sees_a_clean_environment(ran: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    startup = tmp_path / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("intruder = 1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("PYTHONSTARTUP", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("KMP_BLOCKTIME", "5")
    code = """
import os, sys
from pathlib import Path
assert "secret" not in os.environ.values()
assert os.environ["HF_HUB_OFFLINE"] == "1" and os.environ["OMP_NUM_THREADS"] == "1"
assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE" and os.environ["KMP_BLOCKTIME"] == "5"
assert "intruder" not in globals()
assert Path("papers").is_dir() and Path("reproductions").is_dir()
assert sys.stdin is None or os.read(0, 1) == b""
import reproductions.common.claims
"""
    run = ran(code)
    assert run.cells[-1] == "completed", run.stderr


def test_threads_are_the_users_or_the_processors_within_reason() -> None:
    assert launch.threads({"OMP_NUM_THREADS": "3"}) == 3
    for odd in ({}, {"OMP_NUM_THREADS": ""}, {"OMP_NUM_THREADS": "0"}, {"OMP_NUM_THREADS": "many"}):
        assert 1 <= launch.threads(odd) <= launch.MOST_THREADS


def test_sockets_fit_however_long_the_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(launch.tempfile, "tempdir", str(deep))
    with launch.socket_folder() as folder:
        assert len(str(folder / "kernel.json")) < launch.LONGEST_SOCKET
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


SLEEPER = """
import json, os, subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path(out, "pids.part").write_text(json.dumps([os.getpid(), child.pid]))
Path(out, "pids.part").rename(Path(out, "pids.json"))
time.sleep(600)
"""


def _start_sleeper(root: Path) -> tuple[Any, list[int]]:
    """A runner in the middle of a notebook, the pids of its kernel and of the kernel's child."""
    process = house.start(root, "2501.08310")
    assert _wait_for(lambda: list(root.glob("runs/*/*/*/pids.json")), 60)
    [pids] = root.glob("runs/*/*/*/pids.json")
    return process, json.loads(pids.read_text())


def test_nothing_outlives_a_runner_killed_by_sigkill(tmp_path: Path) -> None:
    root = house.build(tmp_path, SLEEPER)
    process, pids = _start_sleeper(root)
    assert all(_alive(pid) for pid in pids)
    process.kill()
    process.communicate()
    assert _wait_for(lambda: not any(_alive(pid) for pid in pids), 3)
    [killed] = house.run_folders(root)
    assert not (killed / "results.json").exists()
    json.loads((killed / "notebook.ipynb").read_text())
    house.notebook_path(root).write_text(json.dumps(house.notebook(house.CELLS)))
    assert house.run(root, "2501.08310").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_leaves_no_kernel(number: signal.Signals, tmp_path: Path) -> None:
    root = house.build(tmp_path, SLEEPER)
    process, pids = _start_sleeper(root)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert _wait_for(lambda: not any(_alive(pid) for pid in pids), 3)
    [folder] = house.run_folders(root)
    assert json.loads((folder / "state.json").read_text())["state"] == "killed"


def test_parallel_runs_do_not_meet_and_find_the_same(tmp_path: Path) -> None:
    root = house.build(tmp_path)
    for _ in range(2):
        started = [house.start(root, "2501.08310") for _ in range(4)]
        for process in started:
            stdout, stderr = process.communicate(timeout=120)
            assert process.returncode == 0, stderr
            assert "TCP" not in stdout + stderr
    folders = house.run_folders(root)
    records = [json.loads((folder / "results.json").read_text()) for folder in folders]
    assert len(records) == 8
    assert len({json.dumps(record["metrics"]) for record in records}) == 1  # byte-equal
    assert len({record["signature"] for record in records}) == 1
    assert not list(root.glob("runs/**/kernel.log"))


def test_a_run_goes_where_it_is_told_even_with_braces_in_the_path(tmp_path: Path) -> None:
    out = tmp_path / "{n_tosses.__class__}" / "a run"
    root = house.build(tmp_path / "other")
    assert house.run(root, "coin_flips", "--out", str(out)).returncode == 0
    assert (out / "results.json").exists()
    assert (out / "notebook.ipynb").exists()
    assert house.run_folders(root) == []


def test_a_run_never_writes_over_anything(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(UserError, match="--out"):
            runner.take_folder(taken)


def test_a_link_may_not_lead_out_of_runs(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "runs" / "coin_flips").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="leads out of"):
        runner.make_folder(tmp_path, "coin_flips", "smollm2-135m", "quick")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_run_directories_never_collide(tmp_path: Path) -> None:
    assert len({runner.make_folder(tmp_path, "a", "b", "quick") for _ in range(20)}) == 20


def test_a_model_that_is_not_to_be_had_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.sys, "executable", "/bin/false")
    with pytest.raises(UserError, match="smollm2-135m is not to be had"):
        runner.fetch_model(make_plan(house.build(tmp_path), parse([house.NAME])))


@pytest.mark.parametrize(
    ("width", "site", "why"),
    [
        (8, "blocks.1.hook_mlp_out", "vectors of 8 numbers, and the model's have 16"),
        (16, "blocks.2.hook_mlp_out", "0 to 1"),
    ],
)
def test_an_autoencoder_that_cannot_be_of_the_model_is_refused(
    width: int, site: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAILY_PICKS_CACHE", str(tmp_path / "cache"))
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("model.safetensors", "tokenizer.json", "sae.safetensors"):
        (mine / name).write_bytes(b"")
    (mine / "config.json").write_text('{"n_embd": 16, "n_layer": 2}', encoding="utf8")
    plan = make_plan(house.build(tmp_path / "house"), parse([house.NAME, "--model", f"path:{mine}"]))
    assert runner.settled(plan).model.sha256

    def own(width: int, site: str) -> OwnAutoencoder:
        (mine / "cfg.json").write_text(json.dumps({"d_in": width, "hook_name": site}), encoding="utf8")
        return named(f"path:{mine / 'sae.safetensors'}")

    runner.settled(replace(plan, autoencoders=(own(16, "blocks.1.hook_mlp_out"),)))
    with pytest.raises(UserError, match=rf"--sae path:/.* is none of path:/.*mine: it .*{why}"):
        runner.settled(replace(plan, autoencoders=(own(width, site),)))


def test_a_cell_is_named_by_the_heading_above_it() -> None:
    cells = house.notebook(
        ["# Coins\n\ntext\n\n## `Toss` *it*", "a = 1", "b = 2", "## Count\n\nnot a # heading", "c = 3"]
    )
    titles = [cell.title for cell in cell_titles(cells["cells"]).values()]
    assert titles == ["parameters", "Toss it", "Count"]


def test_without_a_heading_a_cell_is_named_by_its_comment() -> None:
    cells = house.notebook(["p = 1", "#: counts heads\nx = 1", "y = 1", "  "])
    assert [cell.title for cell in cell_titles(cells["cells"]).values()] == ["parameters", ": counts heads", "cell 3"]


def test_progress_is_one_plain_line_a_cell_in_a_file_and_live_on_a_terminal() -> None:
    plain, terminal = StringIO(), StringIO()
    for console in (Console(file=plain), Console(file=terminal, force_terminal=True)):
        with progress_on(console) as progress:
            progress.begin("[1/2] Toss [red]the coin[/red]")
            progress.end("0.1 s")
    assert plain.getvalue() == "[1/2] Toss [red]the coin[/red] … 0.1 s\n"
    assert "Toss [red]the coin[/red]" in terminal.getvalue()
    assert isinstance(progress, LiveProgress)


def test_a_run_with_autoencoders_of_the_users_is_compared_with_no_record(tmp_path: Path) -> None:
    plan = make_plan(house.build(tmp_path), parse([house.NAME]))
    file = tmp_path / "sae.safetensors"
    told = session.changes_since(replace(plan, autoencoders=(OwnAutoencoder(file),)), {})
    assert isinstance(told, str)
    assert "not compared" in told
    assert "Autoencoders of yours" in told
