"""What of pip's settings is kept, which build of PyTorch is taken, and that a setting leads no installation astray."""

import os
from pathlib import Path

import pytest

from picks.installation import pip
from tests.fixtures.checkout import Project

LISTED = """\
:env:.proxy=''
:env:.default-timeout='3'
:env:.extra-index-url='https://own.example/simple'
global.constraint='/etc/constraints.txt'
global.extra-index-url='\\nhttp://a.example/b\\nhttp://c.example/d'
global.index-url='http://name:word@a.example/simple'
install.dry-run='true'
install.prefix="it's"
"""


def test_only_where_packages_come_from_is_kept_and_the_environment_wins() -> None:
    assert pip.settings(LISTED) == {
        "default-timeout": "3",
        "extra-index-url": "https://own.example/simple",
        "index-url": "http://name:word@a.example/simple",
    }


def test_pip_gets_the_settings_that_are_kept_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")
    given = pip.environ(Path("/elsewhere/t"), {"extra-index-url": "\nhttp://a/b\nhttp://c/d"})
    assert {name for name in given if name.startswith("PIP_")} == {"PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE"}
    assert given["PIP_EXTRA_INDEX_URL"] == "http://a/b http://c/d"
    assert given["PIP_CONFIG_FILE"] == os.devnull
    assert given["HTTPS_PROXY"] == "http://proxy.example"


@pytest.mark.parametrize(
    ("kept", "gpu", "system", "extra", "said"),
    [
        ({}, False, "linux", pip.CPU_INDEX, "No GPU was found: PyTorch's build for CPUs is taken"),
        ({"find-links": "/shelf"}, False, "linux", pip.CPU_INDEX, "No GPU was found"),
        ({}, True, "linux", None, "There is a GPU: PyTorch's CUDA build is taken"),
        ({}, False, "darwin", None, "About 0.4 GB"),
        ({"index-url": "https://u:p@own.example/s"}, False, "linux", None, "come from https://own.example/s, as pip's"),
        ({"extra-index-url": "https://x.example"}, False, "linux", "https://x.example", "come from https://x.example"),
        ({"no-index": "1"}, False, "linux", None, "come from no index"),
    ],
)
def test_without_a_gpu_or_an_index_of_the_users_the_small_build_is_taken(
    kept: dict[str, str], gpu: bool, system: str, extra: str | None, said: str
) -> None:
    chosen, meaning = pip.chosen(kept, gpu, system)
    assert chosen.get("extra-index-url") == extra
    assert said in meaning
    assert kept.items() - chosen.items() == set()


@pytest.mark.parametrize("name", ["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_DRY_RUN", "PIP_USER", "PIP_NO_DEPS"])
def test_a_setting_of_the_environment_leads_nothing_astray(project: Project, tmp_path: Path, name: str) -> None:
    project.lock("fabricated==1.0\n")
    place = "1" if name in ("PIP_DRY_RUN", "PIP_USER", "PIP_NO_DEPS") else str(tmp_path / "elsewhere")
    assert project.start(**{name: place}).returncode == 0
    assert project.imports("fabricated")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("line", ["[install]\nprefix = {}", "[global]\ntarget = {}", "[install]\nroot = {}"])
def test_a_setting_of_a_file_leads_nothing_astray(project: Project, tmp_path: Path, line: str) -> None:
    project.lock("fabricated==1.0\n")
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    shelf = f"[global]\nno-index = true\nfind-links = {project.shelf}\n"
    written = line.format(tmp_path / "elsewhere")
    joined = f"{shelf}{written.removeprefix('[global]')}\n" if written.startswith("[global]") else f"{shelf}{written}\n"
    (tmp_path / ".config" / "pip" / "pip.conf").write_text(joined)
    own = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": "",
        "PIP_NO_INDEX": "",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": "",
    }
    done = project.start(**own)
    assert done.returncode == 0, done.stderr
    assert project.imports("fabricated")
    assert not (tmp_path / "elsewhere").exists()
