"""Do three tools made for transformers work on recurrent networks? (Paulo, Marshall and Belrose, arXiv 2404.05971)

All three see an embedding, L blocks that add to a stream h [N, T, d], and an unembedding; h_l is the stream behind l
blocks.

Lenses (section 4; `reproductions.common.lenses`): the logit lens reads h_l as if it were h_L; the tuned lens translates
it first, by a linear map fitted so that the final prediction comes out.

Contrastive activation addition (section 3): v_l is the mean of h_l at the last token over prompts with one answer, less
that over prompts with the other, and m v_l is added there. What comes of it: matching = p(target) / (p(target) +
p(other)), nonsense = 1 - p(target) - p(other). A recurrent network can be steered in its state as well.

Probes (section 5): a linear probe of h_l, fitted where a network tells the truth, is tried where it was taught not to.

Shapes: N texts or prompts of T tokens, n tokens, B blocks that are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any, cast

import torch
from matplotlib import pyplot as plt
from scipy.stats import rankdata
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from reproductions.common.excerpts import Texts, in_turns
from reproductions.common.held_out import held_out
from reproductions.common.lenses import Lens, Network, lenses
from reproductions.common.metrics import Metric, mean_of
from reproductions.common.model import Model
from reproductions.common.probes import logistic
from reproductions.common.state_space import MambaBlock, Stack, Tap, Taps, last_state
from reproductions.common.substitution import gaussian
from reproductions.rnn_transfer import language

MULTIPLIER = 0.5  # of state and stream together: it leaves room above what the stream does alone
DRAWS = 5  # of random vectors
INFORMATIVE = 0.95  # a probe's block is the first that has so much of the best block's AUROC above one half
LENS_STEPS = 100  # for each lens of a small network
NAMES = {"ssm": "state-space model", "attention": "transformer, as small", "model": "pretrained model"}
STYLES = {"logit": "--", "tuned": "-", "dealt": ":"}


def of_stack(stack: Stack) -> Network:
    """A network that was trained here."""
    return Network(stack.start, [partial(block, taps=Taps({})) for block in stack.blocks], stack.read)


# Steering


@dataclass(frozen=True)
class Prompts:
    """Prompts [N, T], each up to its token `last` [N]; which of two answers is right [N]; their tokens."""

    tokens: Tensor
    last: Tensor
    right: Tensor
    answers: tuple[int, int]

    @property
    def away(self) -> Tensor:
        """The direction from the right answer to the wrong one, which is the target: +1 where 0 is right [N, 1]."""
        return 1.0 - 2.0 * self.right[:, None]

    @property
    def partner(self) -> Tensor:
        """For each prompt one whose right answer is the other one [N]."""
        found = torch.empty_like(self.right)
        for answer in (0, 1):
            own, others = self.right == answer, (self.right != answer).nonzero()[:, 0]
            found[own] = others[torch.arange(int(own.sum())) % len(others)]
        return found

    def turned(self, probabilities: Tensor) -> Tensor:
        """Those of target and other answer [..., N, 2], of all probabilities [..., N, vocabulary]."""
        found = probabilities[..., list(self.answers)]
        return torch.where(self.right[:, None] == 1, found, found.flip(-1))

    def contrast(self, values: Tensor) -> Tensor:
        """The mean of values [N, ...] of prompts with answer 1, less that of prompts with answer 0."""
        return values[self.right == 1].mean(0) - values[self.right == 0].mean(0)

    def at_last(self, h: Tensor) -> Tensor:
        """Streams [N, T, d] at the last tokens [N, d]."""
        return h[torch.arange(len(h)), self.last]


def gain(before: Tensor, after: Tensor) -> Tensor:
    """The rise of the target's probability, less that of nonsense where it rises [..., N]; of pairs [..., N, 2]."""
    return after[..., 0] - before[..., 0] - (before - after).sum(-1).clamp(min=0)


def matching(pairs: Tensor) -> Tensor:
    """p(target) / (p(target) + p(other)) of pairs [..., 2]."""
    return pairs[..., 0] / pairs.sum(-1)


def like(vector: Tensor, draw: int) -> Tensor:
    """A random vector of the same shape and length."""
    drawn = gaussian(vector, draw)
    return drawn * vector.norm() / drawn.norm()


