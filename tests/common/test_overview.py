"""The page of a model's autoencoders says what their cards say."""

import pytest

from reproductions.common import siblings
from reproductions.common.autoencoders import overview, shipped

FOLDERS = [
    folder for root in (shipped.FOLDER, siblings.FOLDER) for folder in root.iterdir() if any(folder.glob("*.json"))
]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_the_page_is_that_of_the_cards(folder):
    assert (folder / overview.NAME).read_text(encoding="utf8") == overview.page(folder)


def test_there_are_some_of_either_kind():
    assert {folder.parent for folder in FOLDERS} == {shipped.FOLDER, siblings.FOLDER}
