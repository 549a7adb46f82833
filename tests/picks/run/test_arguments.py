"""The command line: what it takes, what it refuses, and that it needs nothing but Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from picks.run import arguments
from picks.run.arguments import parse


@pytest.mark.parametrize(
    "text",
    [
        "2501.08310",
        "2501.08310v2",
        "arXiv:2501.08310",
        "https://arxiv.org/abs/2501.08310",
        "https://arxiv.org/abs/2501.08310v3?context=cs",
        "http://www.arxiv.org/pdf/2501.08310v1.pdf",
        "arxiv.org/html/2501.08310",
        " 2501.08310 ",
    ],
)
def test_every_spelling_of_an_id_is_the_same_text_and_keeps_its_zero(text: str) -> None:
    assert parse([text]).paper == "2501.08310"


@pytest.mark.parametrize("text", ["head_mapping", "MAPS", "10.18653/v1/2025.acl-long.866", "../evil", "{out}"])
def test_a_name_stays_as_it_is(text: str) -> None:
    assert parse([text]).paper == text


def test_words_are_one_paper_together_and_two_ids_are_two() -> None:
    assert parse(["induction", "head"]).paper == "induction head"
    with pytest.raises(SystemExit):
        parse(["2501.08310", "2501.08311"])


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0-4", "0,1,2,3,4"),
        ("3", "3"),
        ("0,2", "0,2"),
        ("0-1,7", "0,1,7"),
        (" 1 - 2 ", "1,2"),
        ("x", "x"),
        ("-3", "-3"),
    ],
)
def test_seeds_may_be_given_as_a_signature_prints_them(text: str, seeds: str) -> None:
    assert parse(["x", f"--seeds={text}"]).parameters == {"seeds": seeds}


@pytest.mark.parametrize("text", ["2501.8", "2501.083100", "..", "", "{}", "\x1b[31mx", "a\nb", "x" * 301])
def test_anything_else_is_refused_in_one_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse([text])
    message = capsys.readouterr().err
    assert stop.value.code == 2
    assert "neither an arXiv id" in message
    assert len(message.splitlines()) == 2


def test_parameters_stay_text_and_seeds_are_one_of_them() -> None:
    options = parse(["x", "-p", "n=007", "-p", "name=a=b", "--seeds", "0,1"])
    assert options.parameters == {"n": "007", "name": "a=b", "seeds": "0,1"}


def test_the_defaults() -> None:
    options = parse(["x"])
    assert (options.profile, options.device, options.parameters) == ("quick", "auto", {})
    assert (options.model, options.out, options.timeout) == (None, None, None)
    assert not (options.json or options.record or options.list)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "which paper"),
        (["--list", "x"], "leave out the id"),
        (["x", "-p", "n"], "not KEY=VALUE"),
        (["x", "-p", "N=1"], "cannot name a parameter"),
        (["x", "-p", "x = 1\nprint('injected')\ny=2"], "cannot name a parameter"),
        (["x", "-p", "__import__('os')=1"], "cannot name a parameter"),
        (["x", "-p", "out=/tmp"], "use --out"),
        (["x", "-p", "model=gpt2"], "use --model"),
        (["x", "-p", "n=1", "-p", "n=2"], "given twice"),
        (["x", "-p", "seeds=1", "--seeds", "2"], "given twice"),
        (["x", "--timeout", "0"], "seconds above 0"),
        (["x", "--timeout", "nan"], "seconds above 0"),
        (["x", "--timeout", "-5"], "seconds above 0"),
        (["x", "--profile", "slow"], "invalid choice"),
        (["x", "--device", "tpu"], "invalid choice"),
        (["x", "--device", "mps"], "wrong numbers on it; take cpu"),
        (["--continue", "x", "--sae", "path:y"], "leave out all else"),
        (["x", "--prof", "full"], "unrecognized"),
        (["2501.08310", "y"], "one paper at a time"),
        (["x", "--seeds", "4-0"], "no range of at most 1000 seeds"),
        (["x", "--seeds", "0-99999"], "no range of at most 1000 seeds"),
    ],
)
def test_faults_are_named(arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(arguments)
    assert stop.value.code == 2
    assert why in capsys.readouterr().err


def test_it_runs_on_a_bare_python() -> None:
    """No site-packages (-S), no path but our own (-I): as before the environment exists."""
    tools = str(Path(arguments.__file__).parents[2])
    script = f"import sys; sys.path.insert(0, {tools!r}); from picks.run.arguments import parse; parse(['--help'])"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "exit codes" in done.stdout
