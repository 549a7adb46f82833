"""Parts of a computation side by side: the same answers as one after the other, and nobody left behind."""

import os
import signal
import time
from functools import partial

import pytest
import torch

from reproductions.common import workers
from reproductions.common.encoding import EncodingError
from reproductions.common.steps import steps
from reproductions.common.usage import cpu_seconds
from reproductions.common.workers import WorkerError, side_by_side


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)


def own_process(number: int) -> tuple[int, int]:
    return number, os.getpid()


def test_answers_come_in_order_and_from_other_processes():
    found = side_by_side([partial(own_process, number) for number in range(5)])
    assert [number for number, _ in found] == list(range(5))
    assert os.getpid() not in {process for _, process in found}
    assert len({process for _, process in found}) == 5


def test_tensors_come_back_as_they_were():
    made = [torch.randn(3, 4), torch.arange(5), torch.tensor([True, False])]
    for found, tensor in zip(side_by_side([lambda t=t: {"found": (t, 1.5)} for t in made]), made, strict=True):
        assert torch.equal(found["found"][0], tensor)
        assert found["found"][0].dtype == tensor.dtype


@pytest.mark.parametrize(("threads", "works"), [(1, 3), (2, 1)])
def test_without_a_second_processor_or_a_second_work_nothing_is_forked(threads, works, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert {process for _, process in side_by_side([partial(own_process, n) for n in range(works)])} == {os.getpid()}


def test_a_worker_computes_with_one_thread(monkeypatch):
    monkeypatch.undo()
    if torch.get_num_threads() < 2:
        pytest.skip("this machine has one processor")
    assert side_by_side([torch.get_num_threads] * 2) == [1, 1]
    assert torch.get_num_threads() > 1


def test_an_error_of_a_worker_is_raised_here_and_the_others_are_killed(tmp_path):
    def long() -> None:
        time.sleep(60)
        (tmp_path / "late").touch()

    def wrong() -> None:
        raise LookupError("no such head")

    begun = time.monotonic()
    with pytest.raises(LookupError, match="no such head"):
        side_by_side([long, wrong])
    assert time.monotonic() - begun < 30
    assert not (tmp_path / "late").exists()


class StubbornError(Exception):
    def __init__(self, head: str, layer: int) -> None:
        super().__init__(f"{head} in layer {layer}")


def test_an_error_that_cannot_travel_comes_as_its_name_and_message():
    def wrong() -> None:
        raise StubbornError("no such head", 3)

    with pytest.raises(RuntimeError, match="StubbornError: no such head in layer 3"):
        side_by_side([wrong, wrong])


def test_a_killed_worker_is_an_error_not_a_wait():
    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(WorkerError, match="too little memory"):
        side_by_side([killed, killed])


def test_what_cannot_be_given_back_is_an_error():
    with pytest.raises(EncodingError, match="worker"):
        side_by_side([object, object])


def test_processor_time_of_workers_counts():
    def busy() -> float:
        begun = time.process_time()
        while time.process_time() - begun < 0.3:
            pass
        return time.process_time() - begun

    before = cpu_seconds()
    spent = side_by_side([busy, busy])
    assert cpu_seconds() - before >= 0.9 * sum(spent)


def test_steps_side_by_side_are_kept_each(tmp_path):
    plan = '{"fingerprint": "f", "attempt": %d}'
    (tmp_path / "plan.json").write_text(plan % 1)
    assert steps(tmp_path, {"one": lambda: 1, "two": lambda: torch.tensor(2)}) == [1, 2]
    (tmp_path / "plan.json").write_text(plan % 2)

    def never() -> None:
        raise AssertionError("computed again")

    assert steps(tmp_path, {"one": never, "two": never}) == [1, 2]


def test_workers_are_few(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    assert workers.workers() == workers.MOST
