"""Descriptions as sentences, by a language model that the user names; without one, descriptions are lists of words."""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from jinja2 import TemplateError

from reproductions.common.model import Model
from reproductions.output_centric.method import CONCAT_ALL, MAX_ACT, TOKEN_CHANGE, VOCAB_PROJ
from reproductions.output_centric.prompts import Evidence, Prompt, prompts
from reproductions.output_centric.words import Words

KEY = "DAILY_PICKS_EXPLAINER_KEY"  # the environment variable with an endpoint's key
HERE = ("localhost", "127.0.0.1", "::1")  # where a request may go in the open
TIMEOUT_S, PAUSE_S = 60.0, 2.0
BUSY, MOST_BYTES = 429, 2**20
ANSWER_TOKENS, ANSWER_CHARACTERS = 120, 300


class ExplainerError(Exception):
    """The explainer cannot be had, or does not answer as it should; the message says why in one sentence."""


Explainer = Callable[[Prompt], str]


def sentences(explain: Explainer, evidence: Evidence) -> dict[str, str]:
    """A sentence for each method; Concat joins those of the single methods, which takes no explainer."""
    found = {name: explain(prompt) for name, prompt in prompts(evidence).items()}
    return found | {CONCAT_ALL: "\n".join(found[name] for name in (VOCAB_PROJ, MAX_ACT, TOKEN_CHANGE))}


def explainer_of(spec: str, model: Model) -> Explainer | None:
    """The explainer that a user names.

    spec: nothing for none; `local` for the loaded model itself; or `https://host/v1 model-name`, an endpoint that takes
    chat completions as OpenAI's does, with its key, if it wants one, in DAILY_PICKS_EXPLAINER_KEY.

    Raises:
        ExplainerError: it is none of these, or the model is no chat model. An explainer raises it where it fails.
    """
    match spec.split():
        case []:
            return None
        case ["local"]:
            return _local(model)
        case [base, name]:
            return _Endpoint.of(base, name)
    raise ExplainerError("the explainer is not named as it must be: nothing, 'local' or 'https://host/v1 model-name'")


def _local(model: Model) -> Explainer:
    """The model itself, which always takes the likeliest token."""
    if not model.tokenizer.chat_template:
        raise ExplainerError(f"{model.cfg.model_name} has no chat template, so it explains nothing: name another model")

    def explain(prompt: Prompt) -> str:
        asked = _templated(model, prompt)
        n = asked["input_ids"].shape[1]
        if n + ANSWER_TOKENS > model.cfg.n_ctx:
            raise ExplainerError(f"the prompt has {n:,} tokens, too many for {model.cfg.model_name} to read and answer")
        written = model.original_model.generate(**asked, do_sample=False, max_new_tokens=ANSWER_TOKENS)
        return one_line(model.tokenizer.decode(written[0, n:], skip_special_tokens=True))

    return explain


