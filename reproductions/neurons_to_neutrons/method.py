"""Does a network that fits a formula for nuclei know its shells, its pairing, a helix? (Kitouni et al., ICML 2024)

A network reads a nucleus from two embeddings, e_Z of its Z protons and e_N of its N neutrons, and predicts its binding
energy per nucleon: h = SiLU(W [e_Z, e_N] + b), then residual blocks h + ReLU(W' ReLU(W'' h)), then a linear readout
(authors' code, `BaselineModel`). All energies here come from a closed formula of the authors' code
(`BW2_mass_formula`), in MeV; none was measured. With two embeddings of one table, the same network learns sums modulo
p. What it learnt is read from the table of embeddings E [n, d] and from h [nuclei, hidden].

Shapes: n consecutive numbers, d = width of embeddings, K trial numbers of turns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss, silu
from torch.optim import AdamW, Optimizer

from reproductions.common.metrics import Metric, mean_of
from reproductions.common.plots import CATEGORICAL
from reproductions.common.training import Recipe, seeded, train

MAGIC = (2, 8, 20, 28, 50, 82, 126, 184)
FEWEST, MOST = 9, (110, 160)  # protons and neutrons
NEUTRONS = range(12, 151)  # whose embeddings are read: each is in seven nuclei or more
WITHIN = 20.0  # MeV
WIDTH, HIDDEN, BATCH = 64, 64, 256
HELD_OUT = 0.2  # of the nuclei, and of the sums
COMPONENTS = 9  # of the hidden layer; as many as a polynomial of degree 3 in Z and N has terms
TURNS = torch.arange(2, 20.05, 0.1, dtype=torch.double)  # of a helix; any smooth arc makes about one
COPIES = 100  # with shuffled phases, or in a random order
NEAR = 10  # even neutron numbers so close to a magic one are compared with it
BIN = 3  # protons, and neutrons, of a cell of the explorer


def terms(nuclei: Tensor) -> dict[str, Tensor]:
    """The terms of the formula, MeV per nucleon, for nuclei [n, 2] of Z protons and N neutrons."""
    z, n = nuclei.double().T
    a, magic = z + n, torch.tensor(MAGIC)
    to_z, to_n = ((count[:, None] - magic).abs().min(-1).values for count in (z, n))
    valence = to_z * to_n / (to_z + to_n).clamp(min=1)
    energies = {
        "volume": 16.58 * a,
        "surface": -26.95 * a ** (2 / 3),
        "coulomb": -0.774 * z**2 / a ** (1 / 3),
        "asymmetry": -31.51 * (n - z) ** 2 / a,
        "shell": -1.9 * valence + 0.14 * valence**2,
        "pairing": 11.18 / a.sqrt() * (1 - z % 2 - n % 2),
        "curvature": 14.77 * a ** (1 / 3),
        "exchange": 2.22 * z ** (4 / 3) / a ** (1 / 3),
        "wigner": -43.4 * (n - z).abs() / a,
        "surface asymmetry": 55.62 * (n - z) ** 2 / a ** (4 / 3),
    }
    return {name: energy / a for name, energy in energies.items()}


def chart(within: float = WITHIN) -> Tensor:
    """Nuclei [n, 2] whose energy lies within so many MeV of the most bound one with as many nucleons."""
    nuclei = torch.cartesian_prod(*(torch.arange(FEWEST, most + 1) for most in MOST))
    a = nuclei.sum(1)
    energy = a * torch.stack(list(terms(nuclei).values())).sum(0)
    best = torch.full((sum(MOST) + 1,), -math.inf, dtype=torch.double).scatter_reduce(0, a, energy, "amax")
    return nuclei[best[a] - energy < within]


class Network(nn.Module):
    """Numbers [n, inputs] -> outputs [n, outputs]; inputs share a table of embeddings where there is but one.

    spread: standard deviation of embeddings at the start.
    """

    def __init__(self, tables: Sequence[int], spread: float, hidden: int, blocks: int, outputs: int) -> None:
        super().__init__()
        self.embeddings = nn.ParameterList(spread * torch.randn(size, WIDTH) for size in tables)
        self.input = nn.Linear(2 * WIDTH, hidden)
        layers = ([nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()] for _ in range(blocks))
        self.blocks = nn.ModuleList(nn.Sequential(*block) for block in layers)
        self.readout = nn.Linear(hidden, outputs)

    def hidden(self, numbers: Tensor) -> Tensor:
        """What the readout reads, [n, hidden]."""
        tables = self.embeddings
        rows = [tables[place % len(tables)][column] for place, column in enumerate(numbers.T)]
        h = silu(self.input(torch.cat(rows, dim=-1)))
        for block in self.blocks:
            h = h + block(h)
        return h

    def forward(self, numbers: Tensor) -> Tensor:
        """Of each row its outputs, [n, outputs]."""
        out: Tensor = self.readout(self.hidden(numbers))
        return out


@dataclass(frozen=True)
class Variant:
    """How a network is trained.

    decay: weight decay. spread: of embeddings at the start. without: terms that the formula lacks. shuffled: whether
    answers were dealt out to other questions.
    """

    decay: float = 0.2
    spread: float = 0.02
    without: tuple[str, ...] = ()
    shuffled: bool = False


NUCLEI = {
    "formula": Variant(),
    "memorising": Variant(decay=0, spread=1),
    "smooth": Variant(without=("shell", "pairing")),
    "shuffled": Variant(shuffled=True),
}
SUMS = {
    "sums": Variant(decay=1, spread=0.1),
    "memorising": Variant(decay=0, spread=1),
    "shuffled": Variant(decay=1, spread=0.1, shuffled=True),
}


def adamw(parameters: Iterable[Tensor], rate: float, decay: float) -> Optimizer:
    """AdamW whose decay leaves biases alone, as the authors' does."""
    some = list(parameters)
    matrices, biases = ([one for one in some if (one.ndim > 1) == matrix] for matrix in (True, False))
    return AdamW(
        [{"params": matrices, "weight_decay": decay}, {"params": biases, "weight_decay": 0}], lr=rate, fused=True
    )