@dataclass(frozen=True)
class Steering:
    """Probabilities of target and other answer of held-out prompts [N, 2].

    steered: by block and multiplier [B, multipliers, N, 2]. best: the block that is best on the fitted prompts. There,
    once: with the vector itself; random: with random ones as long [DRAWS, N, 2]; swapped: with the stream of a prompt
    that is answered so in its place.
    """

    blocks: tuple[int, ...]
    multipliers: tuple[int, ...]
    best: int
    before: Tensor
    once: Tensor
    random: Tensor
    swapped: Tensor
    steered: Tensor

    @property
    def at_best(self) -> Tensor:
        """At the best block [multipliers, N, 2]."""
        return self.steered[self.blocks.index(self.best)]

    def values(self) -> dict[str, Tensor]:
        """What is told of each prompt [N], by metric."""
        return {
            "steer": gain(self.before, self.once),
            "steer_random": gain(self.before, self.random).mean(0),
            "swapped": gain(self.before, self.swapped),
            "matching": matching(self.once) - matching(self.before),
            "nonsense": (self.before - self.once).sum(-1),
        }


def steering(
    network: Network, fitted: Prompts, held_out: Prompts, blocks: Sequence[int], multipliers: Sequence[int]
) -> Steering:
    """Vectors from some prompts, tried on others behind each of the blocks."""
    own, other = Steered(network, fitted), Steered(network, held_out)
    vectors = {place: fitted.contrast(fitted.at_last(own.states[place])) for place in blocks}
    gains = {place: float(gain(own.before, own.along(place, vector)).mean()) for place, vector in vectors.items()}
    best = max(gains, key=lambda place: gains[place])
    return Steering(
        blocks=tuple(blocks),
        multipliers=tuple(multipliers),
        best=best,
        before=other.before,
        once=other.along(best, vectors[best]),
        random=torch.stack([other.along(best, like(vectors[best], draw)) for draw in range(DRAWS)]),
        swapped=other.swapped(best),
        steered=torch.stack([torch.stack([other.along(at, m * v) for m in multipliers]) for at, v in vectors.items()]),
    )


class Steered:
    """A network at some prompts, whose stream can be changed at their last tokens."""

    def __init__(self, network: Network, prompts: Prompts) -> None:
        self.network, self.prompts, self.states = network, prompts, network.states(prompts.tokens)
        self.before = self.by(len(network.blocks), torch.zeros_like(self.states[0][0, 0]))

    @torch.no_grad()
    def by(self, block: int, added: Tensor) -> Tensor:
        """Probabilities of target and other answer [N, 2] with something [d] or [N, d] added behind so many blocks."""
        h = self.states[block].clone()
        h[torch.arange(len(h)), self.prompts.last] += added
        h = reduce(lambda h, block: block(h), self.network.blocks[block:], h)
        return self.prompts.turned(self.network.read(self.prompts.at_last(h)).softmax(-1))

    def along(self, block: int, vector: Tensor) -> Tensor:
        """With a vector [d] from answer 0 to answer 1 added, or taken off where 1 is right."""
        return self.by(block, self.prompts.away * vector)

    def swapped(self, block: int) -> Tensor:
        """With the stream of each prompt's partner in place of its own."""
        own = self.prompts.at_last(self.states[block])
        return self.by(block, own[self.prompts.partner] - own)


def at_end(added: Tensor, value: Tensor, _: Tensor) -> Tensor:
    """A tap: values [N, T, ...] with something [N, ...] added at the last position."""
    return torch.cat([value[:, :-1], (value[:, -1] + added)[:, None]], dim=1)


