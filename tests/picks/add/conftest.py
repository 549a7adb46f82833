"""The world outside, as it was recorded; where nothing was recorded there is no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import arxiv
import pytest
from huggingface_hub import constants

from picks.add import arxiv as door
from tests.picks.add.server import Answer, serving

NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arxiv.Client, "query_url_format", NOWHERE + "/api/query?{}")
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)


@pytest.fixture
def arxiv_answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    with ExitStack() as stack:

        def answer(*answers: Answer) -> list[str]:
            address, asked = stack.enter_context(serving({"/api/query": answers}))
            monkeypatch.setattr(arxiv.Client, "query_url_format", address + "/api/query?{}")
            monkeypatch.setattr(door, "PAUSE", 0.01)
            return asked

        yield answer


@pytest.fixture
def hub_answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    with ExitStack() as stack:

        def answer(**answers: Answer) -> list[str]:
            paths = {path: [given] for path, given in answers.items()}
            address, asked = stack.enter_context(serving(paths))
            monkeypatch.setattr(constants, "ENDPOINT", address)
            return asked

        yield answer
