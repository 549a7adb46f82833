"""Which runs a round of tests makes: stale ones first, each of the others in its turn, within its time."""

from datetime import date, timedelta

import pytest

from picks.run.due import Budget, Due, in_turn

SIXTY = [Due(f"paper_{number:02}", stale=number in {17, 41}, seconds=75.0) for number in range(60)]
DAY = date(2026, 11, 28)


def made(runs: list[Due], budget: Budget, day: date, pace: float = 1.0) -> list[str]:
    names = []
    for run in in_turn(runs, day):
        if budget.allows(run):
            names.append(run.name)
            budget.pay(run, run.seconds * pace)
    return names


def test_stale_ones_come_first_whatever_the_day():
    for days in range(3):
        assert {run.name for run in in_turn(SIXTY, DAY + timedelta(days))[:2]} == {"paper_17", "paper_41"}


def test_each_has_its_turn_within_as_many_days_as_there_are():
    fresh = [run for run in SIXTY if not run.stale]
    firsts = {in_turn(fresh, DAY + timedelta(days))[0].name for days in range(len(fresh))}
    assert firsts == {run.name for run in fresh}


@pytest.mark.parametrize("pace", [1.0, 2.5])
def test_a_round_over_sixty_stays_within_its_time(pace):
    budget = Budget(20 * 60)
    names = made(SIXTY, budget, DAY, pace)
    assert budget.spent <= 20 * 60 + 75 * pace
    assert len(names) >= 5
    assert {"paper_17", "paper_41"} <= set(names)


def test_one_run_is_made_however_short_the_time():
    assert len(made(SIXTY, Budget(1), DAY)) == 1
    assert in_turn([], DAY) == []
