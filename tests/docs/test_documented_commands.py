"""Every command that the documents show exists, and knows the options it is shown with."""

import re
import shlex
import subprocess
import sys

import pytest

from picks.environment import MODULES, ROOT

DOCUMENTS = ("README.md", "CONTRIBUTING.md")
SHOWN = re.compile(r"^\$ (tools/.*?)(?:\s+# .*)?$|`(tools/[^`]+)`", re.MULTILINE)
FORWARDED = "test"  # hands its arguments to pytest


def shown_commands() -> list[str]:
    """Each command line of the documents once."""
    texts = [(ROOT / name).read_text(encoding="utf8") for name in DOCUMENTS]
    found = [block or inline for text in texts for block, inline in SHOWN.findall(text)]
    return sorted(
        {command for command in found if command.removeprefix("tools/").split()[0] in MODULES or " " in command}
    )


def help_of(name: str, arguments: list[str]) -> str:
    """What a command says of itself, and of the subcommand that is shown."""
    asked = [[], arguments[:1]] if name == "site" and arguments else [[]]
    command = [sys.executable, "-P", "-m", MODULES[name]]
    runs = [
        subprocess.run([*command, *part, "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
        for part in asked
    ]
    return "".join(run.stdout for run in runs)


@pytest.mark.parametrize("command", shown_commands())
def test_a_shown_command_exists_with_its_options(command: str):
    program, *arguments = shlex.split(command)
    name = program.removeprefix("tools/")
    assert (ROOT / program).is_file()
    assert name in MODULES
    if name != FORWARDED:
        text = help_of(name, arguments)
        options = [argument.split("=")[0] for argument in arguments if argument.startswith("-")]
        assert [option for option in options if option not in text] == []


def test_the_documents_show_every_command():
    shown = {command.split()[0].removeprefix("tools/") for command in shown_commands()}
    assert shown == set(MODULES)


def test_nothing_else_lies_among_the_commands():
    assert {path.name for path in (ROOT / "tools").iterdir() if path.is_file()} == set(MODULES)
