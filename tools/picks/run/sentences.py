"""What a reproduction found, in the sentences of its `reproduction.yml`: never said against what is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from picks.run.judgements import judgements
from picks.run.record import recorded_runs
from picks.run.reproductions import Reproduction
from reproductions.common.claims import CONTROL, Claims, Sentence, load_claims
from reproductions.common.errors import UserError
from reproductions.common.numbers import number, with_interval
from reproductions.common.schema import load
from reproductions.common.verdicts import Judgement

Fullest = Mapping[str, Sequence[Judgement]]  # by model, what its fullest record says


@dataclass(frozen=True)
class Said:
    """A sentence with its numbers, the model that it is about, and the verdicts that it rests on, by claim."""

    text: str
    model: str
    verdicts: Mapping[str, str]


def sentences(reproduction: Reproduction) -> tuple[Said, ...]:
    """What was found, from the records.

    Raises:
        UserError: a file is not as it must be, or a sentence and a record contradict each other.
    """
    fullest: dict[str, Sequence[Judgement]] = {}
    for _, record in recorded_runs(reproduction):
        fullest.setdefault(record["model"]["name"], judgements(record["claims"]))
    return said(reproduction.file, load_claims(reproduction.file), fullest)


def said(file: Path, claims: Claims, fullest: Fullest) -> tuple[Said, ...]:
    """The sentences of a reproduction's file, filled with the numbers of each model's fullest run.

    Raises:
        FileError: with the sentence's place, where a verdict that it rests on is not the recorded one.
    """
    return tuple(_said(file, index, sentence, fullest) for index, sentence in enumerate(claims.found))


def _said(file: Path, index: int, sentence: Sentence, fullest: Fullest) -> Said:
    found = {judgement.claim.id: judgement for judgement in fullest.get(sentence.model, ())}
    for name, verdict in sentence.verdicts.items():
        recorded = f"{found[name].verdict!r}" if name in found else "nothing"
        if name not in found or found[name].verdict != verdict:
            what = f"this sentence rests on {name} being {verdict!r} on {sentence.model}, of which the record says"
            raise _error(file, index, name, f"{what} {recorded}; write the sentence anew")
    numbers = {name: " ".join(with_interval(own.value, own.interval)).strip() for name, own in found.items()}
    numbers |= {name + CONTROL: number(own.control) for name, own in found.items()}
    minus = {name: shown.replace("-", "−") for name, shown in numbers.items()}
    return Said(sentence.filled(minus), sentence.model, sentence.verdicts)


def _error(file: Path, index: int, claim: str, what: str) -> UserError:
    return load(file, "reproduction").error(what, "found", "sentences", index, "verdicts", claim)