def _templated(model: Model, prompt: Prompt) -> Any:
    try:
        found = model.tokenizer.apply_chat_template(
            prompt.messages(), add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
    except TemplateError as error:
        raise ExplainerError(f"the chat template of {model.cfg.model_name} refuses the prompt: {error}") from None
    return found.to(model.W_E.device)


@dataclass(frozen=True)
class _Endpoint:
    """A model behind an address; the key is read for each request and kept nowhere."""

    base: str
    host: str
    name: str

    @classmethod
    def of(cls, base: str, name: str) -> _Endpoint:
        """The endpoint, if it is one that a key may be sent to."""
        try:
            parts = urlsplit(base)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in {"http", "https"} or parts.query or parts.fragment:
            raise ExplainerError("the explainer's address must look like https://host/v1")
        if parts.username is not None or parts.password is not None:
            raise ExplainerError(f"the explainer's address holds a login: leave it out, and put a key into {KEY}")
        if parts.scheme == "http" and host not in HERE:
            raise ExplainerError(f"{host} would be asked in the open: write https://, as for all but localhost")
        return cls(base.rstrip("/"), parts.netloc, name)

    def __call__(self, prompt: Prompt) -> str:
        status, body = self._answer(prompt)
        if status == BUSY or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            time.sleep(PAUSE_S)
            status, body = self._answer(prompt)
        if status != http.HTTPStatus.OK:
            raise ExplainerError(f"the explainer at {self.host} {_refusal(status)}")
        return one_line(self._content(body))

    def _answer(self, prompt: Prompt) -> tuple[int, bytes]:
        """The status and what was said with it; neither the headers nor an error's text, which may hold the key."""
        direct = [urllib.request.ProxyHandler({})] if urlsplit(self.base).hostname in HERE else []
        try:
            opener = urllib.request.build_opener(_NoRedirect, *direct)
            with opener.open(self._request(prompt), timeout=TIMEOUT_S) as answer:
                return answer.status, answer.read(MOST_BYTES)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, b""
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ExplainerError(f"the explainer at {self.host} {_failure(error)}") from None

    def _request(self, prompt: Prompt) -> urllib.request.Request:
        asked: dict[str, Any] = {"model": self.name, "messages": prompt.messages()}
        asked |= {"temperature": 0, "seed": 0, "max_tokens": ANSWER_TOKENS}
        headers = {"Content-Type": "application/json", "User-Agent": "daily-picks"} | _authorisation()
        return urllib.request.Request(f"{self.base}/chat/completions", json.dumps(asked).encode(), headers)

    def _content(self, body: bytes) -> str:
        try:
            content = json.loads(body)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            content = None
        if not isinstance(content, str) or not content.strip():
            raise ExplainerError(f"the answer of the explainer at {self.host} is not understood: it holds no sentence")
        return content


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected request would take the key to wherever it is sent."""

    def redirect_request(self, *_: Any) -> None:
        """None: the redirect itself is the answer."""


def _authorisation() -> dict[str, str]:
    key = os.environ.get(KEY, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ExplainerError(f"the key in {KEY} holds characters that no key has: copy it again")
    return {"Authorization": f"Bearer {key}"} if key else {}


def _refusal(status: int) -> str:
    if status in {http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN}:
        return f"does not let us in (HTTP {status}): check the key in {KEY}"
    if status == http.HTTPStatus.NOT_FOUND:
        return "knows no such address or model (HTTP 404): check both"
    if status == BUSY:
        return "has too much to do (HTTP 429, twice): try again later"
    return f"answers with HTTP {status}"


def _failure(error: Exception) -> str:
    why = getattr(error, "reason", error)
    if isinstance(why, TimeoutError):
        return f"has not answered within {TIMEOUT_S:g} s"
    told = why if isinstance(why, str) else type(why).__name__
    return f"cannot be reached ({told}): check the address, and whether it runs"


def one_line(text: str) -> str:
    """An answer as one line of printable characters, cut to 300."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:ANSWER_CHARACTERS].rstrip()


FUNCTION_WORDS = (
    "a about after all also an and any are as at be been before being between both but by can could do does each etc "
    "for from had has have how if in into is it its like may more most not of often on one or other over rather same "
    "several so some such than that the their them then there these they this those through to under up used uses "
    "using various very was were what when where which while who whose will with within without would you your"
)
CLICHES = (  # of descriptions, whatever they describe
    "activates active associated concept concepts feature features includes including indicates likelier mentions "
    "model particularly refers references related relates respond responds specifically text texts token tokens "
    "topic topics word words"
)
UNTELLING = frozenset(f"{FUNCTION_WORDS} {CLICHES}".split())
SPOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
SHORTEST_STEM = 4  # letters, and two thirds of the word


def words_of(sentence: str, words: Words) -> list[int]:
    """The content words of a sentence as word numbers, each once, in its order.

    A word that the vocabulary lacks counts as its longest beginning that is there, if that is most of it: `musicians`
    as `musician`; otherwise it is left out.
    """
    numbers = {name: number for number, name in enumerate(words.names)}
    found = [_number(word, numbers) for word in _content_words(sentence)]
    return list(dict.fromkeys(number for number in found if number is not None))


def _content_words(sentence: str) -> Iterator[str]:
    spoken = (word.lower() for word in SPOKEN.findall(sentence))
    return (word for word in spoken if word not in UNTELLING)


def _number(word: str, numbers: dict[str, int]) -> int | None:
    shortest = max(SHORTEST_STEM, math.ceil(len(word) * 2 / 3))
    beginnings = (word, *(word[:n] for n in range(len(word) - 1, shortest - 1, -1)))
    return next((numbers[beginning] for beginning in beginnings if beginning in numbers), None)
