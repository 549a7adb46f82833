"""What steering does, without a judge: what texts are about, whether they still are text, and what comes next.

Whether a text is about a theme, words say that had no part in choosing the theme; whether it still is text, its
likelihood under the clean model. The probability of a theme's words as the next token needs no sampled text at all.

Shapes: n interventions, t texts of w tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reproductions.common.edits import Edit, final_states, generate, unembed
from reproductions.common.model import Model
from reproductions.common.progress import counting
from reproductions.common.steering import LOGITS_AT_ONCE
from reproductions.feature_flow.named import Measure
from reproductions.feature_flow.steering import Editor
from reproductions.feature_flow.themes import Theme

PROMPTS = ("I think that", "We have always", "The next day", "People say that")
OTHER_PROMPTS = ("It is said", "In the end", "My friend told", "There was another")
ABOUT = "They spoke of {}, {} and {}, and then of"  # a theme's choosing words, for it to be suppressed
WRITTEN = 36  # tokens, as in the paper
AHEAD = 3  # tokens of the clean model that the expected mass is measured along
ROWS_AT_ONCE = 256  # texts in one pass
QUANTILE = 0.95  # of unsteered text, which a text about the theme exceeds


@dataclass(frozen=True)
class Steered:
    """m of an editor's interventions, each with a strength that is a number: NaN is for `kept` to leave out."""

    editor: Editor
    chosen: tuple[int, ...]  # [m]
    strengths: Tensor  # [m]

    @classmethod
    def kept(cls, editor: Editor, strengths: Tensor) -> Steered:
        """Those of n interventions whose strength [n] was found."""
        found = strengths.isfinite()
        return cls(editor, tuple(found.nonzero()[:, 0].tolist()), strengths[found])

    def edits(self, part: Tensor, rows: int = 1) -> dict[str, Edit]:
        """The edits of a batch in which these of the m [k] have so many rows each."""
        return self.editor([self.chosen[number] for number in part.tolist()], self.strengths[part], rows)


