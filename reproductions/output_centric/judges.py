"""Is a description right? Judges that need no language model of another make.

Input side (section 4.1 of the paper): texts that a description leads to must excite the feature more than others do.
The paper has a language model write them; here they are retrieved from held-out text. Output side (section 4.2): among
three sets of texts, one written with the feature clamped and two with other features of its source, the description
must lead to the right one. The paper asks a language model; here three judges of different kinds are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from reproductions.common.edits import final_states, unembed
from reproductions.output_centric.words import Words

SATURATION = 1.2  # BM25's k1; all passages have one length, so its b has no effect
FEW, MANY = 5, 50  # passages on either side: for the paper's rule, and for the area under the curve
CHANCE = {"input": 1 / 2, "output": 1 / 3}
JUDGES = ("lexical", "embedding", "model")
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
    """How a description did on the input side; without any passage to retrieve it did as chance does."""

    strict: float  # the paper's rule: 1 where the mean over retrieved passages is larger, a tie counts as 0
    tied: float  # the same, a tie counts as one half
    area: float  # share of pairs of a retrieved and a random passage in which the retrieved one excites more
    retrieved: int


def input_score(library: Library, description: Description, peaks: Tensor, generator: torch.Generator) -> InputScore:
    """Judge a description by the feature's largest activation in each passage of the library: peaks [n]."""
    found = library.ranked(description)[:MANY]
    if not found:
        return InputScore(0.0, 0.5, 0.5, 0)
    others = torch.ones(library.n, dtype=torch.bool)
    others[found] = False
    drawn = others.nonzero().squeeze(1)
    drawn = drawn[torch.randperm(len(drawn), generator=generator)[:MANY]]
    few = (peaks[found[:FEW]].mean() - peaks[drawn[:FEW]].mean()).sign().item()
    gaps = (peaks[found][:, None] - peaks[drawn][None]).sign()
    return InputScore(float(few > 0), (few + 1) / 2, ((gaps + 1) / 2).mean().item(), len(found))


# Output side


class TextJudges:
    """Scores how well descriptions fit texts, in three ways; texts are sets of continuations [texts, n, 25]."""

    def __init__(self, model: Any, words: Words, idf: np.ndarray, texts: Tensor) -> None:
        self.model, self.words, self.texts = model, words, texts
        self._idf = torch.from_numpy(idf).float()

    def scores(self, descriptions: Sequence[Description]) -> dict[str, Tensor]:
        """For each judge, the scores [descriptions, texts]; only those of one description can be compared."""
        member = torch.zeros(len(descriptions), len(self.words.names))
        for row, description in enumerate(descriptions):
            member[row, list(description)] = 1.0
        mean = member / member.sum(1, keepdim=True).clamp(min=1)
        return {
            "lexical": member * self._idf @ self._counts.T,
            "embedding": _unit(mean @ self._vectors) @ _unit(self._counts @ self._vectors).T,
            "model": mean @ self._log_ratios.T,
        }

    @cached_property
    def _counts(self) -> Tensor:
        """How often each text holds each word: [texts, words]."""
        return self.words.counts(self.texts.flatten(1))

    @cached_property
    def _vectors(self) -> Tensor:
        """The mean embedding of each word's tokens, less the mean of all: [words, d_model]."""
        W_E = self.model.W_E.detach().cpu().float()
        sums = self.words.summed(W_E.T).T
        means = sums / self.words.summed(torch.ones(1, len(W_E))).T
        return means - means.mean(0)

    @cached_property
    def _log_ratios(self) -> Tensor:
        """log p(word | text, asked) - log p(word | asked), by the model that nothing steers: [texts, words].

        By Bayes' rule this is how much likelier the text is where the word is its subject.
        """
        rows = [self._asked(text) for text in self.texts]
        found = [self._log_probs(rows[start : start + TEXTS_AT_ONCE]) for start in range(0, len(rows), TEXTS_AT_ONCE)]
        return torch.cat(found) - self._log_probs([self._asked(self.texts[0, :0])])

    def _asked(self, text: Tensor) -> Tensor:
        opening, question = self.model.to_tokens("")[0, :1].cpu(), self.model.tokenizer(ASKED, add_special_tokens=False)
        return torch.cat([opening, text.flatten(), torch.tensor(question["input_ids"])])

    @torch.no_grad()
    def _log_probs(self, rows: Sequence[Tensor]) -> Tensor:
        states = final_states(self.model, torch.stack(list(rows)))[:, -1]
        probabilities = unembed(self.model, states).float().softmax(-1).cpu()
        return self.words.summed(probabilities).clamp(min=1e-12).log()


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def comparable(groups: Sequence[object]) -> list[int]:
    """The rows whose text can be compared with those of two others of its group."""
    return [row for row, group in enumerate(groups) if list(groups).count(group) > 2]


def chosen(own: float, others: Tensor) -> float:
    """The chance that a text with the score `own` is chosen against two others, drawn from those with scores [n].

    The mean over all pairs that could be drawn, and over draws among equal scores: 1/3 where all are equal.
    """
    n = len(others)
    if n < 2:
        raise ValueError("a description is judged against two other texts, and there are not as many")
    lower, equal = int((others < own).sum()), int((others == own).sum())
    wins = lower * (lower - 1) / 2 + lower * equal / 2 + equal * (equal - 1) / 2 / 3
    return wins / (n * (n - 1) / 2)


def output_scores(scores: Tensor, groups: Sequence[object], own: Sequence[int] | None = None) -> Tensor:
    """The chance [n] that each description leads to its own text, from scores [n descriptions, texts].

    groups: [texts]; the other texts are those of the same group, which is a source. own: [n] which text belongs to a
    description; by default they stand in the same order.
    """
    found = []
    for row, text in enumerate(range(len(groups)) if own is None else own):
        rivals = [other for other, group in enumerate(groups) if group == groups[text] and other != text]
        found.append(chosen(scores[row, text].item(), scores[row, rivals]))
    return torch.tensor(found)


def oracle(words: Words, texts: Tensor, budget: int) -> list[list[int]]:
    """The best that words can do: those that stand out in other texts of the same clamps, [texts, ..., tokens].

    A word stands out by how many more of a feature's continuations hold it than of the others' on average, in units of
    the spread that such a count has by chance; one more than is expected keeps words that occur once from the front.
    """
    held = torch.stack([(words.counts(text.flatten(0, -2)) > 0).float().sum(0) for text in texts])
    expected = held.mean(0)
    return [row.topk(budget).indices.tolist() for row in (held - expected) / (expected + 1).sqrt()]
