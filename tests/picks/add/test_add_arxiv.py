"""Facts from arXiv, from recorded answers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import arxiv
import pytest

from picks.add import arxiv as door
from picks.add.arxiv import fetch
from picks.add.facts import Facts
from reproductions.common.errors import UserError
from tests.picks.add.server import recorded

Answers = Callable[..., list[str]]


def test_a_record_becomes_facts(arxiv_answers: Answers) -> None:
    arxiv_answers(recorded("arxiv.xml"))
    assert fetch(["2412.11965"]) == [
        Facts(
            id="2412.11965",
            title="Inferring Functionality of Attention Heads from their Parameters",
            authors=("Amit Elhelo", "Mor Geva"),
            published="2024-12-16",
            venue="ACL 2025",
            venue_kind="proceedings",
            doi="10.18653/v1/2025.acl-long.866",
            category="cs.CL",
            links={
                "anthology": "https://aclanthology.org/2025.acl-long.866",
                "code": "https://github.com/amitelhelo/MAPS",
            },
        )
    ]


def test_papers_come_in_the_order_asked_for_from_one_request(arxiv_answers: Answers) -> None:
    asked = arxiv_answers(recorded("arxiv.xml"))
    found = fetch(["2412.11965", "cs-0101001", "2405.00208"])
    assert [facts.id for facts in found] == ["2412.11965", "cs-0101001", "2405.00208"]
    assert len(asked) == 1
    assert parse_qs(urlsplit(asked[0]).query)["id_list"] == ["2412.11965,cs/0101001,2405.00208"]


def test_latex_and_line_breaks_of_a_record_are_read(arxiv_answers: Answers) -> None:
    arxiv_answers(recorded("arxiv.xml"))
    (facts,) = fetch(["2405.00208"])
    assert facts.title == "A Primer on the Inner Workings of μ-parametrised Language Models"
    assert facts.authors == ("Javier Ferrando", "Marta R. Costa-jussà")
    assert (facts.published, facts.venue, facts.doi, facts.links) == ("2024-04-30", None, None, {})


def test_a_busy_server_is_asked_again(arxiv_answers: Answers) -> None:
    asked = arxiv_answers((503, b""), (503, b""), recorded("arxiv.xml"))
    assert fetch(["2412.11965"])[0].id == "2412.11965"
    assert len(asked) == 3


def test_requests_keep_their_distance(arxiv_answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    assert door.PAUSE >= 3  # what arXiv asks for
    arxiv_answers((503, b""), recorded("arxiv.xml"))
    monkeypatch.setattr(door, "PAUSE", 7.0)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    fetch(["2412.11965"])
    assert len(slept) == 1
    assert 6 < slept[0] <= 7


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((503, b""), "HTTP 503; try again later"),
        (recorded("none.xml"), "no paper 2412.11965"),
        ((200, b""), "no paper 2412.11965"),
        ((200, b"<html><body>Log in to the network</body></html>"), "no paper 2412.11965"),
        ((200, recorded("arxiv.xml")[1].replace(b"T16:45:33Z", b"T99:99Z")), "makes no sense"),
    ],
)
def test_a_useless_answer_is_a_sentence(answer: tuple[int, bytes], why: str, arxiv_answers: Answers) -> None:
    arxiv_answers(answer)
    with pytest.raises(UserError, match=why) as refusal:
        fetch(["2412.11965"])
    assert "\n" not in str(refusal.value)


def test_without_a_network_the_other_way_is_named() -> None:
    with pytest.raises(UserError, match=r"arXiv cannot be reached; .*--bibtex FILE"):
        fetch(["2412.11965"])


def test_a_silent_server_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(arxiv.Client, "query_url_format", f"http://127.0.0.1:{silent.getsockname()[1]}/?{{}}")
        monkeypatch.setattr(door, "PATIENCE", 0.05)
        with pytest.raises(UserError, match="cannot be reached"):
            fetch(["2412.11965"])
