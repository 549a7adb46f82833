"""How the time to check the knowledge base grows with it: ten times the entries, not much more than ten times the time.

Every rule runs, those that compare entries included. `tools/test tests/benchmarks -s` prints the figures; only the
growth is asserted. Other sizes are measured, and nothing asserted, by

    PYTHONPATH=.:tools .venv/bin/python tests/benchmarks/test_check_speed.py 1000 10000
"""

import random
import shutil
import sys
import time
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory

from picks.check.checker import check, files_in

ROOT = Path(__file__).resolve().parents[2]
SMALL, LARGE = 300, 3_000
MOST_GROWTH = 20  # times as long for ten times the entries; comparing all pairs would take a hundred times as long

ENTRY = """\
title: {title}
titles:
  - {other_title}
authors:
  - {author}
  - {other_author}
published: "2025-{month}-15"
summary: >-
  {summary}
finding: {finding} (Table {number}).
why: {why}
tags: [sparse autoencoders, probing]
kind: method
venue: ACL 2025
venue_kind: proceedings
doi: 10.18653/v1/2025.acl-long.{number}
category: cs.CL
links:
  code: https://github.com/example/{number}
models: [Model {model}]
data: [Words {model}]
collection:
  order: {number}
  upvotes: 3
builds_on: {{{builds_on}}}
read:
  version: arXiv v1
not_reproduced: planned
"""


def entries(number: int) -> dict[str, str]:
    """Entries by id, each built on the one before, with words drawn as they fall in texts: few often, most rarely."""
    source = random.Random(0)
    letters = [consonant + vowel for consonant in "bdfgklmnprstv" for vowel in "aeiou"]
    vocabulary = ["".join(source.choices(letters, k=source.randint(1, 4))) for _ in range(5_000)]
    cumulated = list(accumulate(1 / rank for rank in range(1, len(vocabulary) + 1)))

    def words(count: int) -> str:
        return " ".join(source.choices(vocabulary, cum_weights=cumulated, k=count)).capitalize()

    made: dict[str, str] = {}
    for index in range(number):
        month, earlier = 1 + index % 12, list(made)[-1:]
        paper_id = f"25{month:02}.{index // 12 + 1:05}"
        made[paper_id] = ENTRY.format(
            month=f"{month:02}", number=index + 1, model=index % 50,
            title=words(9), other_title=words(9), finding=words(15), why=words(15) + ".",
            author=words(1) + " " + words(1), other_author=words(1) + " " + words(1),
            summary="\n  ".join(words(25) + "." for _ in range(4)),
            builds_on=", ".join(f'"{other}": uses it' for other in earlier),
        )  # fmt: skip
    return made


def base(folder: Path, number: int) -> Path:
    """A knowledge base of that many entries."""
    (folder / "papers").mkdir(parents=True)
    shutil.copy(ROOT / "papers" / "_tags.yml", folder / "papers")
    for paper_id, text in entries(number).items():
        (folder / "papers" / f"{paper_id}.yml").write_text(text, encoding="utf8")
    return folder


def timed_check(root: Path) -> tuple[float, int]:
    """The processor seconds that a check takes, and how many faults it tells."""
    started = time.process_time()
    faults = check(root, files_in(root / "papers"))
    return time.process_time() - started, len(faults)


def test_time_grows_no_faster_than_the_base(tmp_path):
    timed_check(ROOT)  # warm up
    small_s, _ = timed_check(base(tmp_path / "small", SMALL))
    large_s, faults = timed_check(base(tmp_path / "large", LARGE))
    growth = large_s / small_s
    print(
        f"\n{SMALL:,} entries {small_s:.1f} s; {LARGE:,} entries {large_s:.1f} s ({faults} faults): {growth:.1f} times"
    )
    assert growth < MOST_GROWTH


def main():
    """Print the seconds for the collection and for bases of the given sizes."""
    print(f"the collection: {timed_check(ROOT)[0]:.2f} s")
    for number in map(int, sys.argv[1:]):
        with TemporaryDirectory() as folder:
            print(f"{number:,} entries: {timed_check(base(Path(folder) / 'base', number))[0]:.1f} s", flush=True)


if __name__ == "__main__":
    main()