def cosine(optimiser: Optimizer, step: int, rate: float, steps: int) -> None:
    """Bring the learning rate down to 0 along half a cosine."""
    for group in optimiser.param_groups:
        group["lr"] = rate * (1 + math.cos(math.pi * step / steps)) / 2


def recipe(steps: int, rate: float, decay: float) -> Recipe:
    """How both kinds of network are trained."""
    return Recipe(steps, steps, partial(adamw, rate=rate, decay=decay), partial(cosine, rate=rate, steps=steps))


def drawn(training: Tensor, generator: torch.Generator) -> Tensor:
    """Rows of a batch, of those to train on."""
    return training[torch.randint(len(training), (BATCH,), generator=generator)]


def parted(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Which of so many cases are to train on [count], and an order in which answers are dealt out anew [count]."""
    generator = torch.Generator().manual_seed(seed)
    training = torch.randperm(count, generator=generator) >= HELD_OUT * count
    return training, torch.randperm(count, generator=generator)


@dataclass(frozen=True)
class Found:
    """A network after training on nuclei.

    embedding: of NEUTRONS [n, d]. components: the leading principal components of the hidden
    layer, each of variance 1 [nuclei, COMPONENTS]. error: prediction less formula, MeV per nucleon [nuclei].
    training: which nuclei it was trained on [nuclei].
    """

    variant: str
    seed: int
    embedding: Tensor
    components: Tensor
    error: Tensor
    training: Tensor

    def rms(self, held_out: bool = True) -> float:
        """Root mean square error on held-out nuclei, or on the others."""
        return self.error[self.training != held_out].square().mean().sqrt().item()


def learn(variant: str, seed: int, steps: int, folder: Path | None = None) -> Found:
    """Train a network on the formula's nuclei; the seed chooses its start and which nuclei are held out."""
    how, nuclei = NUCLEI[variant], chart()
    training, dealt = parted(len(nuclei), seed)
    energy = torch.stack([term for name, term in terms(nuclei).items() if name not in how.without]).sum(0)
    energy = energy[dealt] if how.shuffled else energy
    mean, deviation = energy[training].mean(), energy[training].std()
    targets, rows = ((energy - mean) / deviation).float()[:, None], training.nonzero()[:, 0]

    def loss(network: Network, generator: torch.Generator) -> Tensor:
        batch = drawn(rows, generator)
        return mse_loss(network(nuclei[batch]), targets[batch])

    network = seeded(seed, lambda: Network([most + 1 for most in MOST], how.spread, HIDDEN, 1, 1))
    train(f"{variant}_{seed}", network, loss, recipe(steps, 5e-3, how.decay), seed=seed, folder=folder)
    with torch.no_grad():
        hidden = network.hidden(nuclei)
        error = ((network.readout(hidden) - targets)[:, 0] * deviation).float()
        embedding = network.embeddings[1][list(NEUTRONS)].clone()
    return Found(variant, seed, embedding, leading(hidden, training), error, training)


@dataclass(frozen=True)
class Summed:
    """A network after training on sums modulo p: embeddings [p, d], and the share of held-out sums that are right."""

    variant: str
    seed: int
    embedding: Tensor
    right: float


def learn_sums(variant: str, seed: int, p: int, steps: int, folder: Path | None = None) -> Summed:
    """Train a network on (a + b) mod p; the seed chooses its start and which sums are held out."""
    how, pairs = SUMS[variant], torch.cartesian_prod(torch.arange(p), torch.arange(p))
    training, dealt = parted(len(pairs), seed)
    answers = pairs.sum(1) % p
    answers, rows = (answers[dealt] if how.shuffled else answers), training.nonzero()[:, 0]

    def loss(network: Network, generator: torch.Generator) -> Tensor:
        batch = drawn(rows, generator)
        return cross_entropy(network(pairs[batch]), answers[batch])

    network = seeded(seed, lambda: Network([p], how.spread, 2 * HIDDEN, 0, p))
    train(f"sums_{variant}_{seed}", network, loss, recipe(steps, 1e-2, how.decay), seed=seed, folder=folder)
    with torch.no_grad():
        right = (network(pairs).argmax(-1) == answers)[~training].float().mean().item()
    return Summed(variant, seed, network.embeddings[0].detach().clone(), right)


# What is read from a table of embeddings, or from the hidden layer


def centred(rows: Tensor) -> Tensor:
    """Rows [..., n, d] less their mean."""
    return rows - rows.mean(-2, keepdim=True)


def principal(rows: Tensor, k: int) -> Tensor:
    """Scores [n, k] of rows [n, d] on their leading principal components."""
    u, s, _ = torch.linalg.svd(centred(rows.double()), full_matrices=False)
    return u[:, :k] * s[:k]


def leading(hidden: Tensor, training: Tensor) -> Tensor:
    """Principal components of a hidden layer [nuclei, hidden], as of the nuclei trained on, each of variance 1."""
    mean = hidden[training].mean(0)
    _, s, vh = torch.linalg.svd((hidden[training] - mean).double(), full_matrices=False)
    scores = (hidden - mean).double() @ vh[:COMPONENTS].T / s[:COMPONENTS].clamp(min=1e-9 * float(s[0]))
    return (scores * math.sqrt(int(training.sum()))).float()


def share(embedding: Tensor, k: int = 3) -> float:
    """The share of the variance of embeddings [n, d] that k principal components hold."""
    power = torch.linalg.svdvals(centred(embedding.double())).square()
    return float(power[:k].sum() / power.sum())


def fourier(embedding: Tensor, k: int = 3) -> float:
    """The share of the power of embeddings [n, d] along their numbers that the k strongest frequencies hold."""
    power = torch.fft.rfft(centred(embedding.double()), dim=0).abs().square().sum(-1)
    return float(power.topk(k).values.sum() / power.sum())


def ordered(embedding: Tensor, seed: int) -> float:
    """By how much `fourier` exceeds what it is, on average, with the numbers in a random order."""
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(embedding), generator=generator) for _ in range(COPIES)]
    return fourier(embedding) - sum(fourier(embedding[order]) for order in orders) / COPIES


