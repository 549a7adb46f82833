"""The first-letter task: is a word's letter carried by another latent where the letter's own latents are silent?

What the model knows of a word's letter, m, and the probes of the states x [d] at the word are those of `spelling`. The
main latents of a letter in an autoencoder are those that a sparse probe weighs most (`main_inputs`). A word that the
probe knows, with a score above 0, is absorbed if no main latent is active on it and one latent stands out: of the
effects of taking single latents away, estimated by integrated gradients,

    e_j = -z_j d_j . mean_s grad m(origin + s (x - origin)),     s = 1, ..., 1 / steps,

the most negative leads by 1 or more, and that latent writes along the probe, cos(d_j, probe) > 0.025. The absorption
rate of a letter is the share of the words that its probe knows. (Section on the measure; the thresholds and the line
of the integral, from the state to what the autoencoder makes of no latent at all, are those of the authors' code.)

Shapes: n words, d = d_model, N latents, L letters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib import pyplot as plt
from torch import Tensor
from torch.nn.functional import normalize

from reproductions.common.first_letters import Words
from reproductions.common.latents import Dictionary
from reproductions.common.metrics import Metric
from reproductions.common.model import Model
from reproductions.common.probes import Probe, f1, main_inputs
from reproductions.common.repeated import mean_of_repeats, means_of_repeats
from reproductions.common.spelling import Spelling

BATCH = 24
COSINE, LEAD = 0.025, 1.0
RANDOM, EXACT, PLANTED = 500, 4, 3  # directions; latents of a word taken away in truth; words with a latent by hand
OWN, CHANCE, OTHER, IN_TRUTH = range(4)  # columns of `Absorption.rates`
NAMES = {"dense": "usual autoencoder", "sparse": "sparser autoencoder"}


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

    def carried(self, letter: str) -> list[tuple[str, int]]:
        """Of what was taken, a letter's."""
        return [(word, latent) for word, latent in self.taken if word[0] == letter]


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
    task = Spelling(model, words, next(iter(kinds.values())).site)
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


def along(task: Spelling, rows: Tensor, writes: Tensor) -> Tensor:
    """Whether words' latents, which write [n, d], write along the letter's probe; share of others' probes; [n, 2]."""
    return apart(aligned(writes, task.probe.weights), task.words.letter[rows])


def plant(task: Spelling, steps: int) -> Tensor:
    """m, and the positive control: the share found absorbed of words with a latent that writes all of them, [L, 2]."""
    rows, mean = task.few(task.known, PLANTED), task.x[~task.words.held].mean(0)
    found = [torch.empty(0, 2)]
    for some in rows.split(BATCH) if len(rows) else ():
        before, writes = task.before(some), task.x[some] - mean
        leads = (writes * task.slopes(some, before, mean, steps)).sum(1) >= LEAD
        seen = leads * along(task, some, writes)[:, 0]
        found.append(torch.stack([task.margins(some, before, task.x[some]), seen], 1))
    return task.means(torch.cat(found), rows)


def absorption(task: Spelling, dictionary: Dictionary, missed: int, steps: int) -> Absorption:
    """Main latents from the words that are not held out, and absorption on held-out words that the probe knows."""
    usual, codes = dictionary.ordinary(task.x), dictionary.codes(task.x)
    fitted, test, known = usual & ~task.words.held, usual & task.words.held, usual & task.known
    main = main_inputs(codes[fitted], task.truth[fitted])
    silent = known & ~task.own(active(main, codes))
    share = task.truth[silent].sum(0) / task.truth[known].sum(0)
    rows = task.few(silent, missed)
    judged, through, latents = looked_through(task, dictionary, codes, rows, steps)
    absorbed = judged[:, OWN] > 0
    texts = [task.words.texts[row] for row in rows[absorbed]]
    latents_f1, elsewhere = found_by(main, codes[test], task.truth[test])
    return Absorption(
        main=[latents.tolist() for latents, _ in main],
        latents_f1=latents_f1,
        elsewhere=elsewhere,
        silent=share,
        rates=task.means(judged, rows).nan_to_num(0) * share[:, None],
        through=task.means(through[absorbed], rows[absorbed]),
        taken=list(zip(texts, latents[absorbed].tolist(), strict=True)),
    )


