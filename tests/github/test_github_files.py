"""What GitHub reads - workflows, issue forms - is sound: linted, of the right form, in step with the entries."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from picks.schema import keys

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A tool of this environment, from the project's root."""
    command = [str(Path(sys.executable).with_name(tool)), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_workflows_pass_the_security_linter():
    done = run("zizmor", "--offline", "--quiet", ".github")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_security_linter_sees_a_fault(tmp_path: Path):
    bad = tmp_path / ".github" / "workflows" / "bad.yml"
    bad.parent.mkdir(parents=True)
    bad.write_text(
        "on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: echo ${{ github.event.pull_request.title }}\n"
    )
    assert run("zizmor", "--offline", "--quiet", str(tmp_path)).returncode != 0


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_has_the_form_that_github_wants(path: Path):
    done = run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(path))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_to_a_commit(path: Path):
    used = re.findall(r"uses: (\S+)", path.read_text(encoding="utf8"))
    assert used
    assert [action for action in used if not PINNED.fullmatch(action)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_runs_on_pull_requests_can_write_nothing(path: Path):
    workflow = yaml.safe_load(path.read_text(encoding="utf8"))
    triggers = workflow[True]  # YAML reads the key `on` as true
    if "pull_request" in triggers:
        granted = [workflow["permissions"], *(job.get("permissions", {}) for job in workflow["jobs"].values())]
        assert {level for grant in granted for level in grant.values()} <= {"read"}
        assert "secrets." not in path.read_text(encoding="utf8")


def test_the_issue_form_has_a_field_for_every_key_that_a_reader_can_know():
    form = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "paper.yml").read_text(encoding="utf8"))
    fields = {item["id"] for item in form["body"] if "id" in item}
    of_the_maintainer = {"picked", "status", "collection", "picked_with", "former_ids", "reproduction"}
    within_another = {"titles", "venue_kind", "volume", "number", "pages", "awards", "address"}  # title, venue, id
    assert fields == {"id", *keys()} - of_the_maintainer - within_another
