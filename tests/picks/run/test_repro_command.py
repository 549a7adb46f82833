"""`tools/repro` from outside: what is printed, where, with which exit code, how fast bad input is refused."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from picks.run import runner, session
from picks.run.command import main
from reproductions.common.files import write_json
from tests.fixtures import house

BUDGET = 0.5  # seconds for help and for any refusal
RESULTS = Path("reproductions") / "coin_flips" / "results"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runner, "fetch_model", lambda _: None)
    return house.build(tmp_path)


def _commit(root: Path) -> None:
    (root / ".gitignore").write_text("runs/\n")
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def _change_record(root: Path, change: Any) -> None:
    path = root / RESULTS / "smollm2-135m.quick.json"
    recorded = json.loads(path.read_text())
    change(recorded)
    write_json(path, recorded)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A run whose output goes into a pipe."""
    return house.run(house.build(tmp_path_factory.mktemp("house")), "2501.08310")


def test_a_run_prints_a_verdict_a_claim(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr
    assert "On the Fairness of Coins: A Study of Tossing (2501.08310)" in done.stdout
    assert "not the base one" in done.stdout
    told = "1 fact holds, 1 cannot be told, 1 is not tested; 1 still holds after Holm's correction"
    assert f"\n{told}: on this model, at this scale.\n" in done.stdout
    assert "Nothing is recorded" in done.stdout
    assert "\nrepro:2501.08310|nb:" in done.stdout
    assert done.stderr.count(" s\n") == 4


def test_a_piped_table_is_plain_and_80_columns_wide(done: subprocess.CompletedProcess[str]) -> None:
    assert "\x1b" not in done.stdout + done.stderr
    table = done.stdout.partition("What the paper claims\n")[2].partition("\n\n")[0]
    assert max(map(len, table.splitlines())) <= 80
    assert re.search(r"C1  holds +0\.83 \[0\.71, 0\.92\] share  control 0\.43  must be above 0\.5\n", table)
    assert re.search(r"C3  not tested +takes fifty years\n", table)


def test_json_is_the_record_and_nothing_else(tmp_path: Path) -> None:
    root = house.build(tmp_path)
    done = house.run(root, "2501.08310", "--json")
    [folder] = house.run_folders(root)
    assert json.loads(done.stdout) == json.loads((folder / "results.json").read_text())


def test_json_of_a_failed_run_is_its_state(tmp_path: Path) -> None:
    done = house.run(house.build(tmp_path, "1 / 0"), "2501.08310", "--json")
    state = json.loads(done.stdout)
    assert done.returncode == 4
    assert (state["state"], state["message"]) == ("error", "ZeroDivisionError: division by zero")
    assert [cell["state"] for cell in state["cells"]] == ["completed", "completed", "failed"]


def test_the_runner_never_imports_torch(tmp_path: Path) -> None:
    root = house.build(tmp_path)
    script = house.COMMAND.replace("sys.exit(command.main(", "command.main(").replace("sys.argv[1])))", "sys.argv[1]))")
    script += "print(sorted({'torch', 'transformers', 'transformer_lens', 'matplotlib'} & sys.modules.keys()))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(house.CODE), str(house.CODE / "tools")])}
    command = [sys.executable, "-c", script, str(root), "2501.08310"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert (house.run_folders(root)[0] / "results.json").exists()


def _refused(root: Path, *arguments: str) -> tuple[float, subprocess.CompletedProcess[str]]:
    """What a command says, and the processor seconds it took: those do not depend on what else the machine does."""
    script = (
        "import pathlib, sys; from picks.run.command import main\n"
        "sys.exit(main(sys.argv[2:], pathlib.Path(sys.argv[1])))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(house.CODE), str(house.CODE / "tools")])}
    command = [sys.executable, "-c", script, str(root), *arguments]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--help"], 0, "exit codes"),
        (["../evil"], 2, "there is no paper '../evil'"),
        (["2501.08319"], 2, "needs dice that are not published"),
        (["1706.03762"], 2, "not among the papers"),
        (["coin_flip"], 2, "did you mean coin_flips?"),
        (["coin_flips", "-p", "sede=1"], 2, "did you mean seeds?"),
        (["coin_flips", "-p", "n_tosses=many"], 2, "an int from 10 to 1000"),
        (["coin_flips", "--model", "gemma-270m"], 2, "did you mean gemma3-270m?"),
    ],
)
def test_help_and_refusals_come_at_once(arguments: list[str], code: int, says: str, root: Path) -> None:
    seconds, done = _refused(root, *arguments)
    assert done.returncode == code
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (root / "runs").exists()
    assert seconds < BUDGET


def test_help_fits_a_terminal_and_tells_of_what_ends_a_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, done = _refused(root, "--help")
    assert max(map(len, done.stdout.splitlines())) <= 80
    for told in ("--continue RUN takes it up again", "goes on, up to four times as long", "124 out of time"):
        assert told in done.stdout


def test_faulty_files_are_refused_without_a_traceback(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "reproductions" / "coin_flips" / "reproduction.yml"
    former = path.read_text()
    for right, wrong in (("full: 200", "full: x"), ("direction", "driection"), ("titles: {fair", "title: {fair")):
        path.write_text(former.replace(right, wrong))
        assert main(["coin_flips"], root) == 2
        assert str(path) in capsys.readouterr().err


def test_what_trains_its_own_networks_fetches_no_model_and_is_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner.subprocess, "run", _no_fetching(subprocess.run))
    root = house.build(tmp_path)
    path = root / RESULTS.parent / "reproduction.yml"
    path.write_text(path.read_text().replace("[smollm2-135m, gemma3-270m]", "[trained-here]"))
    _commit(root)
    assert main(["coin_flips", "--record"], root) == 0
    recorded = json.loads((root / RESULTS / "trained-here.quick.json").read_text())
    assert recorded["model"]["title"] == "small networks trained here"
    assert "small networks trained here" in capsys.readouterr().out
    assert main(["--list"], root) == 0
    assert "stale" not in capsys.readouterr().out


def _no_fetching(run: Any) -> Any:
    def checked(command: Any, *arguments: Any, **options: Any) -> Any:
        assert "reproductions.common.fetch" not in command
        return run(command, *arguments, **options)

    return checked


def test_what_was_recorded_is_compared_and_listed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _commit(root)
    assert main(["coin_flips", "--record"], root) == 0
    assert "recorded: " in capsys.readouterr().err
    assert {path.name for path in (root / RESULTS).iterdir()} == {
        "smollm2-135m.quick.json", "smollm2-135m.quick.toss.png", "smollm2-135m.quick.toss.json",
        "smollm2-135m.quick.executed.json",
    }  # fmt: skip
    assert main(["coin_flips"], root) == 0
    assert "As recorded" in capsys.readouterr().out
    assert main(["coin_flips", "-p", "n_tosses=30"], root) == 0
    assert "parameters differ from the recorded run; not compared" in capsys.readouterr().out
    assert main(["--list"], root) == 0
    listed = capsys.readouterr().out
    assert re.search(r"smollm2-135m +quick +about \d+ s +1 fact holds, 1 cannot be told", listed)
    assert re.search(r"smollm2-135m +full +up to 2 min +not recorded yet", listed)


def test_a_verdict_below_its_record_has_an_exit_code_of_its_own(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _commit(root)
    main(["coin_flips", "--record"], root)
    _change_record(root, lambda recorded: recorded["claims"][1].update(verdict="holds"))
    assert main(["coin_flips"], root) == 3
    assert "fell since the record: claim C2: holds → cannot tell" in capsys.readouterr().out
    _change_record(root, lambda recorded: recorded["claims"][1].update(verdict="not tested"))
    assert main(["coin_flips"], root) == 0
    assert "changed since the record: claim C2" in capsys.readouterr().out


def test_a_number_that_moved_is_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _commit(root)
    main(["coin_flips", "--record"], root)
    _change_record(root, lambda recorded: recorded["metrics"][0].update(value=0.5))
    capsys.readouterr()
    assert main(["coin_flips"], root) == 0
    assert "changed since the record: heads: 0.5 → 0.833333" in capsys.readouterr().out


def test_a_record_of_an_older_schema_is_not_compared_and_can_be_replaced(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _commit(root)
    main(["coin_flips", "--record"], root)
    _change_record(root, lambda recorded: recorded.update(schema=1))
    capsys.readouterr()
    assert main(["coin_flips", "--record"], root) == 0
    assert "Not compared: " in capsys.readouterr().out
    assert main(["coin_flips"], root) == 0
    assert "As recorded" in capsys.readouterr().out


def test_a_dirty_tree_is_refused_before_the_run(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _commit(root)
    (root / "papers" / "2501.08320.yml").write_text("title: changed\nauthors: [a]\n")
    assert main(["coin_flips", "--record"], root) == 2
    assert "papers/2501.08320.yml" in capsys.readouterr().err
    assert not (root / "runs").exists()


def test_the_list_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--json"], root) == 0
    [entry] = json.loads(capsys.readouterr().out)
    assert (entry["name"], entry["paper"]) == ("coin_flips", "2501.08310")
    assert [(run["model"], run["profile"]) for run in entry["runs"]] == [
        (model, profile) for model in ("smollm2-135m", "gemma3-270m") for profile in ("quick", "full")
    ]
    assert entry["runs"][0] == {
        "model": "smollm2-135m", "profile": "quick", "deadline_s": 60.0, "wall_s": None, "found": None,
        "stale": None, "stale_because": None, "attested": None,
    }  # fmt: skip


def _listed(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the list says of the runs on the default model, by profile."""
    capsys.readouterr()
    assert main(["--list", "--json"], root) == 0
    [entry] = json.loads(capsys.readouterr().out)
    return {run["profile"]: run for run in entry["runs"] if run["model"] == "smollm2-135m"}


def _rewrite_notebook(root: Path, old: str, new: str) -> None:
    path = house.notebook_path(root)
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].replace(old, new)
    path.write_text(json.dumps(notebook))
    _commit(root)


def test_what_changed_makes_records_stale_and_a_quick_run_that_finds_the_same_vouches_for_the_full_one(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _commit(root)
    for profile in ("quick", "full"):
        assert main(["coin_flips", "--record", "--profile", profile], root) == 0
    assert not any(run["stale"] for run in _listed(root, capsys).values())

    _rewrite_notebook(root, "< bias", "<= bias")  # another code that finds the same
    stale = _listed(root, capsys)
    assert all(run["stale_because"] == "the notebook changed since" for run in stale.values())
    assert main(["--list"], root) == 0
    assert "stale: the notebook" in capsys.readouterr().out
    assert main(["coin_flips", "--record"], root) == 0
    assert "attested: smollm2-135m.full" in capsys.readouterr().err
    vouched = _listed(root, capsys)
    assert not any(run["stale"] for run in vouched.values())
    assert vouched["full"]["attested"]["commit"]
    assert vouched["quick"]["attested"] is None

    _rewrite_notebook(root, "<= bias", "<= bias / 2")  # and one that does not
    assert main(["coin_flips", "--record"], root) in (0, 3)
    assert "stale: smollm2-135m.full, which this run cannot vouch for" in capsys.readouterr().err
    runs = _listed(root, capsys)
    assert (runs["quick"]["stale"], runs["full"]["stale"]) == (False, True)

    _rewrite_notebook(root, "<= bias / 2", "< bias / 2")  # the same as before it, but the full record is older still
    assert main(["coin_flips", "--record"], root) in (0, 3)
    assert "cannot vouch for" in capsys.readouterr().err
    assert _listed(root, capsys)["full"]["stale"]


def test_a_list_names_what_changed_in_full(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "reproductions/coin_flips/a_module_with_a_name_that_is_longer_than_its_column.py"
    _commit(root)
    assert main(["coin_flips", "--record"], root) == 0
    (root / name).write_text("X = 1")
    _rewrite_notebook(root, "import random", f"import random\nfrom reproductions.coin_flips import {Path(name).stem}")
    monkeypatch.setenv("COLUMNS", "80")
    capsys.readouterr()
    assert main(["--list"], root) == 0
    listed = capsys.readouterr().out
    assert "…" not in listed
    assert name in "".join(listed.split())


def test_a_quick_run_does_not_vouch_for_other_parameters(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _commit(root)
    for profile in ("quick", "full"):
        assert main(["coin_flips", "--record", "--profile", profile], root) == 0
    path = house.notebook_path(root).with_name("reproduction.yml")
    path.write_text(path.read_text().replace("full: 200", "full: 100"))
    _commit(root)
    assert _listed(root, capsys)["full"]["stale_because"] == "the profile's parameters changed since"
    assert main(["coin_flips", "--record"], root) == 0
    assert "cannot vouch for" in capsys.readouterr().err


def test_an_empty_house_lists_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"], tmp_path) == 0
    assert "nothing to run yet" in capsys.readouterr().out


def test_killed_between_vouching_and_keeping_the_same_done_again_vouches_as_well(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _commit(root)
    for profile in ("quick", "full"):
        assert main(["coin_flips", "--record", "--profile", profile], root) == 0
    _rewrite_notebook(root, "< bias", "<= bias")
    write = session.write_json
    with monkeypatch.context() as patch:  # as if killed before it is written
        patch.setattr(session, "write_json", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        assert main(["coin_flips", "--record"], root) == 2
    assert session.write_json is write
    assert main(["coin_flips", "--record"], root) == 0
    assert not any(run["stale"] for run in _listed(root, capsys).values())
