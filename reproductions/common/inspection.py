"""What the latents of an autoencoder stand for: ways to look at any of them, on any text.

    fired = read(model, {"mine": dictionary}, tokens)["mine"] # every activation on tokens [N, T]
    words = wording(fired, words_of(model))                   # how far each latent is one word's, and whose
    seen = inspect(model, dictionary, [3, 141], fired)        # histograms, ablated text, lens, directions taken out
    explorer = Album(model, fired, words, seen).explorer()    # of `feature_cards`: what the site draws

*Uniform examples*: the range (0, max] of a latent's activations is cut into bins of equal width, and each bin gives one
example at random, so that weak activations are seen as well as strong ones. *Ablated text*: of the tokens in front of
an example one at a time is removed, and what the latent loses is theirs. *Logit lens*: the tokens that a direction
points to. *Direction removal*: at an example x, x - a d takes the place of x, where a is the latent's activation and d
its direction, and log-probabilities of the next token change. (Riggs, LessWrong 2023, and its comments.)

Shapes: N sequences of T tokens, of which the first, alike in all, is left out; n latents; E activations above zero,
each with the place of its token among the N (T - 1), row by row; F inspected latents, m examples of each, c tokens of
context, B bins, V tokens in the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor

from reproductions.common.activations import BATCH, activations
from reproductions.common.blocks import BATCH as AT_ONCE
from reproductions.common.blocks import Blocks
from reproductions.common.edits import Edited, logit_lens, unembed
from reproductions.common.latents import Dictionary
from reproductions.common.model import Model

BINS = 8
FEWEST = 16  # activations in each half of the texts, below which nothing is said of a latent's word
DENSE = 0.1  # active at a larger share of the tokens
LONG = 1.5  # times the median norm of the unembedding: tokens beyond are stumps of words that texts hardly hold
SHOWN = 10  # tokens of a list


# Reading


@dataclass(frozen=True)
class Fired:
    """Every activation above zero of n latents on tokens [N, T]: place, latent and value, [E] each."""

    n: int
    tokens: Tensor
    place: Tensor
    latent: Tensor
    value: Tensor

    @property
    def span(self) -> int:
        """The tokens of a sequence that count."""
        return self.tokens.shape[1] - 1

    @property
    def rates(self) -> Tensor:
        """The share of tokens at which each latent is active, [n]; the sum is the mean L0."""
        return self.latent.bincount(minlength=self.n) / self.tokens[:, 1:].numel()

    @property
    def largest(self) -> Tensor:
        """The largest activation of each latent, [n]."""
        return torch.zeros(self.n).scatter_reduce(0, self.latent, self.value, "amax")

    def bins(self, number: int = BINS) -> Tensor:
        """The bin of each activation, of as many of equal width from 0 to the latent's largest: [E]."""
        return (self.value / self.largest[self.latent] * number).ceil().long().clamp(1, number) - 1

    def of(self, latent: int) -> Fired:
        """Those of one latent."""
        return self.where(self.latent == latent)

    def where(self, kept: Tensor) -> Fired:
        """Some of them [E]."""
        return replace(self, place=self.place[kept], latent=self.latent[kept], value=self.value[kept])


def read(model: Model, dictionaries: Mapping[str, Dictionary], tokens: Tensor) -> dict[str, Fired]:
    """Every activation of some dictionaries of one site on tokens [N, T], which are run once."""
    (site,) = {dictionary.site for dictionary in dictionaries.values()}
    rows = torch.cat([found[site] for found in activations(model, [site], tokens)]).flatten(0, 1)
    return {name: firing(dictionary, rows, tokens) for name, dictionary in dictionaries.items()}


def firing(dictionary: Dictionary, rows: Tensor, tokens: Tensor, at_once: int = 4096) -> Fired:
    """Every activation of a dictionary on rows [N (T - 1), d] of tokens [N, T]; outliers excite none."""
    parts = []
    for start in range(0, len(rows), at_once):
        some = rows[start : start + at_once]
        codes = dictionary.codes(some) * dictionary.ordinary(some)[:, None]
        place, latent = codes.nonzero(as_tuple=True)
        parts.append((start + place, latent, codes[place, latent].float()))
    place, latent, value = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
    return Fired(dictionary.n, tokens.cpu(), place, latent, value)


# Words


