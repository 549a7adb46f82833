"""The first-letter task: a model is asked for the first letters of words, and its state at the word can be changed.

It reads examples, `{word} has the first letter: {letter}`, and then `{word} has the first letter:`. What it knows of
the letter l is

    m = logit(l) - mean of the logits of the other 25 letters,

and x [d] is the residual stream at the word, at some site. A probe is a logistic regression on x, one for each letter.

Shapes: n words, T tokens of word and question, d = d_model, L letters.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from reproductions.common.activations import layer_of
from reproductions.common.continued import Continued
from reproductions.common.first_letters import LETTERS, Words
from reproductions.common.model import Model
from reproductions.common.probes import logistic

QUESTION = " has the first letter:"


class Spelling:
    """Words read in the prompt at a site: states x [n, d], truth [n, L], and a probe fitted to what is not held out.

    known [n]: the held-out words of which the probe of their letter says so.
    """

    def __init__(self, model: Model, words: Words, site: str) -> None:
        self.model, self.words, self.at = model, words, layer_of(site) + 1
        shown = "".join(f" {word}{QUESTION} {word[0].upper()}\n" for word in words.examples)
        answers = [model.tokenizer.encode(f" {letter}", add_special_tokens=False)[-1] for letter in LETTERS.upper()]
        self.answers = model.original_model.lm_head.weight[answers].detach()  # [26, d]
        self.right = torch.tensor([LETTERS.index(letter) for letter in words.letters])[words.letter]
        question = torch.tensor(model.tokenizer.encode(QUESTION, add_special_tokens=False))
        self.asked = torch.cat([words.tokens[:, None], question.expand(len(words.tokens), -1)], 1)  # [n, T]
        shared = model.to_tokens(shown)[0]
        self.prompt = Continued(model, shared, self.asked[:1])
        self.x, self.truth = self._states(Continued(model, shared, self.asked[:1, :1])), one_hot(words.letter).float()
        self.probe = logistic(self.x[~words.held], self.truth[~words.held])
        self.known = words.held & (self.own(self.probe.scores(self.x)) > 0)

    @torch.no_grad()
    def _states(self, word: Continued) -> Tensor:
        return torch.cat([word.run(word.embedded(some), 0, self.at)[:, 0] for some in self.asked[:, :1].split(256)])

    def own(self, values: Tensor) -> Tensor:
        """What each word has of values [n, L] at its letter, [n]."""
        return values.gather(1, self.words.letter[:, None])[:, 0]

    def few(self, chosen: Tensor, most: int) -> Tensor:
        """Rows of at most so many chosen [n] words of each letter, the first; words are in random order."""
        counted = self.own((self.truth * chosen[:, None]).cumsum(0))
        return (chosen & (counted <= most)).nonzero()[:, 0]

    def means(self, values: Tensor, rows: Tensor) -> Tensor:
        """Means [L, c] of values [n, c] of some rows [n], NaN where a letter has none."""
        return self.truth[rows].T @ values.float() / self.truth[rows].sum(0)[:, None]

    @torch.no_grad()
    def before(self, rows: Tensor) -> Tensor:
        """The states of some words and their questions at the site, [n, T, d]."""
        return self.prompt.run(self.prompt.embedded(self.asked[rows]), 0, self.at)

    def margins(self, rows: Tensor, before: Tensor, x: Tensor) -> Tensor:
        """m [n] of some words with x [n, d] as their states."""
        states = torch.cat([x[:, None], before[:, 1:]], 1)
        logits = self.model.ln_final(self.prompt.run(states, self.at, len(self.prompt))[:, -1]) @ self.answers.T
        own = logits.gather(1, self.right[rows, None])[:, 0]
        return own - (logits.sum(1) - own) / (len(LETTERS) - 1)

    @torch.enable_grad()
    def slopes(self, rows: Tensor, before: Tensor, origin: Tensor, steps: int) -> Tensor:
        """The mean gradient [n, d] of m on the way from the words' states to the origin [d], which is left out."""
        x, found = self.x[rows], torch.zeros_like(self.x[rows])
        for step in range(steps):
            point = (origin + (1 - step / steps) * (x - origin)).requires_grad_()
            found += torch.autograd.grad(self.margins(rows, before, point).sum(), point)[0] / steps
        return found