def active(main: Sequence[tuple[Tensor, Probe]], codes: Tensor) -> Tensor:
    """Whether one of a letter's main latents is active in codes [n, N], [n, L]."""
    return torch.stack([codes[:, latents].sum(1) for latents, _ in main], 1) > 0


def found_by(main: Sequence[tuple[Tensor, Probe]], codes: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """How well main latents find words, F1, and on which share of other letters' words one is active, [L] each."""
    scores = torch.cat([probe.scores(codes[:, latents]) for latents, probe in main], 1)
    others = 1 - truth
    return f1(scores > 0, truth), (active(main, codes) * others).sum(0) / others.sum(0)


Looked = tuple[Tensor, Tensor, Tensor]  # for n words columns of rates [n, 4] and of through [n, 2], and who leads [n]


def looked_through(task: Spelling, dictionary: Dictionary, codes: Tensor, rows: Tensor, steps: int) -> Looked:
    """The same for the words of any number of rows, in batches; codes [., N] are those of all words."""
    nobody = torch.empty(0, 4), torch.empty(0, 2), torch.empty(0, dtype=torch.long)
    parts = [looked(task, dictionary, codes[some], some, steps) for some in rows.split(BATCH) if len(some)]
    judged, through, latents = (torch.cat(part) for part in zip(nobody, *parts, strict=True))
    return judged, through, latents


def looked(task: Spelling, dictionary: Dictionary, z: Tensor, rows: Tensor, steps: int) -> Looked:
    """For a batch of words with activations z [n, N]."""
    d, probes, before = dictionary.directions, normalize(task.probe.weights, dim=-1), task.before(rows)
    slopes = task.slopes(rows, before, dictionary.sae.decode(torch.zeros_like(z[0])), steps)
    effects = -z * (slopes @ d.T)
    top, leads = leading(effects, torch.arange(dictionary.n).expand_as(effects))
    own, other = along(task, rows, d[top]).T
    noise = torch.randn(RANDOM, d.shape[1], generator=torch.Generator().manual_seed(0))
    strongest = effects.abs().topk(min(EXACT, dictionary.n)).indices
    exact = in_truth(task, rows, before, z, d, strongest)
    judged = torch.stack([leads * own, leads * aligned(d[top], noise).mean(1), leads * other, exact], 1)
    through = (d[top] @ probes.T) * (slopes @ probes.T) / (d[top] * slopes).sum(1, keepdim=True)
    return judged, apart(through, task.words.letter[rows]), top


def in_truth(task: Spelling, rows: Tensor, before: Tensor, z: Tensor, d: Tensor, latents: Tensor) -> Tensor:
    """Whether words are absorbed [n] by one of few latents [n, k], each of which is taken away in truth."""
    x = task.x[rows]
    without = [task.margins(rows, before, x - z.gather(1, one[:, None]) * d[one]) for one in latents.T]
    top, leads = leading(torch.stack(without, 1) - task.margins(rows, before, x)[:, None], latents)
    return leads * along(task, rows, d[top])[:, 0]


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


def compared(deal: Deal, table: Mapping[str, tuple[tuple[str, int], tuple[str, int]]]) -> dict[str, Tensor]:
    """Differences of absorption rates [L], by metric."""
    return {name: deal.rates(*more) - deal.rates(*less) for name, (more, less) in table.items()}


def numbers(deal: Deal) -> dict[str, Tensor]:
    """What was measured with one deal [L], by metric, without what compares rates."""
    found = {"spelling": deal.spelling, "probe_f1": deal.probe_f1, "planted": deal.planted}
    for kind in NAMES:
        own = deal.found[kind]
        found |= {f"{name}_{kind}": getattr(own, name) for name in ("latents_f1", "elsewhere", "silent")}
        found |= {f"rate_{kind}": deal.rates(kind, OWN), f"probe_gain_{kind}": deal.probe_f1 - own.latents_f1}
    return found


def metrics(deals: Sequence[Deal]) -> list[Metric]:
    """All numbers of a site with two autoencoders, from some deals of words."""
    through = [one.through.T for deal in deals for one in deal.found.values()]
    shares = [{"through": own, "through_other": other} for own, other in through]
    differences = [compared(deal, COMPARED) for deal in deals]
    return [*means_of_repeats(list(map(numbers, deals))), *means_of_repeats(shares), *means_of_repeats(differences)]


def metrics_later(deals: Sequence[Deal]) -> list[Metric]:
    """Those of a later site with a third autoencoder of half the width."""
    return means_of_repeats([{"planted_later": deal.planted} | compared(deal, COMPARED_LATER) for deal in deals])


def draw(deals: Sequence[Deal]) -> plt.Figure:
    """By letter: how well the probe and main latents find its words, and absorption rates beside those of chance."""
    figure, (found, rates) = plt.subplots(2, 1, figsize=(9, 5), layout="constrained", sharex=True)
    x = list(range(len(deals[0].letters)))
    found.plot(x, mean_of_repeats([deal.probe_f1 for deal in deals]), "o", color="C2", label="probe")
    for place, (kind, name) in enumerate(NAMES.items()):
        at, color = [one + 0.36 * place - 0.18 for one in x], f"C{place}"
        f1s = mean_of_repeats([deal.found[kind].latents_f1 for deal in deals])
        own, chance = (mean_of_repeats([deal.rates(kind, column) for deal in deals]) for column in (OWN, CHANCE))
        found.plot(x, f1s, "o", color=color, label=f"main latents, {name}")
        rates.bar(at, own, 0.34, color=color, label=name)
        rates.plot(at, chance, "_", color="C3", label="" if place else "random directions for the probe")
    found.set(title="F1 on held-out words", ylim=(0, 1))
    rates.set(title="Absorption rate, share of the words that the probe knows")
    rates.set_xticks(x, list(deals[0].letters))
    for axis in (found, rates):
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
    letter = deal.letters[place]
    lists = [carriers(deal.found[kind], name, letter, place) for kind, name in NAMES.items()]
    return {
        "name": letter.upper(),
        "words": sorted({word for own in deal.found.values() for word, _ in own.carried(letter)}),
        "numbers": {kind: deal.rates(kind, OWN)[place].item() for kind in NAMES},
        "parts": [{"title": "How well it is found", "numbers": how_well(deal, place)}, *lists],
    }


def how_well(deal: Deal, place: int) -> dict[str, Any]:
    """The table of a letter's card: the probe, and main latents."""
    titles = ("F1", "active on other letters", "silent where the probe knows", "absorption rate")
    rows = [{"title": "probe", "values": [deal.probe_f1[place].item(), None, None, None]}]
    for kind, name in NAMES.items():
        own = deal.found[kind]
        values = (own.latents_f1, own.elsewhere, own.silent, deal.rates(kind, OWN))
        rows.append({"title": f"main latents, {name}", "values": [value[place].item() for value in values]})
    return {"columns": [{"title": title} for title in titles], "rows": rows}


def carriers(own: Absorption, name: str, letter: str, place: int) -> dict[str, Any]:
    """The part of a letter's card on an autoencoder: its main latents, and by which others words are absorbed."""
    taken = dict[str, list[str]]()
    for word, latent in own.carried(letter):
        taken.setdefault(f"latent {latent}", []).append(word)
    about = f"Its main latents: {', '.join(map(str, own.main[place]))}. Absorbed by:"
    return {"title": name.capitalize(), "about": about, "lists": [{"lists": taken or {"no other": []}}]}