def words_of(model: Model) -> list[str]:
    """The word of each token [V]: its text, letter case and spaces aside."""
    pieces = [[token] for token in range(len(model.tokenizer))]
    return [text.strip().lower() for text in model.tokenizer.batch_decode(pieces)]


def numbered(words: Sequence[str]) -> Tensor:
    """A number for each of the words [V], the same for the same word: the first token that is it."""
    first: dict[str, int] = {}
    return torch.tensor([first.setdefault(word, token) for token, word in enumerate(words)])


@dataclass(frozen=True)
class Wording:
    """How far each latent is one word's, from 0 to 1, NaN where it was hardly active, and that word's token: [n] each.

    by_bin [n, B]: the word's share of each bin, NaN where the bin is empty.
    """

    purity: Tensor
    word: Tensor
    by_bin: Tensor


def wording(fired: Fired, words: Sequence[str], number: int = BINS) -> Wording:
    """How far each latent stands for one word, and for which.

    max over w of mean over bins of P(w | bin): the share of uniform examples that are the word. The word is chosen in
    the even sequences and its share taken in the odd ones; NaN where either has fewer than FEWEST activations.
    """
    word = numbered(words)[fired.tokens[:, 1:].flatten()][fired.place]
    even = fired.place // fired.span % 2 == 0
    cell = fired.latent * number + fired.bins(number)
    main = _main_word(cell[even], word[even], fired.n, number)
    sizes = [cell[half].bincount(minlength=fired.n * number).view(fired.n, -1) for half in (even, ~even)]
    right = cell[~even & (word == main[fired.latent])].bincount(minlength=fired.n * number).view(fired.n, -1)
    by_bin = right / sizes[1]  # NaN for 0 / 0
    few = torch.stack(sizes).sum(-1).amin(0) < FEWEST
    return Wording(by_bin.nanmean(-1).masked_fill(few, torch.nan), main, by_bin)


