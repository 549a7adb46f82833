"""The start of a command: `.venv` is made once, refreshed when it must be, repaired, and never in the way.

The tests start the real scripts in a fabricated checkout whose lock file names no package, or one package
that is built here from source by a backend that counts its builds and can be made to wait.
"""

import json
import re
import resource
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from picks.installation import steps
from picks.installation.errors import InstallationError
from tests.fixtures.checkout import ROOT, Project, fresh, refusal, wait_for

PLACE = 74


def fastest(start: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """The best of five times, in seconds: a busy machine is not what is measured."""

    def once() -> float:
        started = clock()
        start()
        return clock() - started

    return min(once() for _ in range(5))


def computing() -> float:
    """The processor time that the programs started here have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_first_start_makes_the_environment_and_runs_the_command_in_it(
    first: subprocess.CompletedProcess[str], project: Project
) -> None:
    ran = json.loads(first.stdout)
    assert ran["argv"] == ["2412.11965", "-p", "relations=b c"]
    assert Path(ran["prefix"]) == project.root / ".venv"
    assert Path(ran["picks"]) == project.root / "tools" / "picks"
    assert f"Making the environment in {project.root / '.venv'}" in first.stderr


def test_the_environment_imports_the_project_wherever_its_python_is_started(project: Project) -> None:
    assert project.imports("picks, reproductions")


def test_a_second_start_installs_nothing_and_says_nothing(project: Project) -> None:
    for pip in project.root.glob(".venv/lib/*/site-packages/pip/__main__.py"):
        pip.write_text("raise SystemExit('pip must not run')")
    done = project.start()
    assert (done.returncode, done.stderr) == (0, "")


def test_a_changed_lock_updates_the_environment_in_place(project: Project) -> None:
    (project.root / ".venv" / "own").write_text("survives")
    project.lock("fabricated==1.0\n")
    assert project.start().returncode == 0
    assert project.imports("fabricated")
    assert (project.root / ".venv" / "own").exists()
    assert project.start().stderr == ""


def test_another_python_makes_the_environment_anew(project: Project) -> None:
    stamp = project.root / ".venv" / "stamp"
    own = stamp.read_bytes()
    stamp.write_bytes(b"3.0" + own[own.index(b"\n") :])
    (project.root / ".venv" / "own").write_text("does not survive")
    assert project.start().returncode == 0
    assert stamp.read_bytes() == own
    assert not (project.root / ".venv" / "own").exists()


def test_a_copied_checkout_runs_its_own_code(project: Project) -> None:
    copy = Project(project.root.with_name("copy"), project.shelf)
    shutil.copytree(project.root, copy.root, symlinks=True)
    ran = json.loads(copy.start().stdout)
    assert Path(ran["picks"]) == copy.root / "tools" / "picks"
    assert Path(ran["prefix"]) == copy.root / ".venv"


def test_a_half_made_environment_is_replaced(project: Project) -> None:
    shutil.rmtree(project.root / ".venv")
    project.python.parent.mkdir(parents=True)
    project.python.write_text("half")
    (project.root / ".venv" / "made-by-daily-picks").touch()
    assert project.start().returncode == 0
    assert project.start().stderr == ""


def test_two_starts_at_once_install_once(project: Project) -> None:
    project.lock("fabricated==1.0\n")
    project.hold.touch()
    one = project.start_aside("one")
    wait_for(lambda: project.builds)
    other = project.start_aside("other")
    wait_for(lambda: "waiting" in project.said("other"))
    project.hold.unlink()
    assert (one.wait(timeout=120), other.wait(timeout=120)) == (0, 0)
    assert project.builds == 1
    assert project.said("other").splitlines() == ["Another start is making the environment; waiting for it."]


def test_no_network_is_said_in_one_sentence(project: Project) -> None:
    project.lock("fabricated==1.0\n")
    nowhere = "http://127.0.0.1:9/simple"
    done = project.start(PIP_NO_INDEX="0", PIP_FIND_LINKS="", PIP_INDEX_URL=nowhere, PIP_RETRIES="1")
    sentence = refusal(done)
    assert "no package index answers; connect to the network" in sentence
    assert str(project.root / ".venv.log") in sentence


def test_an_update_that_changed_nothing_leaves_the_old_environment_ready(project: Project) -> None:
    before = (project.root / "requirements.lock").read_text()
    project.lock("absent==1.0\n")
    sentence = refusal(project.start())
    assert "No matching distribution found for absent==1.0" in sentence
    assert "absent" in (project.root / ".venv.log").read_text()
    project.lock(before)
    assert project.start().stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is played by /dev/full")
def test_a_full_disk_is_said_in_one_sentence(project: Project) -> None:
    project.lock("# changed\n")
    (project.root / ".venv" / "stamp.part").symlink_to("/dev/full")
    assert "the disk is full" in refusal(project.start(), PLACE)


def test_a_python_without_venv_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InstallationError, match=r"apt install python3\.\d+-venv"):
        steps.refuse_without_venv("3.11")


def test_a_missing_python_is_said_in_one_sentence(project: Project, tmp_path: Path) -> None:
    for tool in ("sh", "dirname", "readlink"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho 'Python 3.9.2'\nexit 1\n")
    old.chmod(0o755)
    done = fresh(project).start(PATH=str(tmp_path), PYTHON=str(old))
    assert "Python 3.11 (or 3.12 to 3.14) is needed and was not found" in refusal(done)
    assert len(done.stderr.splitlines()) == 1


def test_a_link_to_the_script_works_from_anywhere(project: Project, tmp_path: Path) -> None:
    (tmp_path / "direct").symlink_to(project.root / "tools" / "repro")
    (tmp_path / "my repro").symlink_to("direct")
    assert project.start(script=tmp_path / "my repro").returncode == 0


def test_the_users_python_path_changes_nothing(project: Project, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    assert project.start(PYTHONPATH=str(tmp_path), PYTHONHOME=str(tmp_path)).returncode == 0


def test_bad_input_and_help_answer_before_there_is_an_environment(project: Project) -> None:
    fresh(project)
    assert project.start("--no-such-option").returncode == 2
    assert project.start("--help").returncode == 0
    assert not (project.root / ".venv").exists()
    assert fastest(lambda: project.start("--no-such-option")) < 0.5
    assert fastest(lambda: project.start("--help")) < 0.5


def test_a_ready_environment_leaves_the_budget_to_the_command(project: Project) -> None:
    direct = [str(project.python), "-m", "picks.run"]
    alone = fastest(lambda: subprocess.run(direct, check=True, capture_output=True), computing)
    assert fastest(project.start, computing) - alone < 0.1


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    found = (re.match(r"([a-z0-9.-]+)==([^ ;]+)(?: ;.*)?(?: +# via .*)?$", line) for line in lines if line[:1] != "#")
    return {match[1]: match[2] for match in found if match}


def test_the_lock_pins_every_direct_dependency() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = settings["project"]["optional-dependencies"]
    del extras["cluster"]  # for the few who have one, in an environment of theirs
    groups = [*extras.values(), *settings["dependency-groups"].values()]
    direct = [name for group in [settings["project"]["dependencies"], *groups] for name in group]
    names = {re.split(r"[^\w.-]", name)[0].lower().replace("_", "-") for name in direct}
    assert names <= pins().keys()
    assert pins()["torch"] == "2.13.0"


def test_the_lock_names_pins_only_and_none_for_cuda() -> None:
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if line[:1] not in ("", "#")]
    assert {re.split("[= ]", line)[0] for line in lines} == pins().keys()
    assert not [name for name in pins() if re.match("nvidia|cuda|triton", name)]
