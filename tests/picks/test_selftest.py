"""`tools/test`: every check runs, pytest last, and any failure fails the whole."""

import pytest

from picks import selftest


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that were run; types fail, all else passes."""
    modules: list[str] = []

    def python(*module: str) -> int:
        modules.append(" ".join(module))
        return int(module[0] == "mypy")

    monkeypatch.setattr(selftest, "python", python)
    return modules


def test_every_check_runs_although_one_fails(ran: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert selftest.main(["tests/picks", "-k", "foo"]) == 1
    assert ran == [
        "reproductions.common.fetch smollm2-135m",
        "ruff check",
        "ruff format --check",
        "mypy",
        "picks.check",
        "pytest tests/picks -k foo",
    ]
    assert capsys.readouterr().out.splitlines()[-1] == "== Tests (failed before them: Types)"


@pytest.mark.parametrize(("pytest_status", "expected"), [(0, 0), (1, 1), (5, 1)])
def test_the_tests_decide_where_the_checks_pass(
    monkeypatch: pytest.MonkeyPatch, pytest_status: int, expected: int
) -> None:
    monkeypatch.setattr(selftest, "python", lambda *module: pytest_status if module[0] == "pytest" else 0)
    assert selftest.main([]) == expected


def test_help_runs_nothing(ran: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        selftest.main(["--help"])
    assert stop.value.code == 0
    assert ran == []


def test_a_module_runs_in_this_python_and_its_status_comes_back() -> None:
    assert selftest.python("this_module_does_not_exist") == 1
    assert selftest.python("ensurepip", "--version") == 0