def _main_word(cell: Tensor, word: Tensor, n: int, number: int) -> Tensor:
    """Of each latent [n] the word with the largest mean share of its bins; -1 where it has none."""
    many = int(word.max()) + 1
    in_cell = cell.bincount(minlength=n * number)
    triple, count = (cell * many + word).unique(return_counts=True)
    share = count.double() / in_cell[triple // many]  # of a word in a bin; bins are as many for all words of a latent
    pair, back = (triple // many // number * many + triple % many).unique(return_inverse=True)
    order = torch.zeros(len(pair), dtype=torch.double).index_add(0, back, share).argsort(stable=True)
    last = torch.full((n,), -1).scatter_reduce(0, pair[order] // many, torch.arange(len(order)), "amax")
    return torch.where(last < 0, -1, (pair[order] % many)[last.clamp(min=0)])


def planted(fired: Fired, words: Sequence[str], n: int = 60, seed: int = 0) -> Wording:
    """A check of `wording`: made-up latents, each active at a frequent token, and weakly at as many random places."""
    text, drawn = fired.tokens[:, 1:].flatten(), torch.Generator().manual_seed(seed)
    parts = []
    frequent = text.bincount().argsort(descending=True)[:n]
    for latent, token in enumerate(frequent):
        own = (text == token).nonzero()[:, 0]
        noise = torch.randint(len(text), own.shape, generator=drawn)
        value = torch.rand(2, len(own), generator=drawn) * torch.tensor([[1.0], [1 / BINS]])
        parts.append((torch.cat([own, noise]), torch.full((2 * len(own),), latent), value.flatten()))
    return wording(Fired(len(frequent), fired.tokens, *(torch.cat(part) for part in zip(*parts, strict=True))), words)


# Logit lens


def usable(model: Model) -> Tensor:
    """The tokens that the lens may name, [V]: neither special ones nor those of a norm that only unused ones have."""
    norms = model.original_model.lm_head.weight.norm(dim=-1)
    kept: Tensor = norms <= LONG * norms.median()
    kept[torch.tensor(model.tokenizer.all_special_ids, dtype=torch.long)] = False
    return kept


@torch.no_grad()
def lens(model: Model, directions: Tensor, k: int = SHOWN) -> tuple[Tensor, Tensor]:
    """The tokens that directions [F, d] promote and suppress most, [F, k] each, of those that are usable."""
    logits, out = logit_lens(model, directions), ~usable(model)
    ends = (logits.masked_fill(out, -torch.inf), (-logits).masked_fill(out, -torch.inf))
    top, bottom = (end.topk(k, dim=-1).indices for end in ends)
    return top, bottom


# Single latents


@dataclass(frozen=True)
class Seen:
    """What was found out about some latents [F].

    counts [F, B]: activations in each bin. examples [F, m]: places in the text, the strongest first, -1 where there is
    none. windows [F, m, 2 + c]: the first token, the context, the example. there [F, m]: the activation in the window;
    without [F, m, c]: the same with a token of the context removed; alone [F, m]: with all of it removed; elsewhere
    [F, m]: behind the context of another latent's example instead. up, down [F, 10]: the lens. lost, other [F, m, F]:
    log-probability lost by each latent's lens tokens, on average, when the direction of the first is taken out, or as
    much of another one's. lowered [F, m, 10]: the tokens that lose most.
    """

    latents: tuple[int, ...]
    counts: Tensor
    examples: Tensor
    windows: Tensor
    there: Tensor
    without: Tensor
    alone: Tensor
    elsewhere: Tensor
    up: Tensor
    down: Tensor
    lost: Tensor
    other: Tensor
    lowered: Tensor

    def first(self, number: int) -> Seen:
        """The first so many latents alone, also among those whose lens tokens they are held against."""
        tensors = {name: value[:number] for name, value in vars(self).items()}
        return Seen(**{**tensors, "lost": self.lost[:number, :, :number], "other": self.other[:number, :, :number]})

    def drop(self, column: int) -> Tensor:
        """The share of a latent's activation [F] that goes with a token of the context, -1 being the one before."""
        return 1 - self.without[..., column].nansum(-1) / self._whole

    @property
    def kept_alone(self) -> Tensor:
        """The share of a latent's activation [F] that its tokens have without any context."""
        return self.alone.nansum(-1) / self._whole

    @property
    def kept_elsewhere(self) -> Tensor:
        """The share [F] that they have in a context that is not theirs: unlike `alone`, no matter of position."""
        return self.elsewhere.nansum(-1) / self._whole

    @property
    def _whole(self) -> Tensor:
        """The activation in the windows, over all examples [F]; NaN where the latent is active in none of them."""
        whole = self.there.nansum(-1)
        return whole.where(whole > 0, torch.nan)

    def own_less_others(self, lost: Tensor) -> Tensor:
        """What a latent's own lens tokens lose less what those of the others lose, [F], of lost [F, m, F]."""
        mean = lost.nanmean(1)
        own = mean.diagonal()
        return own - (mean.sum(-1) - own) / (len(mean) - 1)


def draw_examples(fired: Fired, latent: int, m: int, context: int = 0, seed: int = 0) -> Tensor:
    """Up to m places [m], one drawn from each bin, from the strongest bin downwards; -1 where there are no more.

    Only places with as many tokens of context in their sequence are drawn.
    """
    own = fired.of(latent)
    bins, room = own.bins(), own.place % fired.span >= context
    order = torch.rand(len(bins), generator=torch.Generator().manual_seed(seed + latent))
    found = [
        int(own.place[some][order[some].argmax()])
        for number in reversed(range(BINS))
        if (some := (bins == number) & room).any()
    ]
    return torch.tensor((found + [-1] * m)[:m])


def inspect(
    model: Model,
    dictionary: Dictionary,
    latents: Sequence[int],
    fired: Fired,
    m: int = 3,
    context: int = 12,
    seed: int = 0,
) -> Seen:
    """Everything about some latents, in the text in which their activations were read."""
    examples = torch.stack([draw_examples(fired, latent, m, context, seed) for latent in latents])
    windows = windows_at(fired.tokens, examples.flatten().clamp(min=0), context)
    which = torch.tensor(list(latents)).repeat_interleave(m)
    there = at_end(model, dictionary, windows, which)
    up, down = lens(model, dictionary.directions[list(latents)])
    lost, other, lowered = taken_out(model, dictionary, windows, which, there, up)
    measured = {
        "there": there,
        "without": ablated(model, dictionary, windows, which),
        "alone": at_end(model, dictionary, windows[:, [0, -1]], which),
        "elsewhere": at_end(model, dictionary, moved(windows), which),
        "lost": lost,
        "other": other,
    }
    return Seen(
        latents=tuple(latents),
        counts=torch.stack([fired.of(latent).bins().bincount(minlength=BINS) for latent in latents]),
        examples=examples,
        windows=windows.unflatten(0, examples.shape),
        up=up,
        down=down,
        lowered=lowered.unflatten(0, examples.shape),
        **{name: _of_examples(values, examples) for name, values in measured.items()},
    )


def _of_examples(values: Tensor, examples: Tensor) -> Tensor:
    """Values [F m, ...] as [F, m, ...], NaN where there is no example."""
    shaped = values.unflatten(0, examples.shape)
    return shaped.masked_fill((examples < 0).view(*examples.shape, *[1] * (shaped.ndim - 2)), torch.nan)


def windows_at(tokens: Tensor, places: Tensor, context: int) -> Tensor:
    """The first token, as many in front of each place, and the one there: [places, 2 + context]."""
    span = tokens.shape[1] - 1
    row, column = places // span, places % span + 1
    behind = column[:, None] + torch.arange(-context, 1)
    return torch.cat([tokens[row, :1], tokens[row[:, None], behind.clamp(min=1)]], dim=1)


def moved(windows: Tensor) -> Tensor:
    """Windows [w, length] whose ends have changed places: each behind the context of one half of all away."""
    return torch.cat([windows[:, :-1].roll(len(windows) // 2, 0), windows[:, -1:]], dim=1)


def at_end(model: Model, dictionary: Dictionary, windows: Tensor, latents: Tensor) -> Tensor:
    """The activation of one latent at the end of each window [w, length]: [w]."""
    ends = torch.cat([found[dictionary.site][:, -1] for found in activations(model, [dictionary.site], windows)])
    codes = torch.cat([dictionary.codes(some) for some in ends.split(BATCH)])
    return codes.gather(1, latents[:, None])[:, 0] * dictionary.ordinary(ends)


def ablated(model: Model, dictionary: Dictionary, windows: Tensor, latents: Tensor) -> Tensor:
    """The same [w, c] with one token of the context removed, the farthest first; those behind it move up."""
    length = windows.shape[1]
    kept = [[place for place in range(length) if place != gone] for gone in range(1, length - 1)]
    found = at_end(model, dictionary, windows[:, kept].flatten(0, 1), latents.repeat_interleave(len(kept)))
    return found.view(len(windows), -1)


@torch.no_grad()
def taken_out(
    model: Model, dictionary: Dictionary, windows: Tensor, latents: Tensor, amounts: Tensor, named: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What log-probabilities lose at the end of windows [w, length] without a times the direction of a latent each.

    Of the tokens named [F, k], as means over k: [w, F]; the same where another latent's direction of that length is
    taken out instead; and the ten usable tokens that lose most [w, 10].
    """
    d = dictionary.directions[latents]
    another = d.roll(len(d) // 2, 0)
    another = another * (d.norm(dim=-1) / another.norm(dim=-1))[:, None]
    ends = EndsOf(model, dictionary, windows)
    clean = ends.log_p(0 * d)
    lost, other = (clean - ends.log_p(amounts[:, None] * direction) for direction in (d, another))
    lowered = lost.masked_fill(~usable(model), -torch.inf).topk(SHOWN, dim=-1).indices
    mean_lost, mean_other = (torch.stack([each[:, some].mean(-1) for some in named], -1) for each in (lost, other))
    return mean_lost, mean_other, lowered


class EndsOf:
    """Windows [w, length] of a model that are run up to a dictionary's site once, and from there on again and again."""

    def __init__(self, model: Model, dictionary: Dictionary, windows: Tensor) -> None:
        self.model, self.site, self.layer = model, dictionary.site, dictionary.layer
        self.blocks = Blocks(model, windows)
        self.before = next(islice(self.blocks.states(windows), self.layer, None))

    def log_p(self, less: Tensor) -> Tensor:
        """Log-probabilities of the next token [w, V] with vectors [w, d] taken from the site at each window's end."""
        parts = iter(less.split(AT_ONCE))

        def edit(x: Tensor) -> Tensor:
            return torch.cat([x[:, :-1], x[:, -1:] - next(parts)[:, None]], dim=1)

        with Edited(self.model, {self.site: edit}):
            after = self.blocks.run(self.layer, self.before)
        return unembed(self.model, self.blocks.final(self.layer + 1, after)[:, -1]).float().log_softmax(-1)
