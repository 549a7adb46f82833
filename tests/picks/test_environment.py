"""The start of a command: `.venv` is made once, refreshed when it must be, repaired, and never in the way.

The tests start the real scripts in a fabricated checkout whose lock file names no package, or one package
that is built here from source by a backend that counts its builds and can be made to wait.
"""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from picks import installation

ROOT = Path(__file__).resolve().parents[2]
STARTER = (
    "repro",
    "picks/__init__.py",
    "picks/run/__init__.py",
    "picks/run/arguments.py",
    "picks/parser.py",
    "picks/environment.py",
    "picks/installation.py",
    "picks/start.sh",
)
COMMAND = """
import json, os, sys
import picks
print(json.dumps({"argv": sys.argv[1:], "prefix": sys.prefix, "picks": os.path.dirname(picks.__file__)}))
"""
BACKEND = """
import os, time, zipfile

def prepare_metadata_for_build_wheel(folder, settings=None):
    os.makedirs(os.path.join(folder, "fabricated-1.0.dist-info"))
    for name, text in files().items():
        if "dist-info" in name:
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
    return "fabricated-1.0.dist-info"

def build_wheel(folder, settings=None, metadata=None):
    with open(os.environ["BUILDS"], "a") as file:
        file.write("built ")
    deadline = time.monotonic() + 60
    while os.path.exists(os.environ["HOLD"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    with zipfile.ZipFile(os.path.join(folder, "fabricated-1.0-py3-none-any.whl"), "w") as wheel:
        for name, text in files().items():
            wheel.writestr(name, text)
    return "fabricated-1.0-py3-none-any.whl"

def files():
    return {
        "fabricated.py": "VALUE = 7",
        "fabricated-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: fabricated\\nVersion: 1.0\\n",
        "fabricated-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "fabricated-1.0.dist-info/RECORD": "",
    }
"""


