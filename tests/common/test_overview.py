"""The page of a model's autoencoders says what their cards say."""

import pytest

from reproductions.common.autoencoders import overview, shipped

MODELS = [folder for folder in shipped.FOLDER.iterdir() if (folder / overview.NAME).exists()]


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_the_page_is_that_of_the_cards(folder):
    assert (folder / overview.NAME).read_text(encoding="utf8") == overview.page(folder)


def test_there_is_a_page():
    assert MODELS
