"""States, margins and gradients of the first-letter task against plain passes and by hand."""

import pytest
import torch

from reproductions.common.spelling import QUESTION, Spelling
from tests.common.tiny_bridge import WIDTH
from tests.common.tiny_speller import tiny_deal, tiny_speller


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_speller(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def task(model):
    return Spelling(model, tiny_deal(model)[1], "blocks.0.hook_resid_post")


def prompts(model, task):
    """Every prompt in full, [n, P + T]."""
    shown = "".join(f" {word}{QUESTION} {word[0].upper()}\n" for word in task.words.examples)
    shared = model.to_tokens(shown)[0]
    return torch.cat([shared.expand(len(task.asked), -1), task.asked], 1), len(shared)


def test_states_and_margins_are_those_of_a_plain_pass(model, task):
    texts, start = prompts(model, task)
    with torch.no_grad():
        found = model.original_model(texts, output_hidden_states=True)
    torch.testing.assert_close(task.x, found.hidden_states[1][:, start], atol=1e-5, rtol=1e-4)
    letters = found.logits[:, -1, 1:27]
    for row, text in enumerate(task.words.texts):
        right = ord(text[0]) - ord("a")
        others = [place for place in range(26) if place != right]
        rows = torch.tensor([row])
        m = task.margins(rows, task.before(rows), task.x[rows])
        torch.testing.assert_close(m[0], letters[row, right] - letters[row, others].mean(), atol=1e-4, rtol=1e-3)


def test_slopes_are_the_mean_of_slopes_on_the_way(task):
    rows, origin = torch.tensor([1, 4, 9]), torch.zeros(WIDTH) + 0.1
    before, step = task.before(rows), 1e-3
    found = task.slopes(rows, before, origin, 2)
    for axis in (0, 7):
        up = torch.zeros(WIDTH).index_fill(0, torch.tensor([axis]), step)
        by_hand = 0
        for share in (1.0, 0.5):
            point = origin + share * (task.x[rows] - origin)
            by_hand += (task.margins(rows, before, point + up) - task.margins(rows, before, point - up)) / (4 * step)
        torch.testing.assert_close(found[:, axis], by_hand, atol=2e-2, rtol=5e-2)


def test_fine_steps_add_up_to_what_taking_everything_away_does(task):
    """The sum of integrated gradients along all latents is the whole change of m."""
    rows, origin = torch.arange(5), torch.full((WIDTH,), 0.5)
    before = task.before(rows)
    slopes = task.slopes(rows, before, origin, 400)
    whole = task.margins(rows, before, task.x[rows]) - task.margins(rows, before, origin.expand(5, -1))
    torch.testing.assert_close(((task.x[rows] - origin) * slopes).sum(1), whole, atol=0.05, rtol=0.05)


def test_few_are_the_first_of_each_letter_and_means_are_theirs(task):
    chosen = torch.ones(len(task.words.texts), dtype=torch.bool)
    chosen[0] = False
    rows = task.few(chosen, 2)
    by_hand = [(chosen & (task.words.letter == place)).nonzero()[:2, 0] for place in range(3)]
    assert rows.tolist() == torch.cat(by_hand).tolist()
    means = task.means(task.x[rows], rows)
    torch.testing.assert_close(means, torch.stack([task.x[own].mean(0) for own in by_hand]))
    assert task.means(task.x[by_hand[0]], by_hand[0])[1:].isnan().all()


def test_known_are_held_out_words_whose_own_probe_says_so(task):
    letters, held = task.words.letter.tolist(), task.words.held.tolist()
    scores = task.probe.scores(task.x).tolist()
    by_hand = [own and score[letter] > 0 for own, score, letter in zip(held, scores, letters, strict=True)]
    assert task.known.tolist() == by_hand