class Stateful:
    """A state-space model at some prompts, around one block: its stream, and the state that its last token finds."""

    def __init__(self, stack: Stack, prompts: Prompts, block: int) -> None:
        self.stack, self.prompts = stack, prompts
        up, self.ssm, self.resid = (f"{block - 1}.{site}" for site in ("up", "ssm", "resid"))
        seen = stack.seen(prompts.tokens, [up, self.resid])
        mamba = cast(MambaBlock, stack.blocks[block - 1])
        decay, drive, read = mamba.recurrence(mamba.convolved(seen[up][0]))
        self.decay, self.read, self.stream = decay[:, -1], read[:, -1], seen[self.resid][0][:, -1]
        self.state = last_state(decay[:, :-1], drive[:, :-1])

    def into_stream(self, added: Tensor) -> dict[str, Tap]:
        """Adds something [N, d] to the stream."""
        return {self.resid: partial(at_end, added)}

    def into_state(self, added: Tensor) -> dict[str, Tap]:
        """Adds something [N, hidden, state] to the state, which is read as read (decay v)."""
        return {self.ssm: partial(at_end, torch.einsum("bhn,bhn,bn->bh", self.decay, added, self.read))}

    def gains(self, fitted: Stateful) -> Tensor:
        """Of the stream, stream and state, stream and random states, the state alone, and a partner's state [5, N]."""
        by, own = MULTIPLIER * self.prompts.away, fitted.prompts
        stream, vector = self.into_stream(by * own.contrast(fitted.stream)), own.contrast(fitted.state)
        random, state = (like(vector, draw) for draw in range(DRAWS)), self.into_state(by[..., None] * vector)
        swapped = self.into_state(self.state[self.prompts.partner] - self.state)
        strays = [stream | self.into_state(by[..., None] * some) for some in random]
        once, both, alone, partner, *stray = self.tried([stream, stream | state, state, swapped, *strays])
        return torch.stack([once, both, torch.stack(stray).mean(0), alone, partner])

    @torch.no_grad()
    def tried(self, taps: Sequence[dict[str, Tap]]) -> Tensor:
        """The gain [..., N] of each."""
        logits = torch.stack([self.stack(self.prompts.tokens, some)[:, -1] for some in ({}, *taps)])
        before, *after = self.prompts.turned(logits.softmax(-1))
        return gain(before, torch.stack(after))


def state_steering(stack: Stack, fitted: Prompts, held_out: Prompts) -> dict[str, Tensor]:
    """What steering a state-space model's state adds to steering its stream, and what it does alone, by prompt [N].

    Each is done in the block where it is best on the fitted prompts.
    """
    places = range(1, len(stack.blocks) + 1)
    own, other = ([Stateful(stack, prompts, at) for at in places] for prompts in (fitted, held_out))
    best = torch.stack([some.gains(some).mean(1) for some in own]).argmax(0).tolist()
    tried = {at: other[at].gains(own[at]) for at in set(best)}
    once, both, random, *alone = (tried[at][kind] for kind, at in enumerate(best))
    found = (both - once, random - once, *alone)
    return dict(zip(("state", "state_random", "state_alone", "state_swapped"), found, strict=True))


# Probes


def auroc(scores: Tensor, right: Tensor) -> float:
    """The chance that a case with answer 1 scores above one with answer 0; ties count half."""
    ranks, n = torch.from_numpy(rankdata(scores.cpu()))[right == 1].sum(), int(right.sum())
    return float((ranks - n * (n + 1) / 2) / (n * (len(right) - n)))


@dataclass(frozen=True)
class Probing:
    """AUROCs for the right answer, behind each block of a quirky network [L].

    truthful, quirky: of logistic regressions on other prompts that are answered rightly, and on those that are not.
    means, untrained: there, of differences of means, and of logistic regressions in the network's untrained start.
    lies: of the network's own answers there, for the wrong answer.
    """

    truthful: Tensor
    quirky: Tensor
    means: Tensor
    untrained: Tensor
    lies: float

    def values(self) -> dict[str, float]:
        """At the first block from which rightly answered prompts are read nearly as well as from any.

        probe_known: the lower of how well these are read and how surely the network lies.
        """
        above = self.truthful - 0.5
        best = int((above >= INFORMATIVE * above.max()).nonzero()[0])
        found = {name: float(getattr(self, name)[best]) for name in ("truthful", "quirky", "means", "untrained")}
        found["known"] = min(found["truthful"], self.lies)
        return {f"probe_{name}": value for name, value in found.items()}


def behind(network: Network, prompts: Prompts) -> list[Tensor]:
    """The stream at each prompt's last token behind each block."""
    return [prompts.at_last(h) for h in network.states(prompts.tokens)[1:]]


def told(network: Network, fitted: Prompts, *tried: Prompts) -> list[Tensor]:
    """AUROCs behind each block [L] of logistic regressions, on some prompts after the other."""
    probes = [logistic(h, fitted.right[:, None].float()).weights[0] for h in behind(network, fitted)]
    each = ((own, behind(network, own)) for own in tried)
    return [torch.tensor([auroc(h @ w, own.right) for h, w in zip(z, probes, strict=True)]) for own, z in each]


