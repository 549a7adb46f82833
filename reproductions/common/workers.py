"""Independent parts of a computation side by side, each in a process of its own that computes with one thread.

Two threads do not halve the time of a model's passes (`threads` says what was measured); two processes nearly do. A
worker is a fork of this process, so that it has the model and all else at once and without a copy. It gives back what
it found as `encoding` writes it; whatever else it changes is lost.
"""

from __future__ import annotations

import json
import multiprocessing
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import safetensors.torch
import torch

from reproductions.common.encoding import decode, encode

MOST = 4  # workers: each needs memory of its own for what it computes

Found = TypeVar("Found")
Work = Callable[[], Found]


class WorkerError(RuntimeError):
    """A worker ended without saying what it found."""


def workers() -> int:
    """How many parts may run side by side: the threads that the run has, or 1 where a fork would not do.

    A fork takes no GPU along; on macOS it breaks libraries of the system; and a worker that has no more than one
    thread makes no workers of its own.
    """
    if sys.platform != "linux" or torch.cuda.is_initialized():
        return 1
    return min(torch.get_num_threads(), MOST)


def side_by_side(works: Sequence[Work[Found]]) -> list[Found]:
    """What each of the works finds, in their order; one after the other where there are no workers, or one work.

    Raises:
        EncodingError: a worker found what cannot be given back.
        WorkerError: a worker was killed.
    """
    if min(workers(), len(works)) < 2:
        return [work() for work in works]
    shift = _Shift()
    try:
        return shift.found(works)
    finally:
        shift.stop()


class _Shift:
    """Some workers, as many at a time as there may be."""

    def __init__(self) -> None:
        self.at_work: dict[Any, tuple[int, BaseProcess]] = {}  # the place of each one's work

    def found(self, works: Sequence[Work[Found]]) -> list[Found]:
        waiting = list(enumerate(works))
        found: dict[int, Found] = {}
        while waiting or self.at_work:
            while waiting and len(self.at_work) < workers():
                self._start(*waiting.pop(0))
            for pipe in wait(list(self.at_work)):
                place, process = self.at_work.pop(pipe)
                found[place] = _taken(pipe, process)
        return [found[place] for place in range(len(works))]

    def _start(self, place: int, work: Work[Any]) -> None:
        fork = multiprocessing.get_context("fork")
        here, there = fork.Pipe(duplex=False)
        process = fork.Process(target=_do, args=(work, there))
        process.start()
        there.close()
        self.at_work[here] = place, process

    def stop(self) -> None:
        """Kill those that are still at work."""
        for pipe, (_, process) in self.at_work.items():
            process.kill()
            process.join()
            pipe.close()


def _taken(pipe: Any, process: BaseProcess) -> Any:
    """What a worker gives back."""
    with pipe:
        try:
            said = pipe.recv()
            value = None if isinstance(said, Exception) else decode(json.loads(said), _tensors(pipe))
        except EOFError:
            said = WorkerError("a worker process was killed; is there too little memory?")
    process.join()
    if isinstance(said, Exception):
        raise said
    return value


def _tensors(pipe: Connection) -> dict[str, torch.Tensor]:
    return safetensors.torch.load(pipe.recv_bytes())


def _do(work: Work[Any], pipe: Connection) -> None:
    """A worker's life. An interrupt is for the process that made it, which then kills it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)  # after a fork, OpenMP would wait for ever for the threads of its parent
    try:
        skeleton, tensors = encode(work(), "what a worker found")
        pipe.send(json.dumps(skeleton))
        pipe.send_bytes(safetensors.torch.save(tensors))
    except Exception as error:
        pipe.send(_portable(error))


def _portable(error: Exception) -> Exception:
    """An error that can go through a pipe: itself, or where it cannot, its name and message."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
