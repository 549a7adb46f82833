"""The first-letter task: is a word's letter carried by another latent where the letter's own latents are silent?

A model reads examples, and then `{word} has the first letter:`. What it knows of the letter l is

    m = logit(l) - mean of the logits of the other 25 letters,

and x [d] is the residual stream at the word, at some site. A probe is a logistic regression on x, one for each letter.
The main latents of a letter in an autoencoder are those that a sparse probe weighs most (`main_inputs`). A word that
the probe knows, with a score above 0, is absorbed if no main latent is active on it and one latent stands out: of the
effects of taking single latents away, estimated by integrated gradients,

    e_j = -z_j d_j . mean_s grad m(origin + s (x - origin)),     s = 1, ..., 1 / steps,

the most negative leads by 1 or more, and that latent writes along the probe, cos(d_j, probe) > 0.025. The absorption
rate of a letter is the share of the words that its probe knows. (Section on the measure; the thresholds and the line
of the integral, from the state to what the autoencoder makes of no latent at all, are those of the authors' code.)

Shapes: n words, T tokens of word and question, d = d_model, N latents, L letters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib import pyplot as plt
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from reproductions.common.activations import layer_of
from reproductions.common.continued import Continued
from reproductions.common.first_letters import LETTERS, Words
from reproductions.common.latents import Dictionary
from reproductions.common.metrics import Metric, mean_of
from reproductions.common.model import Model
from reproductions.common.probes import f1, logistic, main_inputs

QUESTION = " has the first letter:"
BATCH = 24
COSINE, LEAD = 0.025, 1.0
RANDOM, EXACT, PLANTED = 500, 4, 3  # directions; latents of a word taken away in truth; words with a latent by hand
OWN, CHANCE, OTHER, IN_TRUTH = range(4)  # columns of `Absorption.rates`
NAMES = {"dense": "usual autoencoder", "sparse": "sparser autoencoder"}


class Task:
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


@dataclass(frozen=True)
class Absorption:
    """What was found in an autoencoder, by letter [L].

    main: its main latents; latents_f1: how well they find held-out words; elsewhere: on which share of the words of
    other letters one of them is active; silent: on which share of the words that the probe knows none is. rates
    [L, 4]: absorption rates with the probe, with random directions, with other letters' probes, and with the probe
    when latents are taken away in truth. through [L, 2]: the share of an absorbing latent's effect that goes through
    the probe, and through other letters' probes. taken: absorbed words and the latents that carry their letters.
    """

    main: list[list[int]]
    latents_f1: Tensor
    elsewhere: Tensor
    silent: Tensor
    rates: Tensor
    through: Tensor
    taken: list[tuple[str, int]]


@dataclass(frozen=True)
class Deal:
    """What was found at a site with one deal of words: m, F1 of probes, shares of the plant [L]; autoencoders."""

    letters: str
    spelling: Tensor
    probe_f1: Tensor
    planted: Tensor
    found: dict[str, Absorption]

    def rates(self, kind: str, column: int) -> Tensor:
        """One of an autoencoder's rates [L]."""
        return self.found[kind].rates[:, column]


@torch.no_grad()
def measure(model: Model, words: Words, kinds: Mapping[str, Dictionary], missed: int, steps: int) -> Deal:
    """Everything at the site of some autoencoders."""
    task = Task(model, words, next(iter(kinds.values())).site)
    planted = plant(task, steps)
    known = f1(task.probe.scores(task.x[words.held]) > 0, task.truth[words.held])
    found = {kind: absorption(task, dictionary, missed, steps) for kind, dictionary in kinds.items()}
    return Deal(words.letters, planted[:, 0], known, planted[:, 1], found)