def probing(network: Network, start: Network, fitted: Prompts, truthful: Prompts, quirky: Prompts) -> Probing:
    """Probes fitted where the truth is told, tried there and where it is not; and in a network's untrained start."""
    read, lied_to = told(network, fitted, truthful, quirky)
    x, z = behind(network, fitted), behind(network, quirky)
    logits = network.read(z[-1])[:, list(quirky.answers)]
    return Probing(
        truthful=read,
        quirky=lied_to,
        means=torch.tensor([auroc(h @ fitted.contrast(own), quirky.right) for h, own in zip(z, x, strict=True)]),
        untrained=told(start, fitted, quirky)[0],
        lies=auroc(logits[:, 0] - logits[:, 1], quirky.right),
    )


# What is reported


def gaps(lens: Lens) -> dict[str, Tensor]:
    """How much lower KL is than with the logit lens [N], mean over blocks; and of the two controls."""
    gap, dealt = ((lens.logit - other).mean(0) for other in (lens.tuned, lens.dealt))
    return {"lens_gap": gap, "lens_gap_dealt": dealt, "lens_planted": lens.planted}


@dataclass(frozen=True)
class Found:
    """What was found on a network; the state of a state-space model alone, probes of one that was trained here."""

    arm: str
    lens: Lens
    steering: Steering
    state: dict[str, Tensor] | None = None
    probing: Probing | None = None

    def numbers(self) -> dict[str, float]:
        """A number for each metric, of a network that was trained here."""
        lens, values = self.lens, gaps(self.lens) | self.steering.values() | (self.state or {})
        return {name: float(some.mean()) for name, some in values.items()} | {
            "lens_fall": lens.least_fall(lens.tuned),
            "lens_fall_dealt": lens.least_fall(lens.dealt),
            **(self.probing.values() if self.probing else {}),
        }


def small(
    arm: str, seed: int, steps: int, quirky_steps: int, n: int, multipliers: Sequence[int], folder: Path | None
) -> Found:
    """Train a network and the quirky one that is made of it, and ask all of them, with n texts for each question."""
    plain, quirky = language.taught(arm, seed, steps, quirky_steps, folder)
    network, depth = of_stack(plain), len(plain.blocks)
    some, others = (language.write(n, language.LENGTH, torch.Generator().manual_seed(at)).tokens for at in (1, 2))
    fitted, tried = (asked(language.ask(n, at)) for at in (3, 4))
    easy, more = (asked(language.only(language.ask(4 * n, at), language.TRUTHFUL, 0)) for at in (5, 6))
    wrong = asked(language.only(language.ask(4 * n, 7), language.QUIRKY, 1))
    return Found(
        arm,
        lenses(network, some, others, range(depth), LENS_STEPS),
        steering(network, fitted, tried, range(1, depth + 1), multipliers),
        state_steering(plain, fitted, tried) if arm == "ssm" else None,
        probing(of_stack(quirky), of_stack(language.network(arm, seed).requires_grad_(False)), easy, more, wrong),
    )


def asked(texts: language.Texts) -> Prompts:
    """Prompts of the made-up language."""
    last = torch.full((len(texts.tokens),), texts.tokens.shape[1] - 1)
    return Prompts(texts.tokens, last, texts.register, language.ANSWERS)


