"""What a run has found, set for a terminal: two lines a claim, what they add up to, and what to do next."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from picks.run.judgements import found, judgements
from picks.run.plan import Plan
from picks.run.record import Change
from picks.run.runner import Outcome
from reproductions.common.claims import ARITHMETIC, BEFORE, OURS, MetricSpec
from reproductions.common.numbers import number, with_interval
from reproductions.common.verdicts import (
    CANNOT_TELL,
    HOLDS,
    NOT_SEEN,
    NOT_TESTED,
    OPPOSITE,
    WEAKER,
    Judgement,
    facts,
)

# A claim that does not hold here is a finding, not a failure: no red, no green.
STYLES = {
    HOLDS: "bold cyan",
    WEAKER: "cyan",
    CANNOT_TELL: "yellow",
    NOT_SEEN: "magenta",
    OPPOSITE: "bold magenta",
    NOT_TESTED: "dim",
}
UNDER = "  "  # before a claim that stands under another of its fact
FAST = "\N{NO-BREAK SPACE}"
NARROWEST = 40  # columns of text, however narrow the terminal


def show_verdicts(
    console: Console, plan: Plan, record: Mapping[str, Any], folder: Path, changes: Sequence[Change] | str
) -> None:
    """Claim by claim what was found, what it adds up to, what changed since the record, and what to do next.

    Args:
        console: standard output.
        plan: what was run.
        record: of the run.
        folder: its directory.
        changes: since the recorded run, or why there is no comparison.
    """
    judged = judgements(record["claims"])
    show_header(console, plan)
    _show_claims(console, judged, plan.claims.metrics)
    _line(console, "")
    _line(console, f"{found(judged)}: on this model, at this scale.", style="bold")
    _show_changes(console, changes)
    _show_next(console, plan, record, folder)
    _line(console, record["signature"], style="dim")


def show_header(console: Console, plan: Plan) -> None:
    """Which paper, on which model, honestly named, in which profile."""
    paper = plan.reproduction.paper
    _line(console, Text.assemble((paper.title, "bold"), f" ({paper.id})"))
    _line(console, f"{plan.model.title}; profile {plan.profile}")
    _line(console, plan.model.note.strip(), style="dim")


def show_failure(console: Console, plan: Plan, outcome: Outcome, command: str) -> None:
    """A run that is not complete, in a few lines: paper, cell, exception, notebook, how to run it again."""
    paper = plan.reproduction.paper
    cell = outcome.state.failed
    where = f', in the cell "{cell.title}"' if cell else ""
    lines = [
        f"{plan.reproduction.name} ({paper.id}, {paper.title}) stopped{where}",
        f"  {outcome.ending.message}",
        f"  the notebook so far: {shown_path(outcome.folder / 'notebook.ipynb')}",
        f"  to run it again: {command}",
    ]
    for line in lines:
        _line(console, line)


def shown_path(path: Path) -> str:
    """A path as the user would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _line(console: Console, line: str | Text, style: str = "") -> None:
    """A line as it is, wherever it may end."""
    console.print(Text(line, style=style) if isinstance(line, str) else line, soft_wrap=True)


# Claims


def _show_claims(console: Console, judged: Sequence[Judgement], specs: Mapping[str, MetricSpec]) -> None:
    """The paper's claims, then our own checks; claims that turn on one fact stand together, the first one first."""
    lines = Lines.fitting(judged, console.width, specs)
    own = [judgement for judgement in judged if judgement.claim.kind == OURS]
    theirs = [judgement for judgement in judged if judgement.claim.kind != OURS]
    for title, group in (("What the paper claims", theirs), ("Our own checks", own)):
        if group:
            _line(console, "")
            _line(console, title, style="bold")
        for fact in facts(group):
            for place, judgement in enumerate(fact.judgements):
                for line in lines.of(judgement, under=place > 0):
                    _line(console, line)