class ExpectedMass:
    """The probability of a theme's scoring words as the next token: no text is sampled.

    The mean over prompts and over four positions of each: behind the prompt, and behind each of the next three tokens
    that the clean model finds most likely.
    """

    def __init__(self, model: Model, prompts: Sequence[str]) -> None:
        rows = _continued(model, prompts)
        self.model = model
        self.tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)  # [prompts, position]
        ends = torch.tensor([len(row) for row in rows])[:, None]
        place = torch.arange(self.tokens.shape[1])[None]
        self._counts = (place >= ends - AHEAD - 1) & (place < ends)

    @torch.no_grad()
    def __call__(self, themes: Sequence[Theme], steered: Steered | None = None) -> Tensor:
        """The mass [m, themes] under m interventions; without any the model is as it is, and m is 1."""
        words = torch.stack([theme.tokens for theme in themes], dim=1).float()
        found = []
        for part in torch.arange(len(steered.chosen) if steered else 1).split(max(1, ROWS_AT_ONCE // len(self.tokens))):
            states = self._states(len(part), steered.edits(part, len(self.tokens)) if steered else {})
            found.append(self._mass(states, words).view(len(part), -1, len(themes)).mean(1))
        return torch.cat(found).cpu()

    @torch.no_grad()
    def left(self, theme: Theme, steered: Steered) -> Left:
        """What m interventions, few enough for one pass, leave of a theme's mass, and how far they change the rest."""
        edits = steered.edits(torch.arange(len(steered.chosen)), len(self.tokens))
        clean, found = (
            unembed(self.model, self._states(n, own)).float().log_softmax(-1).view(n, -1, len(theme.tokens))
            for n, own in ((1, {}), (len(steered.chosen), edits))
        )
        words = theme.tokens.to(found.device)
        mass, whole = (each.exp()[..., words].sum(-1).mean(1) for each in (found, clean))
        divergence = (clean.exp() * (clean - found)).sum(-1).clamp(min=0).mean(1)
        return Left((mass / whole).cpu(), divergence.cpu())

    def _states(self, m: int, edits: Mapping[str, Edit]) -> Tensor:
        """What is unembedded at the positions that count, of m interventions in turn: [m * positions, d_model]."""
        return final_states(self.model, self.tokens.repeat(m, 1), edits)[self._counts.repeat(m, 1)]

    def _mass(self, states: Tensor, words: Tensor) -> Tensor:
        """From states [positions, d_model] and words [vocabulary, themes] to [positions, themes]."""
        parts = states.split(max(1, LOGITS_AT_ONCE // len(words)))
        return torch.cat([unembed(self.model, part).float().softmax(-1) @ words.to(part.device) for part in parts])


@dataclass(frozen=True)
class Left:
    """What is left of a theme when it is suppressed in m ways: [m] each."""

    share: Tensor  # of the theme's expected mass in the clean model
    divergence: Tensor  # KL(clean || suppressed) of the next token, in nats, at the positions where mass is measured

    @property
    def score(self) -> Tensor:
        """The paper's (1 - Behavioral) x Coherence, without a judge: 0 where nothing was done, 1 at best."""
        return (1 - self.share) * (-self.divergence).exp()

    @property
    def taken(self) -> Tensor:
        """How many times smaller the mass has become, as log2."""
        return -self.share.log2()


def _continued(model: Model, prompts: Sequence[str]) -> list[Tensor]:
    """Prompts, [position] each, and the three tokens that the model itself puts behind them."""
    rows = [model.to_tokens(prompt)[0].cpu() for prompt in prompts]
    for _ in range(AHEAD):
        ends = [len(row) - 1 for row in rows]
        states = final_states(model, torch.nn.utils.rnn.pad_sequence(rows, batch_first=True))[range(len(rows)), ends]
        following = unembed(model, states).argmax(-1, keepdim=True).cpu()
        rows = [torch.cat(pair) for pair in zip(rows, following, strict=True)]
    return rows


def prompts_about(theme: Theme) -> list[str]:
    """Three prompts that bring a theme up, with its choosing words: nine of the ten, three a prompt."""
    words = theme.named(theme.choosing)
    return [ABOUT.format(*words[start : start + 3]) for start in range(0, len(words) - 2, 3)]


@torch.no_grad()
def write(
    model: Model, prompts: Sequence[str], each: int, seeds: Sequence[int], steered: Steered | None = None
) -> Tensor:
    """Let the model write behind each prompt, `each` times a seed: texts [m, seeds, prompts, each, 36].

    m interventions; without any the model is as it is, and m is 1. A pass takes all prompts of one length together.
    """
    m = len(steered.chosen) if steered else 1
    tokens = [model.to_tokens(prompt)[0] for prompt in prompts]
    uniform = torch.stack([_uniform((m, len(prompts), each, WRITTEN), seed) for seed in seeds], dim=1)
    texts = torch.empty(uniform.shape, dtype=torch.long)
    with counting("writing", texts[..., 0].numel(), "texts") as advance:
        for length in sorted(set(map(len, tokens))):
            alike = [number for number, row in enumerate(tokens) if len(row) == length]
            asked = torch.stack([tokens[number] for number in alike]).repeat_interleave(each, 0).repeat(len(seeds), 1)
            drawn = uniform[:, :, alike].flatten(1, 3)  # [m, rows, 36]
            written = []
            for owner in torch.arange(m).split(max(1, ROWS_AT_ONCE // len(asked))):
                edits = steered.edits(owner, len(asked)) if steered else {}
                written.append(generate(model, asked.repeat(len(owner), 1), drawn[owner].flatten(0, 1), edits).cpu())
                advance(len(owner) * len(asked))
            texts[:, :, alike] = torch.cat(written).view(m, len(seeds), len(alike), each, WRITTEN)
    return texts


def _uniform(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def surprise(model: Model, prompts: Sequence[str], texts: Tensor) -> Tensor:
    """The clean model's mean loss on a text's tokens behind its prompt, in nats: [..., prompts, each, w] to [...]."""
    found = torch.empty(texts.shape[:-1])
    for number, prompt in enumerate(map(model.to_tokens, prompts)):
        own = texts[..., number, :, :]
        found[..., number, :] = _surprise(model, prompt, own.reshape(-1, own.shape[-1])).view(own.shape[:-1])
    return found


def _surprise(model: Model, prompt: Tensor, texts: Tensor) -> Tensor:
    """Of texts [t, w]: [t]."""
    rows = max(1, LOGITS_AT_ONCE // (len(model.W_E) * texts.shape[1]))
    losses = []
    for part in texts.split(rows):
        tokens = torch.cat([prompt.cpu().repeat(len(part), 1), part], dim=1)
        logits = unembed(model, final_states(model, tokens)[:, prompt.shape[1] - 1 : -1]).float()
        losses.append(torch.nn.functional.cross_entropy(logits.mT, part.to(logits.device), reduction="none").mean(1))
    return torch.cat(losses).cpu()


def coherence(surprised: Tensor, clean: Tensor) -> Tensor:
    """exp(-max(0, loss - mean loss of clean text)): 1 for text no stranger than the model's own."""
    return (clean.mean() - surprised).clamp(max=0).exp()


@dataclass(frozen=True)
class Baseline:
    """The clean model's own texts: what other prompts say of a theme by chance, and how likely text is."""

    texts: Tensor  # [prompts, each, w], behind the prompts that are steered
    others: Tensor  # [t, w], behind other prompts
    surprise: Tensor  # [prompts, each]

    @classmethod
    def of(cls, model: Model, prompts: Sequence[str], others: Sequence[str], each: int, seed: int) -> Baseline:
        """Let the clean model write `each` texts behind every prompt."""
        texts, elsewhere = write(model, (*prompts, *others), each, [seed])[0, 0].split([len(prompts), len(others)])
        return cls(texts, elsewhere.flatten(0, 1), surprise(model, prompts, texts))

    def about(self, theme: Theme, texts: Tensor) -> Tensor:
        """1 where a text [..., w] has more of a theme's words than 95 % of the texts behind other prompts: [...]."""
        return (theme.hits(texts) > theme.hits(self.others).quantile(QUANTILE)).float()


BEHAVIOUR = Measure("behaviour", "behaviour")
COHERENCE = Measure("coherence", "coherence")
AMPLIFIED = Measure("amplified", "behaviour x coherence")
MEASURES = (BEHAVIOUR, COHERENCE, AMPLIFIED)


@dataclass(frozen=True)
class Scores:
    """How far texts are about a theme, and how far they are text: [...] each."""

    behaviour: Tensor  # 0 or 1, by the share of scoring words
    coherence: Tensor  # 0 to 1

    @property
    def amplified(self) -> Tensor:
        """Behavioral x Coherence."""
        return self.behaviour * self.coherence