@dataclass(frozen=True)
class Project:
    """A checkout that holds nothing but what starts a command, beside an index of one package."""

    root: Path
    shelf: Path

    @property
    def python(self) -> Path:
        return self.root / ".venv" / "bin" / "python"

    @property
    def hold(self) -> Path:
        """While this file exists, a build of the package waits."""
        return self.shelf / "hold"

    @property
    def builds(self) -> int:
        return (self.shelf / "builds").read_text().count("built") if (self.shelf / "builds").exists() else 0

    def environ(self, **changes: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.shelf), "PIP_NO_CACHE_DIR": "1"}
        pip |= {"PIP_CONFIG_FILE": os.devnull, "PYTHON": sys.executable}
        return kept | pip | {"BUILDS": str(self.shelf / "builds"), "HOLD": str(self.hold)} | changes

    def lock(self, text: str) -> None:
        (self.root / "requirements.lock").write_text(text)

    def start(self, *arguments: str, script: Path | None = None, **changes: str) -> subprocess.CompletedProcess[str]:
        """Start the command from a folder that is not the checkout, and wait for it."""
        command = [str(script or self.root / "tools" / "repro"), *(arguments or ("2412.11965",))]
        environ = self.environ(**changes)
        return subprocess.run(
            command, cwd=self.shelf, env=environ, capture_output=True, text=True, timeout=120, check=False
        )

    def start_aside(self, name: str) -> subprocess.Popen[bytes]:
        """Start the command in a process group of its own; what it says goes to a file of this name."""
        with (self.shelf / name).open("wb") as said:
            return subprocess.Popen(
                [self.root / "tools" / "repro", "2412.11965"],
                cwd=self.shelf,
                env=self.environ(),
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )

    def said(self, name: str) -> str:
        return (self.shelf / name).read_text()

    def imports(self, module: str) -> bool:
        done = subprocess.run([self.python, "-c", f"import {module}"], cwd=self.shelf, check=False)
        return done.returncode == 0


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout as it is cloned, in a folder whose name has a space."""
    base = tmp_path_factory.mktemp("base")
    project = Project(base / "a clone", base / "shelf")
    for name in STARTER:
        (project.root / "tools" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tools" / name, project.root / "tools" / name)
    (project.root / "tools" / "picks" / "run" / "__main__.py").write_text(COMMAND)
    project.lock("# no package\n")
    (project.shelf / "source" / "fabricated-1.0").mkdir(parents=True)
    (project.shelf / "source" / "fabricated-1.0" / "backend.py").write_text(BACKEND)
    (project.shelf / "source" / "fabricated-1.0" / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    with tarfile.open(project.shelf / "fabricated-1.0.tar.gz", "w:gz") as archive:
        archive.add(project.shelf / "source" / "fabricated-1.0", "fabricated-1.0")
    return project


@pytest.fixture(scope="module")
def first(bare: Project) -> subprocess.CompletedProcess[str]:
    """The first start, and a copy of what it left."""
    done = bare.start("2412.11965", "-p", "a=b c")
    shutil.copytree(bare.root, bare.root.with_name("kept"), symlinks=True)
    return done


@pytest.fixture
def project(bare: Project, first: subprocess.CompletedProcess[str]) -> Iterator[Project]:
    """The checkout after its first start, every test its own."""
    assert first.returncode == 0, first.stderr
    shutil.rmtree(bare.root)
    shutil.copytree(bare.root.with_name("kept"), bare.root, symlinks=True)
    (bare.shelf / "builds").unlink(missing_ok=True)
    yield bare
    bare.hold.unlink(missing_ok=True)


def fresh(project: Project) -> Project:
    """The same checkout before its first start."""
    shutil.rmtree(project.root / ".venv")
    return project


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


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


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence with which a start gave up, after what it announced."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("tools/repro: ")
    assert done.stderr.count("tools/repro: ") == 1
    return sentence


def test_the_first_start_makes_the_environment_and_runs_the_command_in_it(
    first: subprocess.CompletedProcess[str], project: Project
) -> None:
    ran = json.loads(first.stdout)
    assert ran["argv"] == ["2412.11965", "-p", "a=b c"]
    assert Path(ran["prefix"]) == project.root / ".venv"
    assert Path(ran["picks"]) == project.root / "tools" / "picks"
    assert f"Making the environment in {project.root / '.venv'}" in first.stderr


def test_the_environment_imports_the_project_wherever_its_python_is_started(project: Project) -> None:
    (project.root / "reproductions").mkdir()
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
    assert project.start().returncode == 0
    assert project.start().stderr == ""


def test_a_killed_start_is_repaired_once_its_pip_is_gone(project: Project) -> None:
    project.lock("fabricated==1.0\n")
    project.hold.touch()
    killed = project.start_aside("killed")
    wait_for(lambda: project.builds)
    killed.kill()
    killed.wait()
    after = project.start_aside("after")
    wait_for(lambda: "waiting" in project.said("after"))
    project.hold.unlink()
    assert after.wait(timeout=120) == 0, project.said("after")
    assert project.imports("fabricated")
    assert "Making the environment" in project.said("after")


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


def test_ctrl_c_ends_with_one_line_and_the_next_start_goes_on(project: Project) -> None:
    project.lock("fabricated==1.0\n")
    project.hold.touch()
    start = project.start_aside("start")
    wait_for(lambda: project.builds)
    os.killpg(start.pid, signal.SIGINT)
    assert start.wait(timeout=60) == 130
    assert "Traceback" not in project.said("start")
    assert project.said("start").splitlines()[-1].startswith("tools/repro: interrupted")
    project.hold.unlink()
    assert project.start().returncode == 0
    assert project.imports("fabricated")


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
    assert "the disk is full" in refusal(project.start())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n", "full"),
        ("WARNING: Retrying ...: Failed to establish a new connection\nERROR: No matching distribution", "network"),
        ("error: connection-failed\n\n× Failed to connect to index while fetching torch\n", "network"),
        ("ERROR: first\nERROR: second.\n", "second; mend that"),
        ("a 1.0 requires b, which is not installed.\n", "b, which is not installed; mend that"),
        ("", "pip was stopped"),
    ],
)
def test_the_cause_is_found_in_what_pip_says(words: str, expected: str) -> None:
    assert expected in installation.cause(words)


def test_a_python_without_venv_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(installation.InstallationError, match=r"apt install python3\.\d+-venv"):
        installation.create(0)


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
