"""What the site takes from a notebook."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from picks.site.notebooks import differences, stripped
from reproductions.common.errors import UserError
from tests.fixtures.mini_site import ATTACK, notebook


def _write(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "notebook.ipynb"
    path.write_text(json.dumps(content), encoding="utf8")
    return path


def test_the_copy_has_sources_and_the_parameters_tag_and_nothing_else(tmp_path: Path) -> None:
    content = notebook("- Small.", ATTACK)
    copy = json.loads(stripped(_write(tmp_path, content)))
    assert [cell["source"] for cell in copy["cells"]] == [cell["source"] for cell in content["cells"]]
    assert [cell["metadata"] for cell in copy["cells"]] == [{}, {"tags": ["parameters"]}, {}]
    assert copy["cells"][1]["outputs"] == []
    assert "attack" not in copy["metadata"]


def test_the_section_that_says_what_differs_is_found(tmp_path: Path) -> None:
    assert "<strong>Small</strong>" in str(differences(_write(tmp_path, notebook("- **Small**."))))
    assert differences(_write(tmp_path, {"cells": []})) is None


@pytest.mark.parametrize(
    "content", [[], {}, {"cells": [{}]}, {"cells": [{"cell_type": "code", "metadata": 1, "source": ""}]}]
)
def test_what_is_no_notebook_is_refused(content: object, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a notebook"):
        stripped(_write(tmp_path, content))
