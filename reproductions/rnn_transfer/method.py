"""Do three tools made for transformers work on recurrent networks? (Paulo, Marshall and Belrose, arXiv 2404.05971)

All three see an embedding, L blocks that add to a stream h [N, T, d], and an unembedding `read`; h_l is the stream
behind l blocks.

Lenses (section 4): the logit lens reads h_l as if it were h_L; the tuned lens translates it first,

    p_l = softmax read(A_l h_l + b_l),   with A_l and b_l such that KL(p_L || p_l) is small.

Contrastive activation addition (section 3): v_l is the mean of h_l at the last token over prompts with one answer, less
that over prompts with the other, and m v_l is added there. What comes of it: matching = p(target) / (p(target) +
p(other)), nonsense = 1 - p(target) - p(other). A recurrent network can be steered in its state as well.

Probes (section 5): a linear probe of h_l, fitted where a network tells the truth, is tried where it was taught not to.

Shapes: N texts or prompts of T tokens, n tokens, B blocks that are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, cast

import torch
from matplotlib import pyplot as plt
from scipy.stats import rankdata
from torch import Tensor
from torch.nn import Linear
from torch.nn.functional import pad, silu, softplus
from torch.nn.utils.rnn import pad_sequence

from reproductions.common.activations import norm_limit
from reproductions.common.blocks import Blocks
from reproductions.common.held_out import held_out
from reproductions.common.metrics import Metric, mean_of
from reproductions.common.model import Model
from reproductions.common.state_space import MambaBlock, Stack, Tap, Taps
from reproductions.common.text import sequences
from reproductions.rnn_transfer import language

Map = Callable[[Tensor], Tensor]
RIDGE = 1e-2  # in units of the mean eigenvalue of X'X
ROWS, STRIDE = 64, 3  # tokens in a step of a lens, and read at once; every third position of a held-out text is read
MULTIPLIER = 0.5  # of state and stream together: it leaves room above what the stream does alone
DRAWS = 3  # of random vectors and of shuffled answers
INFORMATIVE = 0.95  # a probe's block is the first that has so much of the best block's AUROC above one half
LENS_STEPS = 100  # for each lens of a small network
NAMES = {"ssm": "state-space model", "attention": "transformer, as small", "model": "pretrained model"}
STYLES = {"logit": "--", "tuned": "-", "dealt": ":"}


@dataclass(frozen=True)
class Network:
    """A language model as these tools see it: tokens to a stream, blocks that change it, a stream to logits."""

    start: Map
    blocks: Sequence[Map]
    read: Map

    @torch.no_grad()
    def states(self, tokens: Tensor) -> list[Tensor]:
        """h_0 to h_L."""
        return list(accumulate(self.blocks, lambda h, block: block(h), initial=self.start(tokens)))


def of_stack(stack: Stack) -> Network:
    """A network that was trained here."""
    return Network(stack.start, [partial(block, taps=Taps({})) for block in stack.blocks], stack.read)


def of_model(model: Model, tokens: Tensor) -> Network:
    """A pretrained transformer, Mamba or RWKV, for texts as long as `tokens` [N, T].

    RWKV halves its stream behind every sixth block or so, which its weights allow for.
    """
    blocks, body = Blocks(model, tokens), model.original_model.base_model
    every = body.config.rescale_every if getattr(body, "layers_are_rescaled", False) else len(blocks) + 1
    steps = [partial(_scaled, blocks, at, 0.5 if (at + 1) % every == 0 else 1.0) for at in range(len(blocks))]
    unembed = model.original_model.get_output_embeddings()
    return Network(lambda some: model(some, stop_at_layer=0), steps, lambda h: unembed(model.ln_final(h)))


def _scaled(blocks: Blocks, place: int, share: float, h: Tensor) -> Tensor:
    return share * blocks.run(place, h)


# Lenses


def ridge(x: Tensor, y: Tensor) -> Linear:
    """From rows x to rows y [n, d]: A = Y'X (X'X + r tr(X'X) / d)^-1, both centred."""
    X, Y = ((rows - rows.mean(0)).double() for rows in (x, y))
    strength = RIDGE * X.square().sum() / X.shape[1] * torch.eye(X.shape[1])
    linear = Linear(x.shape[1], y.shape[1])
    with torch.no_grad():
        linear.weight.copy_(torch.linalg.solve(X.T @ X + strength, X.T @ Y).T)
        linear.bias.copy_(y.mean(0) - linear.weight @ x.mean(0))
    return linear


def tuned(read: Map, x: Tensor, final: Tensor, steps: int) -> Linear:
    """From a block's streams x to final ones [n, d]: a ridge regression, then so many steps of Adam down the KL."""
    linear, drawn, rate = ridge(x, final), torch.Generator().manual_seed(0), 0.01 / x.shape[1] ** 0.5
    optimiser = torch.optim.Adam(linear.parameters(), lr=rate)
    for step in range(steps):
        rows = torch.randint(len(x), (ROWS,), generator=drawn)
        optimiser.zero_grad()
        kl(read(final[rows]), read(linear(x[rows]))).mean().backward()
        optimiser.param_groups[0]["lr"] = rate * (1 - step / steps)
        optimiser.step()
    return linear.requires_grad_(False)


def kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(P || Q) in nats [...] of logits [..., vocabulary]."""
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1)


@dataclass(frozen=True)
class Rows:
    """Streams at the tokens that count, [n, d] each, the last of them the final one; which these are [N, T]."""

    streams: list[Tensor]
    usual: Tensor

    @classmethod
    def of(cls, streams: Sequence[Tensor]) -> Rows:
        """Of streams [N, T, d], the tokens that are an outlier in none."""
        usual = torch.stack([h.norm(dim=-1) <= norm_limit(h.flatten(0, 1)) for h in streams]).all(0)
        return cls([h[usual] for h in streams], usual)

    @torch.no_grad()
    def kl(self, read: Map, translated: Tensor) -> Tensor:
        """KL from the final prediction to that from translated streams [n, d], mean of each text [N]."""
        pairs = zip(self.streams[-1].split(ROWS), translated.split(ROWS), strict=True)
        found = translated.new_zeros(self.usual.shape)
        found[self.usual] = torch.cat([kl(read(final), read(some)) for final, some in pairs])
        return found.sum(1) / self.usual.sum(1)


@dataclass(frozen=True)
class Lens:
    """KL to the final prediction behind so many `blocks` of `depth`, mean of each held-out text [B, N].

    dealt: of translators to final streams of other tokens, which learn only what is common to all. planted: the gap of
    both lenses [N] where a stream is the final one turned by a random rotation.
    """

    blocks: tuple[int, ...]
    depth: int
    logit: Tensor
    tuned: Tensor
    dealt: Tensor
    planted: Tensor

    def values(self) -> dict[str, Tensor]:
        """How much lower KL is than with the logit lens [N], mean over blocks; and of the two controls."""
        gap, dealt = ((self.logit - other).mean(0) for other in (self.tuned, self.dealt))
        return {"lens_gap": gap, "lens_gap_dealt": dealt, "lens_planted": self.planted}

    def least_fall(self, values: Tensor) -> float:
        """By how much KL [B, N] falls from one of the blocks to the next, where it falls least; below 0 if it rises."""
        return float(-values.mean(1).diff().max())


def lenses(network: Network, fitted: Tensor, held_out: Tensor, blocks: Sequence[int], steps: int) -> Lens:
    """Both lenses, tuned on some texts [N, T] and tried on others; position 0 and outliers are left out."""
    read, places, drawn = network.read, [*blocks, len(network.blocks)], torch.Generator().manual_seed(0)
    rows = Rows.of([network.states(fitted)[place][:, 1:] for place in places])
    held = Rows.of([network.states(held_out)[place][:, 1::STRIDE] for place in places])
    (*x, final), (*y, last) = rows.streams, held.streams
    dealt = final[torch.randperm(len(final), generator=drawn)]
    turn = torch.linalg.qr(torch.randn(2 * final.shape[1:], generator=drawn)).Q
    logit = torch.stack([held.kl(read, some) for some in y])
    own, stray = (
        torch.stack([held.kl(read, tuned(read, a, to, steps)(b)) for a, b in zip(x, y, strict=True)])
        for to in (final, dealt)
    )
    planted = held.kl(read, last @ turn) - held.kl(read, ridge(final @ turn, final).requires_grad_(False)(last @ turn))
    return Lens(tuple(blocks), len(network.blocks), logit, own, stray, planted)


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
    drawn = torch.randn(vector.shape, generator=torch.Generator().manual_seed(draw)).to(vector)
    return drawn * vector.norm() / drawn.norm()


@dataclass(frozen=True)
class Steering:
    """Probabilities of target and other answer of held-out prompts [N, 2].

    steered: by block and multiplier [B, multipliers, N, 2], one of which is 1. best: the block that is best on the
    fitted prompts. random: there, with random vectors as long [DRAWS, N, 2].
    """

    blocks: tuple[int, ...]
    multipliers: tuple[int, ...]
    best: int
    before: Tensor
    random: Tensor
    steered: Tensor

    @property
    def at_best(self) -> Tensor:
        """At the best block [multipliers, N, 2]."""
        return self.steered[self.blocks.index(self.best)]

    def values(self) -> dict[str, Tensor]:
        """What is told of each prompt [N], by metric; `known`: how much likelier the right answer is, unsteered."""
        once = self.at_best[self.multipliers.index(1)]
        return {
            "steer": gain(self.before, once),
            "steer_random": gain(self.before, self.random).mean(0),
            "matching": matching(once) - matching(self.before),
            "nonsense": (self.before - once).sum(-1),
            "known": self.before[:, 1] - self.before[:, 0],
        }


def steering(
    network: Network, fitted: Prompts, held_out: Prompts, blocks: Sequence[int], multipliers: Sequence[int]
) -> Steering:
    """Vectors from some prompts, tried on others behind each of the blocks."""
    own, other = Steered(network, fitted), Steered(network, held_out)
    vectors = {place: fitted.contrast(fitted.at_last(own.states[place])) for place in blocks}
    gains = {place: float(gain(own.before, own.by(place, vector)).mean()) for place, vector in vectors.items()}
    best = max(gains, key=lambda place: gains[place])
    return Steering(
        blocks=tuple(blocks),
        multipliers=tuple(multipliers),
        best=best,
        before=other.before,
        random=torch.stack([other.by(best, like(vectors[best], draw)) for draw in range(DRAWS)]),
        steered=torch.stack([torch.stack([other.by(at, v, by) for by in multipliers]) for at, v in vectors.items()]),
    )


class Steered:
    """A network at some prompts, whose stream can be changed at their last tokens."""

    def __init__(self, network: Network, prompts: Prompts) -> None:
        self.network, self.prompts, self.states = network, prompts, network.states(prompts.tokens)
        self.before = self.by(len(network.blocks), torch.zeros_like(self.states[0][0, 0]))

    @torch.no_grad()
    def by(self, block: int, vector: Tensor, multiplier: int = 1) -> Tensor:
        """Probabilities of target and other answer [N, 2] with a vector [d] added behind so many blocks."""
        h = self.states[block].clone()
        h[torch.arange(len(h)), self.prompts.last] += multiplier * self.prompts.away * vector
        h = reduce(lambda h, block: block(h), self.network.blocks[block:], h)
        return self.prompts.turned(self.network.read(self.prompts.at_last(h)).softmax(-1))


def selected(block: MambaBlock, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Decay, drive [N, T, hidden, state] and read [N, T, state] of a block's recurrence, for what passes its site `up`.

    s_t = decay_t s_(t-1) + drive_t, and what is read is the sum over the state of read_t s_t.
    """
    c = silu(block.convolution(pad(a.transpose(1, 2), (block.kernel - 1, 0))).transpose(1, 2))
    step, write, read = block.select(c).split([block.rank, block.state, block.state], dim=-1)
    step = softplus(block.step(step))
    decay = torch.exp(step[..., None] * -block.log_decay.exp())
    return decay, (step * c)[..., None] * write[:, :, None], read


def state_before_last(decay: Tensor, drive: Tensor) -> Tensor:
    """The state [N, hidden, state] that the last token finds: the sum over t of drive_t and all decays behind t."""
    kept = decay[:, 1:-1].flip(1).cumprod(1).flip(1)
    return (drive[:, :-2] * kept).sum(1) + drive[:, -2]


def at_end(added: Tensor, value: Tensor, _: Tensor) -> Tensor:
    """A tap: values [N, T, ...] with something [N, ...] added at the last position."""
    return torch.cat([value[:, :-1], (value[:, -1] + added)[:, None]], dim=1)


@torch.no_grad()
def state_steering(stack: Stack, fitted: Prompts, held_out: Prompts, block: int) -> dict[str, Tensor]:
    """What steering a state-space model's state adds to steering its stream, and what it does alone, by prompt [N].

    The stream behind the `block`-th block, and the state that this block's last token finds, which is the last of its
    prompt. There, what v adds to a state is read as read (decay v).
    """
    mamba = cast(MambaBlock, stack.blocks[block - 1])
    up, ssm, resid = (f"{block - 1}.{site}" for site in ("up", "ssm", "resid"))
    own, other = (stack.seen(prompts.tokens, [up, resid]) for prompts in (fitted, held_out))
    (decay, drive, _), (decays, _, read) = (selected(mamba, seen[up][0]) for seen in (own, other))
    vector, by = fitted.contrast(state_before_last(decay, drive)), MULTIPLIER * held_out.away
    stream: dict[str, Tap] = {resid: partial(at_end, by * fitted.contrast(own[resid][0][:, -1]))}
    vectors = [vector, *(like(vector, draw) for draw in range(DRAWS))]
    made = [by * torch.einsum("bhn,hn,bn->bh", decays[:, -1], v, read[:, -1]) for v in vectors]
    states: list[dict[str, Tap]] = [{ssm: partial(at_end, y)} for y in made]
    tried = [{}, stream, states[0], *(stream | state for state in states)]
    pairs = held_out.turned(torch.stack([stack(held_out.tokens, taps)[:, -1] for taps in tried]).softmax(-1))
    once, alone, both, *random = gain(pairs[0], pairs[1:])
    return {"state": both - once, "state_random": torch.stack(random).mean(0) - once, "state_alone": alone}


# Probes


def probe(x: Tensor, right: Tensor) -> Tensor:
    """A direction [d] in which streams x [n, d] with answer 1 lie above those with answer 0: linear discriminant."""
    means = torch.stack([x[right == answer].mean(0) for answer in (0, 1)])
    within = (x - means[right]).double()
    covariance = within.T @ within / len(x)
    covariance += RIDGE * covariance.trace() / len(covariance) * torch.eye(len(covariance))
    return torch.linalg.solve(covariance, (means[1] - means[0]).double()).to(x)


def auroc(scores: Tensor, right: Tensor) -> float:
    """The chance that a case with answer 1 scores above one with answer 0; ties count half."""
    ranks, n = torch.from_numpy(rankdata(scores.cpu()))[right == 1].sum(), int(right.sum())
    return float((ranks - n * (n + 1) / 2) / (n * (len(right) - n)))


@dataclass(frozen=True)
class Probing:
    """AUROCs for the right answer, behind each block of a quirky network [L].

    truthful, quirky, shuffled: of probes on prompts of the truthful speaker, of the other, and there if fitted to
    shuffled answers. lies: of the network's own answers to the other speaker, for the wrong answer.
    """

    truthful: Tensor
    quirky: Tensor
    shuffled: Tensor
    lies: float

    @property
    def best(self) -> int:
        """The first place from which the truthful speaker's prompts are read nearly as well as from any."""
        above = self.truthful - 0.5
        return int((above >= INFORMATIVE * above.max()).nonzero()[0])


def probing(network: Network, fitted: Prompts, truthful: Prompts, quirky: Prompts) -> Probing:
    """Probes fitted where the truth is told, tried there and where it is not."""
    (_, *x), (_, *y), (_, *z) = (
        map(prompts.at_last, network.states(prompts.tokens)) for prompts in (fitted, truthful, quirky)
    )
    drawn = torch.Generator().manual_seed(0)
    shuffled = [fitted.right[torch.randperm(len(fitted.right), generator=drawn)] for _ in range(DRAWS)]
    probes = [probe(h, fitted.right) for h in x]
    stray = [[auroc(to @ probe(h, some), quirky.right) for h, to in zip(x, z, strict=True)] for some in shuffled]
    logits = network.read(z[-1])[:, list(quirky.answers)]
    return Probing(
        torch.tensor([auroc(h @ w, truthful.right) for h, w in zip(y, probes, strict=True)]),
        torch.tensor([auroc(h @ w, quirky.right) for h, w in zip(z, probes, strict=True)]),
        torch.tensor(stray).mean(0),
        auroc(logits[:, 0] - logits[:, 1], quirky.right),
    )


# What is reported


@dataclass(frozen=True)
class Found:
    """What was found on a network; the state of a state-space model alone, probes of one that was trained here."""

    arm: str
    lens: Lens
    steering: Steering
    state: dict[str, Tensor] | None = None
    probing: Probing | None = None

    def values(self) -> dict[str, Tensor]:
        """Values of texts or prompts, by metric."""
        return self.lens.values() | self.steering.values() | (self.state or {})

    def numbers(self) -> dict[str, float]:
        """A number for each metric, of a network that was trained here."""
        assert self.probing is not None
        lens, probing, best = self.lens, self.probing, self.probing.best
        probes = {name: float(getattr(probing, name)[best]) for name in ("truthful", "quirky", "shuffled")}
        return {name: float(values.mean()) for name, values in self.values().items()} | {
            "lens_fall": lens.least_fall(lens.tuned),
            "lens_fall_dealt": lens.least_fall(lens.dealt),
            **{f"probe_{name}": value for name, value in probes.items()},
            "lies": probing.lies,
        }


def small(
    arm: str, seed: int, steps: int, quirky_steps: int, n: int, multipliers: Sequence[int], folder: Path | None
) -> Found:
    """Train a network and the quirky one that is made of it, and ask all of them, with n texts for each question."""
    plain, quirky = language.taught(arm, seed, steps, quirky_steps, folder)
    network, depth = of_stack(plain), len(plain.blocks)
    texts, others = (language.write(n, language.LENGTH, torch.Generator().manual_seed(at)).tokens for at in (1, 2))
    fitted, tried, more = (asked(language.ask(n, at)) for at in (3, 4, 5))
    wrong = asked(language.ask(n, 6, language.QUIRKY))
    steered = steering(network, fitted, tried, range(1, depth + 1), multipliers)
    state = state_steering(plain, fitted, tried, steered.best) if arm == "ssm" else None
    found = lenses(network, texts, others, range(depth), LENS_STEPS)
    return Found(arm, found, steered, state, probing(of_stack(quirky), fitted, more, wrong))


def asked(texts: language.Texts) -> Prompts:
    """Prompts of the made-up language."""
    last = torch.full((len(texts.tokens),), texts.tokens.shape[1] - 1)
    return Prompts(texts.tokens, last, texts.register, language.ANSWERS)


def excerpts(model: Model, texts: int, tokens: int) -> Tensor:
    """The first tokens of so many held-out excerpts in random order [texts, tokens]."""
    some = Random(0).sample(held_out(), len(held_out()))
    return torch.cat([row for one in some if len(row := sequences(model, [one.text])[:1, :tokens])][:texts])


def opinions(model: Model, pairs: Sequence[int]) -> list[Prompts]:
    """Prompts from so many pairs of `OPINIONS` and so many others, good ones first; answer 0 is `bad`, 1 is `good`."""
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
    told = {name: values.tolist() for name, values in pretrained.lens.values().items()}
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
        for name, style in (("truthful", ":"), ("quirky", "-"), ("shuffled", "--")) if probed else ():
            values = torch.stack([getattr(each, name) for each in probed]).mean(0)
            right.plot(range(1, len(values) + 1), values, style, color=colour, marker=".")
    left.set(yscale="log", xlabel="share of the blocks", title="KL, nats\n-- logit  – tuned  ··· to other tokens")
    middle.set(xlabel="multiplier", title="Steered\n– wrong answer's probability  -- nonsense", ylim=(-0.02, 1.02))
    right.set(xlabel="block", title="AUROC of probes\n– on lies  ··· on truths  -- shuffled", ylim=(-0.02, 1.02))
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