def detrended(path: Tensor) -> Tensor:
    """A path [..., n, k] less the straight line a + b n that fits it best."""
    steps = torch.linspace(-1, 1, path.shape[-2], dtype=path.dtype)[:, None]
    rest = centred(path)
    return rest - steps * (steps * rest).sum(-2, keepdim=True) / steps.square().sum()


def helix_share(rest: Tensor) -> Tensor:
    """How much of what a straight line leaves of a path [..., n, 3] a circle explains: that of the best of TURNS.

    A circle r (cos(w n) u + sin(w n) v) with orthonormal u and v in any plane fits best where |u . C + v . S| is
    largest, C = sum_n rest_n cos(w n), S likewise: it is the sum s of the singular values of the matrix [C, S], and the
    circle explains s^2 / (n sum |rest|^2).
    """
    n = rest.shape[-2]
    angle = 2 * torch.pi * TURNS[:, None] * torch.arange(n) / n
    against = torch.einsum("...nk,tnc->...tkc", rest, torch.stack([angle.cos(), angle.sin()], -1))
    gram = against.mT @ against
    squared = gram.diagonal(dim1=-2, dim2=-1).sum(-1) + 2 * torch.linalg.det(gram).clamp(min=0).sqrt()
    explained: Tensor = squared.amax(-1) / (n * rest.square().sum((-2, -1)))
    return explained


