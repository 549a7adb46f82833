"""What is refused before anything is installed, by nothing but names of files and the text of entries."""

import subprocess
from pathlib import Path

import pytest

from picks.installation.refusals import refuse
from tests.fixtures.checkout import Project, fresh


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("repro 2412.11956", "2412.11956 is not among the papers here: did you mean 2412.11965?"),
        ("repro https://arxiv.org/abs/2412.11956v2", "did you mean 2412.11965?"),
        ("repro head_maping", "there is no reproduction 'head_maping': did you mean head_mapping?"),
        ("repro 2401.06855", "2401.06855 has no reproduction; papers/2401.06855.yml says why"),
        ("repro 2412.11965 --model smolm2-135m", "there is no model 'smolm2-135m': did you mean smollm2-135m?"),
        ("repro 2412.11965 -p relation=plural", "head_mapping has no parameter relation: did you mean relations?"),
        ("repro head_mapping -p qqqq=1", "head_mapping has no parameter qqqq; there are relations,"),
        ("repro --continue no/such/run", "no/such/run: there is no such run"),
        ("repro verify no/such.json", "no/such.json: there is no such file"),
        ("repro --no-such-option", "no-such-option"),
        ("export bibtex 2412.11956", "there is no paper '2412.11956': did you mean 2412.11965?"),
        ("export ris 2412.11965 2412.11956 --tag circuits", "did you mean 2412.11965?"),
        ("new some_method --paper 2412.11956", "did you mean 2412.11965?"),
        ("new some_method --paper=2412.11956", "did you mean 2412.11965?"),
        ("new head_mapping --paper 2412.11965", "head_mapping is there already"),
        ("add 2412.11956 --update", "did you mean 2412.11965?"),
        ("add 2412", "'2412' is neither an arXiv id (2412.11965) nor an https address"),
        ("add --bibtex no/such.bib", "no/such.bib: there is no such file"),
        ("pick 2412.119x", "'2412.119x' is neither an arXiv id"),
        ("pick 2507.21509 --bibtex no/such.bib", "no/such.bib: there is no such file"),
    ],
)
def test_what_is_bound_to_be_refused_is_refused(line: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    command, *arguments = line.split()
    with pytest.raises(SystemExit) as ended:
        refuse(command, arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"tools/{command}")
    assert expected in said


@pytest.mark.parametrize(
    "line",
    [
        "repro 2412.11965 --model gemma3-270m -p relations=plural -p seeds=1",
        "repro arXiv:2412.11965v2 --seeds 0,1",
        "repro Head-Mapping --model owner/name",
        "repro --list",
        "export bibtex",
        "export bibtex --tag circuits",
        "export json https://arxiv.org/abs/2412.11965",
        "new some_method --paper 2401.06855",
        "add 2501.99999 https://transformer-circuits.pub/2025/linebreaks/index.html",
        "add --collection owner/slug",
        "pick 2412.11965 2501.99999 https://example.org/a/page",
        "check papers",
        "site serve",
        "test -k anything",
    ],
)
def test_what_may_be_right_is_left_to_the_command(line: str) -> None:
    command, *arguments = line.split()
    refuse(command, arguments)


def test_a_misspelt_id_costs_no_installation(project: Project) -> None:
    fresh(project)
    for command, *arguments in (["repro", "2412.11956"], ["export", "bibtex", "2412.11956"], ["add", "2412"]):
        done = project.start(*arguments, script=project.root / "tools" / command)
        assert done.returncode == 2
        assert "2412.11965" in done.stderr
    assert not (project.root / ".venv").exists()


def test_nothing_but_the_standard_library_is_needed() -> None:
    code = "import sys; sys.path += ['tools', '.']; import picks.installation, picks.installation.refusals"
    root = Path(__file__).resolve().parents[3]
    assert subprocess.run(["/usr/bin/env", "python3", "-IS", "-c", code], cwd=root, check=False).returncode == 0
