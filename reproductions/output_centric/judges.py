"""Is a description right? Judges that need no language model of another make.

Input side (section 4.1 of the paper): texts that a description leads to must excite the feature more than others do.
The paper has a language model write them; here they are retrieved from held-out text. Output side (section 4.2): among
three sets of texts, one written with the feature clamped and two with other features of its source, the description
must lead to the right one. The paper asks a language model; here judges of different kinds are asked, and one whose
oracle, a description made of another such text, does no better than chance is not listened to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from reproductions.common.edits import final_states, unembed
from reproductions.common.model import Model
from reproductions.output_centric.words import Words

SATURATION = 1.2  # BM25's k1; all passages have one length, so its b has no effect
FEW, MANY = 5, 50  # passages that are retrieved: for the paper's rule, and for the area under the curve
DRAWS = 200  # of as few random passages
RIVALS = 11  # other features of its source that a feature is held against, two at a time, at least
CHANCE = {"input": 1 / 2, "output": 1 / 3}
JUDGES = ("lexical", "embedding")  # of words that were to be expected; `asked` is another kind, of sampled texts
ASKED = "\nThis text is about"
TEXTS_AT_ONCE = 8

Description = Sequence[int]  # words


# Input side


class Library:
    """Passages [n, 1 + length] to retrieve from."""

    def __init__(self, passages: Tensor, words: Words) -> None:
        numbers = words.word_of[passages[:, 1:]].numpy()
        rows = np.repeat(np.arange(len(numbers)), numbers.shape[1])
        shape = (len(numbers), len(words.names))
        counts = sparse.csr_matrix((np.ones(numbers.size), (rows, numbers.ravel())), shape)
        self.n = len(passages)
        self.frequency = counts.getnnz(axis=0)  # passages that hold each word
        self.idf = np.log(1 + (self.n - self.frequency + 0.5) / (self.frequency + 0.5))
        saturated = counts.copy()
        saturated.data = saturated.data * (SATURATION + 1) / (saturated.data + SATURATION)
        self._weights = sparse.csc_matrix(saturated.multiply(self.idf))

    def ranked(self, description: Description) -> list[int]:
        """The passages that hold a word of the description, the best match by BM25 first."""
        scores = np.asarray(self._weights[:, list(description)].sum(1)).ravel()
        order = np.argsort(-scores, kind="stable")
        return [int(row) for row in order[: int((scores > 0).sum())]]


@dataclass(frozen=True)
class InputScore:
    """How a description did on the input side."""

    accuracy: float  # how often the paper's rule calls it right: five retrieved against five random passages
    area: float  # share of pairs of a retrieved and another passage in which the retrieved one excites more
    retrieved: int


def input_score(library: Library, description: Description, peaks: Tensor, generator: torch.Generator) -> InputScore:
    """Judge a description by the feature's largest activation in each passage of the library: peaks [n].

    The paper draws the five passages that do not fit once; the mean over many draws is the same on average, and varies
    less from feature to feature. A tie is a failure, as in the paper. Where fewer than five passages hold a word of the
    description, random ones fill up: a rare word is not held against it.
    """
    found = library.ranked(description)[:MANY]
    others = torch.ones(library.n, dtype=torch.bool)
    others[found] = False
    rest, few = peaks[others], peaks[found[:FEW]]
    drawn = rest[torch.randint(len(rest), (DRAWS, 2 * FEW - len(few)), generator=generator)]
    right = few.sum() + drawn[:, FEW:].sum(1) > drawn[:, :FEW].sum(1)
    gaps = (peaks[found][:, None] - rest[None]).sign()
    area = ((gaps + 1) / 2).mean().item() if found else 0.5
    return InputScore(right.float().mean().item(), area, len(found))


# Output side


class WordJudges:
    """Scores how well descriptions fit texts by how often each word was to be expected in them: [texts, words]."""

    def __init__(self, model: Model, words: Words, idf: np.ndarray, expected: Tensor) -> None:
        self.model, self.words, self.expected = model, words, expected
        self._idf = torch.from_numpy(idf).float()

    def scores(self, descriptions: Sequence[Description]) -> dict[str, Tensor]:
        """For each judge, the scores [descriptions, texts]; only those of one description can be compared."""
        held = [list(description) for description in descriptions]
        return {
            "lexical": torch.stack([self.expected[:, own] @ self._idf[own] for own in held]),
            "embedding": _unit(torch.stack([self._vectors[own].sum(0) for own in held])) @ self._pointing.T,
        }

    @cached_property
    def _pointing(self) -> Tensor:
        """Where the words of each text point to: [texts, d_model], of norm 1."""
        return _unit(self.expected @ self._vectors)

    @cached_property
    def _vectors(self) -> Tensor:
        """The mean embedding of each word's tokens, less the mean of all: [words, d_model]."""
        W_E = self.model.W_E.detach().cpu().float()
        sums = self.words.summed(W_E.T).T
        means = sums / self.words.summed(torch.ones(1, len(W_E))).T
        return means - means.mean(0)


