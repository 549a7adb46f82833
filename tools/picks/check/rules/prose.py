"""What people write: summary, finding, why, title."""

from __future__ import annotations

import re
from collections.abc import Iterator

from picks.check.base import Base, Entry, is_todo
from picks.check.faults import ERROR, HINT, Finding, entry_rule
from reproductions.common.quoting import shown

WORDS = range(40, 161)
SENTENCES = range(2, 6)
LONGEST_WHY = 200
NUMBERLESS = ("survey", "position", "tool", "discussion")

_SHORTENED = ("e\\.g", "i\\.e", "et al", "vs", "cf", "Fig", "Figs", "Sec", "Eq", "Tab")
_SENTENCE_END = re.compile("".join(rf"(?<!\b{word})" for word in _SHORTENED) + r"[.?!][\"'”’)]*(?=\s+[^a-z\s]|\s*$)")
_COUNTED = r"\b(?:no|none|half|one|two|three|four|five|six|seven|eight|nine|ten|twice|third|quarter)\b"
_HTML = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|<!--|&(?:[a-z]{2,8}|#x?[0-9a-f]{1,6});", re.IGNORECASE)
_COMMAND = re.compile(r"\\[a-zA-Z]+|\\[\"'`^~=.&%$#_{}]|\$[^$]+\$")  # in names, where braces mean something here
_LATEX = re.compile(r"\\[a-zA-Z]+|\\[\"'`^~=.&%$#_{}]|\$[^$]+\$|\{[^{}]*\}|``|''")


@entry_rule(ERROR)
def todo(entry: Entry, base: Base) -> Iterator[Finding]:
    """A TODO was left for a person to fill.

    Why: an entry that says TODO says nothing to its readers.
    Mend: write what belongs there; the comment in papers/_template.yml says what that is.
    """
    for path, scalar, is_key in entry.document.scalars:
        if not is_key and is_todo(scalar):
            key = ".".join(str(step) for step in path if isinstance(step, str))
            yield Finding(scalar.position, f"`{key}` is still to be written")


@entry_rule(ERROR)
def summary_length(entry: Entry, base: Base) -> Iterator[Finding]:
    """The summary is shorter than 40 words or longer than 160.

    Why: less does not say what was asked, done and found; more is not read in a list.
    Mend: say each of the three in a sentence or two, with the numbers that matter.
    """
    summary = entry.text("summary")
    length = len(summary.value.split()) if summary else 0
    if summary and length not in WORDS:
        yield Finding(summary.position, f"{length} word{'' if length == 1 else 's'}")


@entry_rule(HINT)
def summary_sentences(entry: Entry, base: Base) -> Iterator[Finding]:
    """The summary has fewer than two sentences or more than five.

    Why: two to five is what fits under a title, and enough to say what was asked, done and found.
    Mend: join or split sentences.
    """
    summary = entry.text("summary")
    number = len(_SENTENCE_END.findall(summary.value)) if summary else 0
    if summary and number not in SENTENCES:
        yield Finding(summary.position, f"{number} sentence{'' if number == 1 else 's'}")


@entry_rule(HINT)
def finding_form(entry: Entry, base: Base) -> Iterator[Finding]:
    """`finding` is not one sentence, or has no number in it.

    Why: it is what readers take away and quote; without its number nobody can hold it against another paper.
    Mend: say the main result in one sentence, with its number and where that stands: (Table 2).

    A survey, a position, a tool and a discussion may have no number to give.
    """
    finding, kind = entry.text("finding"), entry.text("kind")
    if finding is None:
        return
    number = len(_SENTENCE_END.findall(finding.value))
    if number > 1:
        yield Finding(finding.position, f"{number} sentences")
    elif not re.search(r"\d|" + _COUNTED, finding.value, re.IGNORECASE) and not (kind and kind.value in NUMBERLESS):
        yield Finding(finding.position, "no number in it")


@entry_rule(ERROR)
def why_length(entry: Entry, base: Base) -> Iterator[Finding]:
    """`why` is longer than one line of 200 characters.

    Why: it stands beside the title in lists, where there is room for a line.
    Mend: give the one reason that counts; the rest belongs in the summary.
    """
    why = entry.text("why")
    if why and (len(why.value.strip()) > LONGEST_WHY or "\n" in why.value.strip()):
        what = "several lines" if "\n" in why.value.strip() else f"{len(why.value)} characters"
        yield Finding(why.position, what)


@entry_rule(ERROR)
def html(entry: Entry, base: Base) -> Iterator[Finding]:
    """A text has HTML in it.

    Why: entries are shown in places that know no HTML, and where it is known it could run code.
    Mend: write plain text; the letters themselves instead of `&amp;` and its like.
    """
    for path, scalar, is_key in entry.document.scalars:
        if not is_key and (found := _HTML.search(scalar.value)):
            yield Finding(scalar.position, f"`{path[0]}` has {shown(found[0])} in it")


@entry_rule(ERROR)
def latex(entry: Entry, base: Base) -> Iterator[Finding]:
    r"""A title, a name or a venue has LaTeX in it.

    Why: it is shown as it stands, and BibTeX exports would escape it a second time.
    Mend: write the letters themselves: ü for `\"u`, k for `$k$`; capitals need no braces.
    """
    named = [*entry.titles(), entry.text("venue")]
    for scalar in named:
        if scalar and (found := _LATEX.search(scalar.value)):
            yield Finding(scalar.position, f"{shown(found[0])} in {shown(scalar.value)}")
    for author in entry.texts("authors"):
        if found := _COMMAND.search(author.value):
            yield Finding(author.position, f"{shown(found[0])} in {shown(author.value)}")