def leading(effects: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Of effects [n, k] of latents [n, k] the latent with the most negative [n], and whether it leads by enough [n]."""
    two = effects.topk(2, largest=False)
    first, second = two.values.T
    return latents.gather(1, two.indices[:, :1])[:, 0], (first < 0) & (first.abs() - second.abs() >= LEAD)


def aligned(writes: Tensor, directions: Tensor) -> Tensor:
    """Which of the directions [r, d] latents that write [n, d] write along, [n, r] of 0 and 1."""
    return (normalize(writes, dim=-1) @ normalize(directions, dim=-1).T > COSINE).float()


def apart(values: Tensor, letter: Tensor) -> Tensor:
    """Of values [n, L] those of the word's letter [n], and the mean of those of the others, [n, 2]."""
    own = values.gather(1, letter[:, None])
    return torch.cat([own, (values.sum(1, keepdim=True) - own) / (values.shape[1] - 1)], 1)


def plant(task: Task, steps: int) -> Tensor:
    """m, and the positive control: the share found absorbed of words with a latent that writes all of them, [L, 2]."""
    rows, mean = task.few(task.known, PLANTED), task.x[~task.words.held].mean(0)
    found = [torch.empty(0, 2)]
    for some in rows.split(BATCH) if len(rows) else ():
        before, writes = task.before(some), task.x[some] - mean
        leads = (writes * task.slopes(some, before, mean, steps)).sum(1) >= LEAD
        along = apart(aligned(writes, task.probe.weights), task.words.letter[some])[:, 0]
        found.append(torch.stack([task.margins(some, before, task.x[some]), leads * along], 1))
    return task.means(torch.cat(found), rows)


def absorption(task: Task, dictionary: Dictionary, missed: int, steps: int) -> Absorption:
    """Main latents from the words that are not held out, and absorption on held-out words that the probe knows."""
    usual, codes = dictionary.ordinary(task.x), dictionary.codes(task.x)
    fitted, test, known = usual & ~task.words.held, usual & task.words.held, usual & task.known
    main = main_inputs(codes[fitted], task.truth[fitted])
    scores = torch.cat([probe.scores(codes[test][:, latents]) for latents, probe in main], 1)
    active = torch.stack([codes[:, latents].sum(1) for latents, _ in main], 1) > 0
    silent, others = known & ~task.own(active), 1 - task.truth[test]
    share = task.truth[silent].sum(0) / task.truth[known].sum(0)
    rows = task.few(silent, missed)
    parts = [looked(task, dictionary, codes[some], some, steps) for some in rows.split(BATCH) if len(some)]
    judged, through, latents = (torch.cat(part) for part in zip(NOBODY, *parts, strict=True))
    absorbed = judged[:, OWN] > 0
    taken = zip(rows[absorbed].tolist(), latents[absorbed].tolist(), strict=True)
    return Absorption(
        main=[latents.tolist() for latents, _ in main],
        latents_f1=f1(scores > 0, task.truth[test]),
        elsewhere=(active[test] * others).sum(0) / others.sum(0),
        silent=share,
        rates=task.means(judged, rows).nan_to_num(0) * share[:, None],
        through=task.means(through[absorbed], rows[absorbed]),
        taken=[(task.words.texts[row], latent) for row, latent in taken],
    )


def looked(task: Task, dictionary: Dictionary, z: Tensor, rows: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """For some words with activations z [n, N]: columns of rates [n, 4] and of through [n, 2], and who leads [n]."""
    d, probes, letter = dictionary.directions, normalize(task.probe.weights, dim=-1), task.words.letter[rows]
    before, x = task.before(rows), task.x[rows]
    slopes = task.slopes(rows, before, dictionary.sae.decode(torch.zeros_like(z[0])), steps)
    effects = -z * (slopes @ d.T)
    top, leads = leading(effects, torch.arange(dictionary.n).expand_as(effects))
    along = apart(aligned(d[top], probes), letter)
    noise = torch.randn(RANDOM, d.shape[1], generator=torch.Generator().manual_seed(0))
    strongest = effects.abs().topk(min(EXACT, dictionary.n)).indices
    without = [task.margins(rows, before, x - z.gather(1, one[:, None]) * d[one]) for one in strongest.T]
    top_exact, leads_exact = leading(torch.stack(without, 1) - task.margins(rows, before, x)[:, None], strongest)
    exact = leads_exact * apart(aligned(d[top_exact], probes), letter)[:, 0]
    chance = aligned(d[top], noise).mean(1)
    judged = torch.stack([leads * along[:, 0], leads * chance, leads * along[:, 1], exact], 1)
    through = (d[top] @ probes.T) * (slopes @ probes.T) / (d[top] * slopes).sum(1, keepdim=True)
    return judged, apart(through, letter), top


NOBODY = (torch.empty(0, 4), torch.empty(0, 2), torch.empty(0, dtype=torch.long))  # of `looked`, for no word


COMPARED = {  # by metric, whose absorption rate is how much higher than which one
    "absorbed_dense": (("dense", OWN), ("dense", CHANCE)),
    "absorbed_dense_other": (("dense", OTHER), ("dense", CHANCE)),
    "absorbed_sparse": (("sparse", OWN), ("sparse", CHANCE)),
    "absorbed_sparse_other": (("sparse", OTHER), ("sparse", CHANCE)),
    "sparser": (("sparse", OWN), ("dense", OWN)),
    "sparser_other": (("sparse", OTHER), ("dense", OTHER)),
    "sparser_exact": (("sparse", IN_TRUTH), ("dense", IN_TRUTH)),
}
COMPARED_LATER = {
    "sparser_later": (("sparse", OWN), ("dense", OWN)),
    "sparser_later_other": (("sparse", OTHER), ("dense", OTHER)),
    "wider": (("dense", OWN), ("narrow", OWN)),
    "wider_other": (("dense", OTHER), ("narrow", OTHER)),
}


def mean_of_deals(values: Sequence[Tensor]) -> list[float]:
    """Of values [L] from several deals of words, the mean over those in which a letter could be measured."""
    found: list[float] = torch.stack([own.double() for own in values]).nanmean(0).tolist()
    return found


def by_letter(name: str, values: Sequence[Tensor]) -> Metric:
    """A metric of letters [L]."""
    return mean_of(name, mean_of_deals(values))


def compared(deals: Sequence[Deal], table: Mapping[str, tuple[tuple[str, int], tuple[str, int]]]) -> list[Metric]:
    """Differences of absorption rates."""
    return [
        by_letter(name, [deal.rates(*more) - deal.rates(*less) for deal in deals])
        for name, (more, less) in table.items()
    ]


def metrics(deals: Sequence[Deal]) -> list[Metric]:
    """All numbers of a site with two autoencoders, from some deals of words."""
    own = ("spelling", "probe_f1", "planted")
    found = [by_letter(name, [getattr(deal, name) for deal in deals]) for name in own]
    for kind in NAMES:
        of = {
            name: [getattr(deal.found[kind], name) for deal in deals] for name in ("latents_f1", "elsewhere", "silent")
        }
        of["rate"] = [deal.rates(kind, OWN) for deal in deals]
        of["probe_gain"] = [deal.probe_f1 - deal.found[kind].latents_f1 for deal in deals]
        found += [by_letter(f"{name}_{kind}", values) for name, values in of.items()]
    through = [one.through.T for deal in deals for one in deal.found.values()]
    found += [
        by_letter("through", [one[0] for one in through]),
        by_letter("through_other", [one[1] for one in through]),
    ]
    return found + compared(deals, COMPARED)


def metrics_later(deals: Sequence[Deal]) -> list[Metric]:
    """Those of a later site with a third autoencoder of half the width."""
    return [by_letter("planted_later", [deal.planted for deal in deals]), *compared(deals, COMPARED_LATER)]


def draw(deals: Sequence[Deal]) -> plt.Figure:
    """By letter: how well the probe and main latents find its words, and absorption rates beside those of chance."""
    figure, axes = plt.subplots(2, 1, figsize=(9, 5), layout="constrained", sharex=True)
    x = list(range(len(deals[0].letters)))
    axes[0].plot(x, mean_of_deals([deal.probe_f1 for deal in deals]), "o", color="C2", label="probe")
    for place, (kind, name) in enumerate(NAMES.items()):
        at = [one + 0.36 * place - 0.18 for one in x]
        f1s = mean_of_deals([deal.found[kind].latents_f1 for deal in deals])
        rates, chance = (mean_of_deals([deal.rates(kind, column) for deal in deals]) for column in (OWN, CHANCE))
        axes[0].plot(x, f1s, "o", color=f"C{place}", label=f"main latents, {name}")
        axes[1].bar(at, rates, 0.34, color=f"C{place}", label=name)
        axes[1].plot(at, chance, "_", color="C3", label="" if place else "random directions for the probe")
    axes[0].set(title="F1 on held-out words", ylim=(0, 1))
    axes[1].set(
        title="Absorption rate, share of the words that the probe knows", xticks=x, xticklabels=deals[0].letters
    )
    for axis in axes:
        axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def cards(deal: Deal) -> dict[str, Any]:
    """The explorer's data: for each letter how well it is found, and which latents take over on which words."""
    about = "How well a probe and a letter's own latents find it, and which latents carry it where those are silent."
    return {
        "title": "Letter by letter",
        "about": about,
        "card": {"one": "letter", "many": "letters"},
        "sorts": [{"name": kind, "title": f"absorption rate, {name}"} for kind, name in NAMES.items()],
        "cards": [card(deal, place) for place in range(len(deal.letters))],
    }


def card(deal: Deal, place: int) -> dict[str, Any]:
    """One letter's."""
    columns = ("F1", "active on other letters", "silent where the probe knows", "absorption rate")
    rows = [{"title": "probe", "values": [deal.probe_f1[place].item(), None, None, None]}]
    parts: list[dict[str, Any]] = [
        {"title": "How well it is found", "numbers": {"columns": [{"title": title} for title in columns], "rows": rows}}
    ]
    for kind, name in NAMES.items():
        own, taken = deal.found[kind], dict[str, list[str]]()
        for word, latent in own.taken:
            if word[0] == deal.letters[place]:
                taken.setdefault(f"latent {latent}", []).append(word)
        values = (own.latents_f1, own.elsewhere, own.silent, deal.rates(kind, OWN))
        rows.append({"title": f"main latents, {name}", "values": [value[place].item() for value in values]})
        about = f"Its main latents: {', '.join(map(str, own.main[place]))}. Absorbed by:"
        parts.append({"title": name.capitalize(), "about": about, "lists": [{"lists": taken or {"no other": []}}]})
    numbers = {kind: deal.rates(kind, OWN)[place].item() for kind in NAMES}
    words = {word for own in deal.found.values() for word, _ in own.taken if word[0] == deal.letters[place]}
    return {"name": deal.letters[place].upper(), "words": sorted(words), "numbers": numbers, "parts": parts}