@torch.no_grad()
def asked(model: Model, words: Words, texts: Tensor) -> Tensor:
    """log p(word | text, asked) - log p(word | asked), by the model that nothing steers: [texts, words].

    By Bayes' rule this is how much likelier a text [texts, ..., 25] is where the word is its subject.
    """
    rows = [_question(model, text) for text in texts]
    parts = [rows[start : start + TEXTS_AT_ONCE] for start in range(0, len(rows), TEXTS_AT_ONCE)]
    found = [_log_probs(model, words, part) for part in parts]
    return torch.cat(found) - _log_probs(model, words, [_question(model, texts[0, :0])])


def _question(model: Model, text: Tensor) -> Tensor:
    opening, question = model.to_tokens("")[0, :1].cpu(), model.tokenizer(ASKED, add_special_tokens=False)
    return torch.cat([opening, text.flatten(), torch.tensor(question["input_ids"])])


def _log_probs(model: Model, words: Words, rows: Sequence[Tensor]) -> Tensor:
    states = final_states(model, torch.stack(list(rows)))[:, -1]
    probabilities = unembed(model, states).float().softmax(-1).cpu()
    return words.summed(probabilities).clamp(min=1e-12).log()


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def comparable(groups: Sequence[object], rivals: int = RIVALS) -> list[int]:
    """The rows whose text can be compared with those of so many others of its group."""
    return [row for row, group in enumerate(groups) if list(groups).count(group) > rivals]


def chosen(own: Tensor, others: Tensor) -> Tensor:
    """The chance that a text with the score `own` [n] is chosen against two of others [n, m], drawn at random.

    The mean over all pairs that could be drawn, and over draws among equal scores: 1/3 where all are equal.
    """
    m = others.shape[1]
    if m < 2:
        raise ValueError("a description is judged against two other texts, and there are not as many")
    lower, equal = ((others < own[:, None]).sum(1), (others == own[:, None]).sum(1))
    wins = lower * (lower - 1) / 2 + lower * equal / 2 + equal * (equal - 1) / 2 / 3
    return wins / (m * (m - 1) / 2)


def output_scores(scores: Tensor, groups: Sequence[object]) -> Tensor:
    """The chance [n] that each description leads to its own text, from scores [n descriptions, n texts].

    groups: [n]; the other texts are those of the same group, which is a source.
    """
    found = torch.empty(len(groups))
    for group in dict.fromkeys(groups):
        rows = [row for row, other in enumerate(groups) if other == group]
        block = scores[rows][:, rows]
        others = block[~torch.eye(len(rows), dtype=torch.bool)].view(len(rows), -1)
        found[rows] = chosen(block.diagonal(), others)
    return found


def oracle(expected: Tensor, groups: Sequence[object], budget: int) -> list[list[int]]:
    """The best that words can do: those that stand out in other texts of the same clamps, by `expected` [texts, words].

    A word stands out by how much oftener it is to be expected than in the texts of its group on average, in units of
    the spread that such a count has by chance; one more than is expected keeps the rarest words from the front.
    """
    found = []
    for text, group in zip(expected, groups, strict=True):
        usual = expected[[row for row, other in enumerate(groups) if other == group]].mean(0)
        found.append(((text - usual) / (usual + 1).sqrt()).topk(budget).indices.tolist())
    return found