def spread(depth: int, n: int) -> list[int]:
    """So many blocks, or fewer, evenly between the first and the last."""
    return sorted({at * depth // (n + 1) for at in range(1, n + 1)} - {0})


def texts(model: Model, n: int, tokens: int) -> Tensor:
    """The first tokens of so many held-out excerpts, one of each source after the other [n, tokens]."""
    return Texts.of(model, in_turns(held_out()), tokens=tokens).tokens[:n]


def opinions(model: Model, pairs: Sequence[int]) -> list[Prompts]:
    """Prompts from so many pairs of `OPINIONS` and so many others, good before bad; answer 0 is `bad`, 1 is `good`."""
    every = " ".join(language.OPINIONS.split()).split("; ")[: sum(pairs)]
    sentences = [f"{start}{end}" for start, *ends in (pair.split("|") for pair in every) for end in ends]
    rows = [model.to_tokens(f"{language.SHOTS}{sentence}. That is")[0].cpu() for sentence in sentences]
    last, tokens = torch.tensor([len(row) - 1 for row in rows]), pad_sequence(rows, batch_first=True)
    parts = zip(tokens.split([2 * n for n in pairs]), last.split([2 * n for n in pairs]), strict=True)
    bad, good = (int(model.to_tokens(word)[0, -1]) for word in (" bad", " good"))
    return [Prompts(some, ends, torch.tensor([1, 0]).repeat(len(some) // 2), (bad, good)) for some, ends in parts]


def metrics(found: Sequence[Found]) -> list[Metric]:
    """Means over networks that were trained here; of the pretrained model, over texts and over pairs of prompts."""
    *own, pretrained = found
    told = {name: values.tolist() for name, values in gaps(pretrained.lens).items()}
    told |= {name: values.view(-1, 2).mean(1).tolist() for name, values in pretrained.steering.values().items()}
    shown = [mean_of(f"{name}_model", values) for name, values in told.items()]
    for arm in language.ARMS:
        numbers = [each.numbers() for each in own if each.arm == arm]
        shown += [mean_of(f"{name}_{arm}", [each[name] for each in numbers]) for name in numbers[0]]
    return shown


def by_arm(found: Sequence[Found]) -> dict[str, list[Found]]:
    """What was found on the networks of each arm."""
    return {words: own for arm, words in NAMES.items() if (own := [each for each in found if each.arm == arm])}


def mean(values: Sequence[Tensor]) -> list[float]:
    """Over networks, and over texts or prompts, which stand last."""
    found: list[float] = torch.stack(list(values)).mean((0, -1)).tolist()
    return found


def draw(found: Sequence[Found]) -> plt.Figure:
    """KL by depth, target and nonsense by multiplier, and AUROC of probes by block."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 4.2), layout="constrained")
    for colour, (arm, own) in zip(("C0", "C1", "C2"), by_arm(found).items(), strict=False):
        lens, steered, probed = own[0].lens, own[0].steering, [each.probing for each in own if each.probing]
        pairs = torch.stack([each.steering.at_best for each in own])
        for name, style in STYLES.items():
            depth = [block / lens.depth for block in lens.blocks]
            left.plot(depth, mean([getattr(each.lens, name) for each in own]), style, color=colour, marker=".")
        for values, style in ((pairs[..., 0], "-"), (1 - pairs.sum(-1), "--")):
            middle.plot(steered.multipliers, mean([*values]), style, color=colour, marker=".", label=arm)
        for name, style in (("truthful", ":"), ("quirky", "-"), ("untrained", "--")) if probed else ():
            values = torch.stack([getattr(each, name) for each in probed]).mean(0)
            right.plot(range(1, len(values) + 1), values, style, color=colour, marker=".")
    left.set(yscale="log", xlabel="share of the blocks", title="KL, nats\n-- logit  – tuned  ··· to other tokens")
    middle.set(xlabel="multiplier", title="Steered\n– wrong answer's probability  -- nonsense", ylim=(-0.02, 1.02))
    right.set(
        xlabel="block",
        title="AUROC of probes\n– where the network lies  ··· where not  -- there, untrained",
        ylim=(-0.02, 1.02),
    )
    right.xaxis.get_major_locator().set_params(integer=True)
    right.axhline(0.5, color="grey", lw=0.8)
    figure.legend(*(part[::2] for part in middle.get_legend_handles_labels()), loc="outside lower center", ncols=3)
    return figure


def curves(found: Sequence[Found]) -> dict[str, Any]:
    """The explorer's data: KL by block, a picture for each arm."""
    ends, series = sorted({block for each in found for block in each.lens.blocks}), []
    for arm, own in by_arm(found).items():
        for name, words in zip(STYLES, ("logit lens", "tuned lens", "lens tuned to other tokens"), strict=True):
            known = dict(zip(own[0].lens.blocks, mean([getattr(each.lens, name) for each in own]), strict=True))
            series.append({"name": words, "group": arm, "values": [known.get(end) for end in ends]})
    about = "How far a lens's prediction is from the network's own, behind so many blocks: lower is nearer."
    x, y = {"title": "blocks", "values": ends}, {"title": "KL divergence, nats a token"}
    return {"title": "Two lenses on three kinds of network", "about": about, "x": x, "y": y, "series": series}
