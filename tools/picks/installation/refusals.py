"""What a command could only refuse, as far as the names of files tell: said before minutes go into an installation.

The commands say it themselves once they run; here it is read from text, for nothing that reads YAML is installed yet.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from picks.environment import ROOT
from picks.identifiers import paper_id
from picks.run.arguments import parse
from reproductions.common.quoting import shown
from reproductions.common.suggest import did_you_mean

BAD_INPUT = 2
ONE_DIGIT_OFF = 0.85  # of an id's ten characters; two ids share half of them by chance
VALUED = frozenset({"--bibtex", "--collection", "--paper", "--tag"})  # options whose value is the next argument

_PLAIN = re.compile(r"[\w.-]+")
_MODELS = re.compile(r"^([\w.-]+):", re.MULTILINE)
_TITLES = re.compile(r"^(?:title|titles|former_ids):.*(?:\n[ -].*)*", re.MULTILINE)
_REPRODUCTION = re.compile(r"^reproduction: *(\w+)", re.MULTILINE)
_PARAMETERS = re.compile(r"^parameters:.*\n(?:[ #].*\n|\n)*", re.MULTILINE)
_PARAMETER = re.compile(r"^  ([a-z_]\w*):", re.MULTILINE)

Complaints = Iterator[str]


def refuse(command: str, arguments: Sequence[str]) -> None:
    """End the process with one message and exit code 2 if the command is bound to refuse."""
    complaint = next(COMPLAINTS.get(command, _nothing)(arguments), None)
    if complaint:
        print(f"tools/{command}: {complaint}", file=sys.stderr)
        sys.exit(BAD_INPUT)


def _nothing(_: Sequence[str]) -> Complaints:
    yield from ()


def _of_repro(arguments: Sequence[str]) -> Complaints:
    options = parse(arguments)
    if hasattr(options, "verify"):
        yield from (f"{path}: there is no such file" for path in options.verify if not path.exists())
    elif options.run is not None:
        yield from (f"{path}: there is no such run" for path in [options.run] if not path.is_dir())
    elif options.paper is not None:
        yield from _of_paper(options.paper)
        yield from _of_model(options)
        yield from _of_parameters(options)


def _of_paper(text: str) -> Complaints:
    """An id that is no entry's, an entry without a reproduction, or a name that is no reproduction's nor in a title."""
    choices = f"\ncan be run: {', '.join(_reproductions())}\n(tools/repro --list tells more)"
    if text in _entries():
        if not _REPRODUCTION.search(_entry(text)):
            yield f"{text} has no reproduction; papers/{text}.yml says why{choices}"
    elif paper_id(text):
        yield f"{text} is not among the papers here{did_you_mean(text, _entries(), ONE_DIGIT_OFF)}{choices}"
    elif text.lower().replace("-", "_") not in _reproductions() and not _in_a_title(text):
        yield f"there is no reproduction {shown(text)}{did_you_mean(text, _reproductions())}{choices}"


def _of_model(options: argparse.Namespace) -> Complaints:
    """A plain name that is not in models.yml; owner/name may be on the hub."""
    known, name = _MODELS.findall(_read(ROOT / "reproductions" / "models.yml")), options.model
    if name and known and _PLAIN.fullmatch(name) and name.lower() not in map(str.lower, known):
        hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
        yield f"there is no model {shown(name)}{hint}"


def _of_parameters(options: argparse.Namespace) -> Complaints:
    named = _REPRODUCTION.findall(_entry(options.paper)) or [options.paper.lower().replace("-", "_")]
    block = _PARAMETERS.search(_read(ROOT / "reproductions" / named[0] / "reproduction.yml"))
    known = _PARAMETER.findall(block[0]) if block else []
    for name in options.parameters:
        if known and name not in known:
            hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            yield f"{named[0]} has no parameter {name}{hint}"


def _of_export(arguments: Sequence[str]) -> Complaints:
    yield from _missing(_plain(arguments[1:]))


def _of_new(arguments: Sequence[str]) -> Complaints:
    plain = _plain(arguments)
    yield from (f"{name} is there already" for name in plain[:1] if name in _reproductions())
    yield from _missing(_values("--paper", arguments))


def _of_add(arguments: Sequence[str]) -> Complaints:
    names = _plain(arguments)
    yield from _without_file(arguments)
    if "--update" in arguments:
        yield from _missing(names)
    if not _values("--bibtex", arguments):
        yield from _no_addresses(names)


def _of_pick(arguments: Sequence[str]) -> Complaints:
    names = _plain(arguments)
    yield from _without_file(arguments)
    if not _values("--bibtex", arguments):
        yield from _no_addresses(name for name in names if name not in _entries())


def _missing(names: Iterable[str]) -> Complaints:
    """An id that is no entry's, now or formerly."""
    for name in names:
        found = paper_id(name)
        if found and found not in _entries() and not _in_a_title(found):
            yield f"there is no paper {shown(name)}{did_you_mean(found, _entries(), ONE_DIGIT_OFF)}"


def _no_addresses(names: Iterable[str]) -> Complaints:
    """Neither an id nor anything that looks like an address or a DOI."""
    for name in names:
        if not paper_id(name) and "/" not in name:
            guess = did_you_mean(name, _entries(), ONE_DIGIT_OFF)
            yield f"{shown(name)} is neither an arXiv id (2412.11965) nor an https address of a page{guess}"


def _without_file(arguments: Sequence[str]) -> Complaints:
    yield from (f"{path}: there is no such file" for path in _values("--bibtex", arguments) if not Path(path).exists())


def _plain(arguments: Sequence[str]) -> list[str]:
    """The arguments that are neither options nor values of options."""
    before = ("", *arguments)
    return [text for last, text in zip(before, arguments, strict=False) if text[:1] != "-" and last not in VALUED]


def _values(option: str, arguments: Sequence[str]) -> list[str]:
    """What an option is given, as `--option value` or `--option=value`."""
    after = [text for last, text in pairwise(arguments) if last == option]
    return after + [text.partition("=")[2] for text in arguments if text.startswith(f"{option}=")]


def _entries() -> list[str]:
    return sorted(path.stem for path in (ROOT / "papers").glob("[!_]*.yml"))


def _reproductions() -> list[str]:
    return sorted(path.parent.name for path in (ROOT / "reproductions").glob("*/reproduction.yml"))


def _in_a_title(text: str) -> bool:
    """Whether a title, or a former id, has it."""
    parts = (part for name in _entries() for part in _TITLES.findall(_entry(name)))
    return any(text.lower() in part.lower() for part in parts)


def _entry(name: str) -> str:
    return _read(ROOT / "papers" / f"{name}.yml")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


COMPLAINTS: dict[str, Callable[[Sequence[str]], Complaints]] = {
    "repro": _of_repro,
    "add": _of_add,
    "pick": _of_pick,
    "new": _of_new,
    "export": _of_export,
}