@dataclass(frozen=True)
class Lines:
    """Sets claims to a width: id, verdict and numbers, below them the sentence, then the reason.

    width: of the terminal; margin: columns of the id; word: columns of the verdict.
    """

    width: int
    margin: int
    word: int
    specs: Mapping[str, MetricSpec]

    @classmethod
    def fitting(cls, judged: Sequence[Judgement], width: int, specs: Mapping[str, MetricSpec]) -> Lines:
        """Columns as wide as what they hold."""
        indent = len(UNDER) * any(len(fact.judgements) > 1 for fact in facts(judged))
        margin = indent + max((len(judgement.claim.id) for judgement in judged), default=0)
        word = max((len(judgement.verdict or "") for judgement in judged), default=0)
        return cls(width, margin + 2, word + 2, specs)

    def of(self, judgement: Judgement, *, under: bool) -> list[Text]:
        """A claim's lines; one `under` another of its fact is set in."""
        claim, verdict, margin = judgement.claim, judgement.verdict or "", " " * self.margin
        lead = f"{UNDER * under}{claim.id}".ljust(self.margin) + verdict.ljust(self.word)
        numbers = self._numbers(judgement)
        first, *rest = self._wrapped("  ".join(numbers) or judgement.reason, lead)
        head = Text(first)
        head.stylize(STYLES.get(verdict, ""), self.margin, self.margin + len(verdict))
        lines = [head, *map(Text, rest), *map(Text, self._wrapped(claim.statement, margin))]
        if numbers and verdict and verdict != HOLDS:
            lines += [Text(line, style="dim") for line in self._wrapped(judgement.reason, f"{margin}why: ")]
        return lines

    def _numbers(self, judgement: Judgement) -> list[str]:
        """The value with its interval and unit, the control, and what would have to be true."""
        claim, spec = judgement.claim, self.specs.get(judgement.claim.metric or "")
        if judgement.value is None:
            return []
        unit = spec.unit if spec else ""
        parts = [" ".join(filter(None, (*with_interval(judgement.value, judgement.interval), unit)))]
        if claim.control is not None:
            parts.append(f"control {number(judgement.control)}")
        parts.append(judgement.reason if claim.kind == ARITHMETIC else f"must be {claim.sought}")
        if claim.set != BEFORE:
            parts.append("chosen after results were seen")
        return [part.replace(" ", FAST) for part in parts]

    def _wrapped(self, text: str, lead: str) -> list[str]:
        """Lines that begin below the end of `lead`; what stands between no-break spaces stays together."""
        width = max(self.width, len(lead) + NARROWEST)
        lines = textwrap.wrap(
            text.strip(" \n"), width, initial_indent=lead, subsequent_indent=" " * len(lead), break_on_hyphens=False
        )
        return [line.replace(FAST, " ") for line in lines] or [lead.rstrip()]


# What comes after


def _show_changes(console: Console, changes: Sequence[Change] | str) -> None:
    if isinstance(changes, str):
        _line(console, changes, style="dim")
        return
    for change in changes:
        mark = "fell" if change.fell else "changed"
        _line(console, f"{mark} since the record: {change.subject}: {change.recorded} → {change.now}")
    if not changes:
        _line(console, "As recorded: same verdicts, every number within its tolerance.", style="dim")


def _show_next(console: Console, plan: Plan, record: Mapping[str, Any], folder: Path) -> None:
    """Where the run lies, and what can be done with it."""
    paper, run = plan.reproduction.paper.id, shown_path(folder)
    drawn = [fields["file"] for fields in record["figures"] if fields.get("theme", "light") == "light"]
    page = f"tools/site serve, then papers/{paper}{', with an explorer' if record['data'] else ''}"
    pages = sorted((folder / "data").glob("*.html"))
    model = " ".join([plan.model.name, *map(str, plan.autoencoders)])
    steps = {
        "the run": run,
        "figures": ", ".join(drawn) and f"{run}/{drawn[0]}{f' and {len(drawn) - 1} more' * (len(drawn) > 1)}",
        "to explore": ", ".join(shown_path(path) for path in pages),
        "recorded runs": page,
        "more of it": "" if plan.profile == "full" else f"tools/repro {paper} --model {model} --profile full",
        "judge again": f"tools/repro verify {run}/results.json",
        "the words": 'README.md, "The words of a verdict"',
    }
    _line(console, "")
    for name, step in steps.items():
        if step:
            _line(console, Text.assemble((f"{name:15}", "dim"), step))
