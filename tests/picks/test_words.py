"""The words of a verdict are the same wherever they are explained."""

import re

import pytest

from picks.run.command import ROOT
from reproductions.common.verdicts import VERDICTS

FORMER = ("partially reproduced", "not reproduced", "inconclusive")


def read(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf8")


def test_the_readme_explains_each_word_in_order():
    table = read("README.md").partition("## The words of a verdict")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| ([^|]+?) \| ", table, re.MULTILINE)[1:]) == VERDICTS


def test_the_page_explains_each_word_in_order():
    assert tuple(re.findall(r"<dt>\{\{ verdict\(\"([^\"]+)\"\) \}\}</dt>", read("site/pages/verdicts.md"))) == VERDICTS


def test_the_code_explains_each_word():
    explained = re.findall(
        r"^    (\w[\w, ]*?)  +\w", read("reproductions/common/verdicts.py").split('"""')[1], re.MULTILINE
    )
    assert sorted(explained) == sorted(VERDICTS)


TEXTS = [
    *("README.md", "CONTRIBUTING.md", "papers/_template.yml", ".github/ISSUE_TEMPLATE/verdict.yml"),
    *(
        str(path.relative_to(ROOT))
        for path in sorted(ROOT.glob("site/**/*"))
        if path.suffix in {".md", ".j2", ".css", ".js"}
    ),
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("reproductions/*/*.ipynb"))),
    *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("reproductions/*/reproduction.yml"))),
]


@pytest.mark.parametrize("file", TEXTS)
def test_no_former_word_is_left(file):
    text = read(file)
    assert [word for word in FORMER if word in text] == []