def phases_shuffled(path: Tensor, seed: int) -> Tensor:
    """Copies [COPIES, n, k] of a path [n, k] with the power of each coordinate at each frequency, and random phases."""
    spectrum = torch.fft.rfft(path, dim=0)
    angles = torch.rand(COPIES, *spectrum.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    return torch.fft.irfft(spectrum.abs() * torch.exp(2j * torch.pi * angles), n=len(path), dim=1)


def helix(embedding: Tensor, seed: int) -> float:
    """`helix_share` of three principal components of embeddings [n, d], less its mean over phase-shuffled copies."""
    rest = detrended(principal(embedding, 3))
    return float(helix_share(rest) - helix_share(detrended(phases_shuffled(rest, seed))).mean())


def bow(embedding: Tensor) -> Tensor:
    """A smooth arc [n, 3] that goes round nothing: polynomials of degree 1 to 3, as long as the components are."""
    steps = torch.linspace(-1, 1, len(embedding), dtype=torch.double)
    basis = torch.linalg.qr(torch.stack([steps**degree for degree in range(4)], -1)).Q[:, 1:]
    return basis * principal(embedding, 3).norm(dim=0)


def bends(embedding: Tensor) -> Tensor:
    """Second differences x_{n+1} - 2 x_n + x_{n-1} [n - 2, 3] of three principal components of embeddings [n, d]."""
    return principal(embedding, 3).diff(n=2, dim=0)


def kinks(embedding: Tensor, first: int = NEUTRONS[0]) -> float:
    """How many times the bend doubles from even numbers nearby to a magic one: mean over the magic numbers."""
    bend = bends(embedding).norm(dim=-1).log2()
    inside = range(first + 1, first + 1 + len(bend))
    found = []
    for magic in (number for number in MAGIC if number - NEAR in inside and number + NEAR in inside):
        near = [n for n in range(magic - NEAR, magic + NEAR + 1, 2) if n not in MAGIC]
        found.append(bend[magic - inside[0]] - bend[[n - inside[0] for n in near]].mean())
    return float(torch.stack(found).mean())


def wobble(embedding: Tensor) -> float:
    """How many times the power of bends doubles from the ten next frequencies to that of even against odd."""
    rows = bends(embedding)
    rows = rows[len(rows) % 2 :]
    power = torch.fft.rfft(rows, dim=0).abs().square().sum(-1)
    return float((power[-1] / power[-11:-1].mean()).log2())


def polynomials(nuclei: Tensor) -> Tensor:
    """All products of Z and N up to degree 3, [nuclei, 9]."""
    z, n = ((nuclei - nuclei.double().mean(0)) / nuclei.double().std(0)).T
    return torch.stack([z**i * n**j for i in range(4) for j in range(4 - i) if i + j], -1)


def read(features: Tensor, target: Tensor, training: Tensor) -> float:
    """R2 on held-out nuclei of a linear map from features [nuclei, k] to a term [nuclei], fitted on the others."""
    known = torch.cat([features.double(), torch.ones(len(features), 1)], -1)
    weights = torch.linalg.lstsq(known[training], target[training, None]).solution
    missed = (known @ weights)[:, 0] - target
    spread = target[~training] - target[training].mean()
    return 1 - float(missed[~training].square().sum() / spread.square().sum())


def probe(found: Found, term: str, planted: bool = False) -> float:
    """R2 of a term from the network's components less that from a polynomial; planted: the last one holds the term."""
    nuclei = chart()
    target, features = terms(nuclei)[term], found.components.double()
    if planted:
        features = torch.cat([features[:, :-1], features[:, -1:] + (target / target.std())[:, None]], -1)
    return read(features, target, found.training) - read(polynomials(nuclei), target, found.training)


def learnt(found: Found, term: str) -> float:
    """A term's coefficient in predictions of held-out nuclei, beside all other terms and polynomials: 1 if learnt."""
    nuclei, held_out, without = chart(), ~found.training, NUCLEI[found.variant].without
    parts = terms(nuclei)
    predicted = found.error + sum(part for name, part in parts.items() if name not in without)
    known = torch.cat([torch.stack([parts.pop(term), *parts.values()], -1), polynomials(nuclei)], -1)
    return float(torch.linalg.lstsq(known[held_out], predicted[held_out, None], driver="gelsd").solution[0])


def drawn_in(parts: Sequence[Tensor], seed: int, noise: float) -> Tensor:
    """A table [numbers, WIDTH] with a known course [numbers] along each of some orthogonal directions, in noise."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=generator)).Q
    course = torch.stack(list(parts), -1) @ axes[: len(parts)]
    return course + noise * torch.randn(course.shape, generator=generator)


def planted_helix(seed: int) -> Tensor:
    """Embeddings of NEUTRONS on a helix of four turns, in noise."""
    n = torch.arange(len(NEUTRONS)) / len(NEUTRONS)
    return drawn_in([4 * n, (8 * torch.pi * n).cos(), (8 * torch.pi * n).sin()], seed, noise=0.1)


def planted_kinks(seed: int) -> Tensor:
    """Embeddings of NEUTRONS on an arc with kinks at magic numbers and a wobble from even to odd, in noise."""
    number = torch.tensor(list(NEUTRONS)) / len(NEUTRONS)
    kinks = [(number - magic / len(NEUTRONS)).abs() for magic in MAGIC]
    return drawn_in([number**2 + (-1.0) ** torch.arange(len(number)) / 1000, *kinks], seed, noise=0.0005)


# What is reported


PROBED = ("surface", "coulomb", "asymmetry", "wigner", "shell", "pairing")
KINDS = {"": "formula", "_smooth": "smooth"}  # with and without shells and pairing, by the ending of a metric's name

Rows = Mapping[str, tuple[str, Callable[[Any], float]]]  # by metric: of which networks, and what
EMBEDDED: Rows = {
    "helix": ("formula", lambda one: helix(one.embedding, one.seed)),
    "helix_bow": ("formula", lambda one: helix(bow(one.embedding), one.seed)),
    "helix_planted": ("formula", lambda one: helix(planted_helix(one.seed), one.seed)),
    **{f"kinks{ending}": (variant, lambda one: kinks(one.embedding)) for ending, variant in KINDS.items()},
    "kinks_planted": ("formula", lambda one: kinks(planted_kinks(one.seed))),
    **{f"wobble{ending}": (variant, lambda one: wobble(one.embedding)) for ending, variant in KINDS.items()},
    "wobble_planted": ("formula", lambda one: wobble(planted_kinks(one.seed))),
    **{f"held_out_{variant}": (variant, Found.rms) for variant in NUCLEI},
    **{f"share_{variant}": (variant, lambda one: share(one.embedding)) for variant in NUCLEI},
}
TERMS: Rows = {
    "probe_pairing_planted": ("formula", partial(probe, term="pairing", planted=True)),
    **{f"probe_{term}{end}": (KINDS[end], partial(probe, term=term)) for term in PROBED for end in KINDS},
    **{f"learnt_{term}{end}": (KINDS[end], partial(learnt, term=term)) for term in PROBED[-2:] for end in KINDS},
}
CIRCLES: Rows = {
    f"{name}{ending}": (variant, of)
    for name, of in {"circles": lambda one: ordered(one.embedding, one.seed), "right": lambda one: one.right}.items()
    for ending, variant in {"": "sums", "_shuffled": "shuffled", "_memorising": "memorising"}.items()
}


def valued(found: Sequence[Any], variant: str, of: Callable[[Any], float]) -> list[float]:
    """A number of each network of a variant, in the order of seeds."""
    return [of(one) for one in sorted(found, key=lambda one: one.seed) if one.variant == variant]


def measured(found: Sequence[Any], rows: Rows) -> list[Metric]:
    """The metrics of a table; their units are seeds."""
    return [mean_of(name, valued(found, *row)) for name, row in rows.items()]


def gap(name: str, found: Sequence[Found], more: str, less: str, of: Callable[[Found], float]) -> Metric:
    """A number of a variant's networks less that of another's, seed by seed."""
    return mean_of(name, [a - b for a, b in zip(valued(found, more, of), valued(found, less, of), strict=True)])


def compared(found: Sequence[Found]) -> list[Metric]:
    """How networks with weight decay differ from those that memorise."""
    return [
        gap("low", found, "formula", "memorising", lambda one: share(one.embedding)),
        gap("low_shuffled", found, "shuffled", "memorising", lambda one: share(one.embedding)),
        gap("general", found, "memorising", "formula", lambda one: math.log2(one.rms())),
        gap("general_fitted", found, "memorising", "formula", lambda one: math.log2(one.rms(held_out=False))),
    ]


def draw(found: Sequence[Found], sums: Sequence[Summed]) -> Figure:
    """The path of neutron numbers, its bends, what components hold, and a circle of sums."""
    first = {variant: next(one for one in found if one.variant == variant) for variant in NUCLEI}
    figure, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained")
    _draw_path(axes[0, 0], first["formula"].embedding)
    _draw_bends(axes[0, 1], {name: first[name].embedding for name in ("formula", "smooth")})
    _draw_shares(axes[1, 0], {name: one.embedding for name, one in first.items()})
    _draw_circle(axes[1, 1], next(one for one in sums if one.variant == "sums").embedding)
    return figure


def _draw_path(ax: Any, embedding: Tensor) -> None:
    x, y, _ = principal(embedding, 3).T
    ax.plot(x, y, color="#c8ccd1", zorder=0)
    ax.scatter(x, y, c=list(NEUTRONS), cmap="viridis", s=9)
    for place in (NEUTRONS.index(number) for number in MAGIC if number in NEUTRONS):
        ax.plot(x[place], y[place], "o", color=CATEGORICAL[1], markersize=5)
        ax.annotate(str(NEUTRONS[place]), (x[place], y[place]), xytext=(6, 4), textcoords="offset points")
    ax.set(title="Neutron embeddings, few neutrons dark; magic ones named", xlabel="component 1", ylabel="component 2")


def _draw_bends(ax: Any, embeddings: Mapping[str, Tensor]) -> None:
    for name, embedding in embeddings.items():
        ax.plot(NEUTRONS[1:-1], bends(embedding).norm(dim=-1), label=name, linewidth=1)
    for number in (number for number in MAGIC if number in NEUTRONS):
        ax.axvline(number, color="#c8ccd1", zorder=0)
    ax.set(title="How far that path bends; lines: magic numbers", xlabel="neutrons", yscale="log")
    ax.legend()


def _draw_shares(ax: Any, embeddings: Mapping[str, Tensor]) -> None:
    for name, embedding in embeddings.items():
        ax.plot(range(1, 11), [share(embedding, k) for k in range(1, 11)], marker="o", markersize=3, label=name)
    ax.set(title="Variance that components hold", xlabel="principal components", ylim=(0, 1.02))
    ax.legend()


def _draw_circle(ax: Any, embedding: Tensor) -> None:
    waves = torch.fft.rfft(centred(embedding.double()), dim=0)
    strongest = int(waves.norm(dim=-1).argmax())
    plane = torch.linalg.qr(torch.view_as_real(waves[strongest])).Q
    x, y = (centred(embedding.double()) @ plane).T
    ax.scatter(x, y, c=[strongest * residue % len(x) for residue in range(len(x))], cmap="twilight", s=14)
    for residue in range(0, len(x), 3):
        ax.annotate(str(residue), (x[residue], y[residue]), fontsize=7)
    ax.set(title=f"Embeddings of residues, at frequency {strongest}", aspect="equal")


def cells(nuclei: Tensor, values: Tensor) -> list[list[float | None]]:
    """The mean of values [nuclei] in each cell of BIN protons by BIN neutrons, row by row; None where there is none."""
    rows, columns = ((most - FEWEST) // BIN + 1 for most in MOST)
    place = ((nuclei - FEWEST) // BIN * torch.tensor([columns, 1])).sum(1)
    count = torch.bincount(place, minlength=rows * columns)
    total = torch.bincount(place, values.double(), minlength=rows * columns)
    means = [round(float(s / n), 3) if n else None for s, n in zip(total, count, strict=True)]
    return [means[row * columns : (row + 1) * columns] for row in range(rows)]


def maps(found: Found) -> dict[str, Any]:
    """What the explorer draws on the chart of nuclei: terms of the formula, components of the hidden layer, errors."""
    nuclei = chart()
    shown = {name: term for name, term in terms(nuclei).items() if name in PROBED}
    items = [("term", f"the {name} term", term) for name, term in shown.items()]
    items += [("component", f"component {k + 1}", found.components[:, k]) for k in range(COMPONENTS)]
    items += [("network", "prediction less formula", found.error)]
    return {
        "title": "The chart of nuclei, in terms and in components",
        "about": f"Each cell is the mean over {BIN} by {BIN} nuclei of the formula, none of them measured, in standard "
        "deviations from the mean over the chart. A component is defined up to its sign.",
        "rows": {"title": "protons", "names": list(range(FEWEST, MOST[0] + 1, BIN))},
        "columns": {"title": "neutrons", "names": list(range(FEWEST, MOST[1] + 1, BIN))},
        "cell": {"one": "cell", "many": "cells"},
        "item": {"one": "map", "many": "maps"},
        "measures": [{"name": "value", "title": "in standard deviations", "short": "value"}],
        "items": [
            {
                "name": title.replace(" ", "_"),
                "title": title,
                "group": group,
                "values": {"value": cells(nuclei, (values - values.mean()) / values.std())},
            }
            for group, title, values in items
        ],
    }
