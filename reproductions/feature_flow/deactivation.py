"""Are predecessors causes? Remove them and see whether the latent goes out: the paper's experiment 2 (section 4.2).

At the site of a predecessor, and only at the sampled token, its contribution is scaled,

    h <- h + (r - 1) a v,

with a its activation in the clean run and v its decoder row; r = 0 removes it. What follows in the layer is computed
anew, R_L is encoded, and the target's new activation z_new is held against its old one: it was deactivated if z_new is
0, and the activation change is 1 - z_new / z_old. "Active" is what the autoencoder itself says. Under TopK that is a
matter of rank: when one latent falls another moves up among the k, so that a target can go out although little that
points its way has gone, and a target that comes down can stay.

R_{L-1} passes to attention, MLP and the skip path alike, A_L to the MLP and R_L, M_L to R_L alone. As what came before
the token is not touched, its keys and values are computed once, and an intervention costs one token in one layer.

Shapes: n interventions, three modules in the order of `method.MODULES`, m latents a module, d = d_model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import Cache, DynamicCache

from reproductions.common.hooks import Hooked
from reproductions.common.model import Model
from reproductions.common.progress import counting
from reproductions.feature_flow.groups import Cases, Sample, active
from reproductions.feature_flow.method import AFTER, MODULES, NONE, Place, Predecessors
from reproductions.feature_flow.named import Measure
from reproductions.feature_flow.windows import Window

AT_ONCE = 1024  # interventions in one pass
FACTORS = (-2.0, -1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # of the rescaling sweep; 1 changes nothing
ALIKE = 3  # a control is drawn from so many latents, those with the nearest activations


@dataclass(frozen=True)
class Interventions:
    """For each of n targets, latents of the three modules whose activations are multiplied by r at the target's token.

    Only latents that are active there are named; a target without any is an intervention that does nothing.
    """

    cases: Cases  # [n]
    latents: Tensor  # [n, 3, m], NONE where there are fewer
    activations: Tensor  # [n, 3, m], in the clean run
    factor: Tensor  # [n], r

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def modules(self) -> Tensor:
        """In how many of the three modules there is something to intervene on: [n]."""
        return (self.latents != NONE).any(-1).sum(1)

    @property
    def any(self) -> Tensor:
        """Whether there is something to intervene on at all: [n] of bool."""
        return self.modules > 0

    def select(self, rows: Tensor) -> Interventions:
        """Some of them: by a mask [n] or by numbers."""
        return Interventions(self.cases.select(rows), self.latents[rows], self.activations[rows], self.factor[rows])

    def only(self, module: Place) -> Interventions:
        """The same with the latents of one module alone."""
        others = torch.tensor([other != module for other in MODULES])[None, :, None]
        return replace(self, latents=self.latents.masked_fill(others, NONE))

    def where(self, rows: Tensor) -> Interventions:
        """The same at some of the cases, by a mask [n], and nothing at the others."""
        return replace(self, latents=self.latents.masked_fill(~rows[:, None, None], NONE))

    def scaled(self, factor: float) -> Interventions:
        """The same with another r."""
        return replace(self, factor=torch.full_like(self.factor, factor))

    def changes(self, window: Window) -> Tensor:
        """What is added at the three sites: [n, 3, d]."""
        weights = torch.where(self.latents == NONE, 0.0, self.activations) * (self.factor[:, None, None] - 1)
        found = []
        for number, module in enumerate(window.modules):
            rows = module.directions[self.latents[:, number].clamp(min=0)]  # [n, m, d]
            found.append((weights[:, number, None].to(rows) @ rows)[:, 0])
        return torch.stack(found, dim=1)


def removal(found: Sample, cases: Cases, predecessors: Predecessors) -> Interventions:
    """Remove all the predecessors that are active at the token: the first of each module, or as many as are given."""
    latents = torch.stack([matches.indices.cpu()[cases.target] for matches in predecessors], dim=1)
    return _removed(found, cases, latents)


def everything(found: Sample, cases: Cases) -> Interventions:
    """Remove all that is active at the three places: wherever a target came from, it must go out."""
    codes = [found.codes[module] for module in MODULES]
    most = max(int((each > 0).sum(1).max()) for each in codes)
    return _removed(found, cases, torch.stack([each[cases.token].topk(most).indices for each in codes], dim=1))


def _removed(found: Sample, cases: Cases, latents: Tensor) -> Interventions:
    """Those of the latents [n, 3, m] that are active."""
    by_module = [active(found.codes[module], cases.token, latents[:, i]) for i, module in enumerate(MODULES)]
    activations = torch.stack(by_module, dim=1)
    kept = activations > 0
    return Interventions(
        cases, latents.masked_fill(~kept, NONE), activations.masked_fill(~kept, 0.0), torch.zeros(len(cases))
    )


def control(found: Sample, removed: Interventions, generator: torch.Generator) -> Interventions:
    """In place of each predecessor another latent, active at the same site and token, with nearly the same activation.

    One of the three with the nearest activations, drawn at random, so that an edit is about as large as the true one.
    Where nothing else is active the intervention names no latent.
    """
    latents = removed.latents.clone()
    for case, module, slot in (removed.latents != NONE).nonzero().tolist():
        own = removed.latents[case, module]
        codes = found.codes[MODULES[module]][removed.cases.token[case]].clone()
        codes[own[own != NONE]] = 0.0
        others = codes.nonzero()[:, 0]
        distance = (codes[others] - removed.activations[case, module, slot]).abs()
        near = others[distance.argsort(stable=True)[:ALIKE]]
        latents[case, module, slot] = near[_draw(len(near), generator)] if len(near) else NONE
    return _removed(found, removed.cases, latents)


def _draw(n: int, generator: torch.Generator) -> int:
    return int(torch.randint(n, (1,), generator=generator))


DEACTIVATED = Measure("deactivated", "put out")
CHANGE = Measure("change", "activation change")


@dataclass(frozen=True)
class Outcome:
    """What came of interventions: their targets' activations before and after, [n]; NaN where nothing was done."""

    before: Tensor
    after: Tensor
    modules: Tensor  # [n] in how many of the three something was done

    @property
    def deactivated(self) -> Tensor:
        """1 where the target went out, 0 where not, NaN where nothing was done: [n]."""
        return (self.after == 0).float().masked_fill(self.after.isnan(), torch.nan)

    @property
    def change(self) -> Tensor:
        """1 - z_new / z_old, below 0 where the target grew: [n]."""
        return 1 - self.after / self.before

    def spread(self, rows: Tensor, n: int) -> Outcome:
        """The same as those of n cases of which these are the ones with numbers `rows`; the others are NaN."""
        unknown = torch.full((n,), torch.nan)
        before, after = (unknown.index_copy(0, rows, values) for values in (self.before, self.after))
        return Outcome(before, after, torch.zeros(n, dtype=torch.long).index_copy(0, rows, self.modules))


Key = TypeVar("Key")  # what tells interventions apart


@torch.no_grad()
def outcomes(rerun: Rerun, methods: Mapping[Key, Interventions]) -> dict[Key, Outcome]:
    """What each method's interventions do; all methods go through the model together, one token after the other."""
    parts = [method.select(method.any) for method in methods.values()]
    after = _activations_after(rerun, parts).split([len(part) for part in parts])
    return {
        key: _outcome(rerun.found, method, values) for (key, method), values in zip(methods.items(), after, strict=True)
    }


def _outcome(found: Sample, method: Interventions, values: Tensor) -> Outcome:
    after = torch.full((len(method),), torch.nan).masked_scatter(method.any, values)
    before = active(found.codes[AFTER], method.cases.token, method.cases.target)
    return Outcome(before, after, method.modules)


def _activations_after(rerun: Rerun, parts: Sequence[Interventions]) -> Tensor:
    """The activations of all targets of all parts, one part after the other."""
    joined = _joined(parts)
    after = torch.empty(len(joined))
    for rows, codes in _codes_after(rerun, joined):
        after[rows] = codes.gather(1, joined.cases.target[rows, None])[:, 0]
    return after


def _joined(parts: Sequence[Interventions]) -> Interventions:
    """All of them as one; those with fewer latents a module are filled up."""
    most = max(part.latents.shape[-1] for part in parts)
    filled = [(0, most - part.latents.shape[-1]) for part in parts]
    cases = (torch.cat(column) for column in zip(*(vars(part.cases).values() for part in parts), strict=True))
    return Interventions(
        Cases(*cases),
        torch.cat([pad(part.latents, wide, value=NONE) for part, wide in zip(parts, filled, strict=True)]),
        torch.cat([pad(part.activations, wide) for part, wide in zip(parts, filled, strict=True)]),
        torch.cat([part.factor for part in parts]),
    )


def sweep(rerun: Rerun, removed: Interventions, factors: Sequence[float] = FACTORS) -> dict[float, Tensor]:
    """z_new / z_old of every target [n] for each factor r by which its predecessors are multiplied (figure 17)."""
    found = outcomes(rerun, {factor: removed.scaled(factor) for factor in factors})
    return {factor: 1 - outcome.change for factor, outcome in found.items()}


@torch.no_grad()
def ceiling(rerun: Rerun, cases: Cases) -> Outcome:
    """Remove every active latent of each target's token, one at a time: the lowest activation that any leaves.

    The best of up to 3k trials, chosen after the fact: an upper bound for one predecessor, and an optimistic one
    (section 4.2). A removal is done once for all targets of a token. Where no latent is active the outcome is NaN.
    """
    trials = _one_by_one(rerun.found, cases.token.unique())
    before = active(rerun.found.codes[AFTER], cases.token, cases.target)
    after = torch.full_like(before, torch.nan)
    for rows, codes in _codes_after(rerun, trials):
        own = (cases.token == trials.cases.token[rows[0]]).nonzero()[:, 0]
        after[own] = after[own].fmin(codes[:, cases.target[own]].amin(0))
    return Outcome(before, after, (~after.isnan()).long())


def _one_by_one(found: Sample, tokens: Tensor) -> Interventions:
    """One removal for each latent that is active at one of the tokens; their targets mean nothing."""
    token, module, latent = [], [], []
    for number, own in enumerate(MODULES):
        place, indices = (found.codes[own][tokens] > 0).nonzero(as_tuple=True)
        token.append(tokens[place])
        module.append(torch.full_like(place, number))
        latent.append(indices)
    there = torch.cat(token)
    cases = Cases(found.row[there], there, torch.zeros_like(there), torch.zeros_like(there))
    latents = torch.full((len(cases), len(MODULES), 1), NONE)
    latents[torch.arange(len(cases)), torch.cat(module), 0] = torch.cat(latent)
    return _removed(found, cases, latents)


def _codes_after(rerun: Rerun, trials: Interventions) -> Iterator[tuple[Tensor, Tensor]]:
    """The codes of R_L under interventions: numbers of some of them [rows], and codes [rows, latents]."""
    token, window = trials.cases.token, rerun.window
    with rerun, counting(f"layer {window.layer}", len(token), "interventions") as advance:
        for number in token.unique().tolist():
            moment = rerun.moment(number)
            for rows in (token == number).nonzero()[:, 0].split(AT_ONCE):
                values = rerun.run(moment, trials.select(rows).changes(window))
                yield rows, window.after.codes(values).cpu()
                advance(len(rows))


Moment = tuple[tuple[Any, ...], dict[str, Any]]  # what a layer is called with, its cache as it was before


class Rerun(Hooked):
    """Runs layer L alone, once more for each change, at the sampled tokens of texts that are read once."""

    def __init__(self, model: Model, window: Window, found: Sample) -> None:
        super().__init__(model)
        self.window = window
        self.found = found
        self._texts: dict[int, Moment] = {}
        self._changes: Tensor | None = None
        self._after: Tensor

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """R_{L-1} is changed where layer L reads it, which nothing else does."""
        _, mlp, attention, after = self.window.sites
        places = (f"blocks.{self.window.layer}.hook_resid_pre", mlp, attention)
        return [*((place, self._adding(number)) for number, place in enumerate(places)), (after, self._keep)]

    def _adding(self, number: int) -> Callable[..., Tensor]:
        def add(activation: Tensor, hook: Any) -> Tensor:
            if self._changes is None:
                return activation
            changed = activation.clone()
            changed[:, -1] += self._changes[:, number].to(activation)
            return changed

        return add

    def _keep(self, activation: Tensor, hook: Any) -> None:
        self._after = activation[:, -1]

    @property
    def layer(self) -> Any:
        """The block of layer L."""
        return self.model.blocks[self.window.layer]

    def moment(self, number: int) -> Moment:
        """What layer L is called with at one of the sampled tokens."""
        row = int(self.found.row[number])
        if row not in self._texts:
            self._texts[row] = self._read(row)
        args, kwargs = self._texts[row]
        at = partial(_at, position=int(self.found.position[number]), layer=self.window.layer)
        return tuple(map(at, args)), {name: at(value) for name, value in kwargs.items()}

    def _read(self, row: int) -> Moment:
        """What layer L is called with for a whole text, and a cache of it; the layers below were run when sampling."""
        (_, *args), kwargs = self._call
        cache, hidden = DynamicCache(), self.found.before[row : row + 1]
        args = [cache if isinstance(value, Cache) else value for value in args]
        kwargs = {name: cache if isinstance(value, Cache) else value for name, value in kwargs.items()}
        self.layer(hidden, *args, **kwargs)
        return (hidden, *args), kwargs

    @cached_property
    def _call(self) -> Moment:
        """What layer L is called with for a text: positions and masks are those of any other, all being as long."""
        caught: list[Moment] = []
        handle = self.layer.register_forward_pre_hook(
            lambda _, args, kwargs: caught.append((args, kwargs)), with_kwargs=True
        )
        tokens = self.found.texts.tokens[:1].to(self.model.W_E.device)
        self.model(tokens, stop_at_layer=self.window.layer + 1, past_key_values=DynamicCache(), use_cache=True)
        handle.remove()
        return caught[0]

    def run(self, moment: Moment, changes: Tensor) -> Tensor:
        """R_L [n, d] at the token with changes [n, 3, d]."""
        (hidden, *args), kwargs = moment
        own = partial(self._own, n=len(changes))
        self._changes = changes
        self.layer(hidden.expand(len(changes), -1, -1), *map(own, args), **{k: own(v) for k, v in kwargs.items()})
        self._changes = None
        return self._after

    def _own(self, value: Any, n: int) -> Any:
        """A cache for n rows; what is shared by all rows stays as it is."""
        return repeated(value, n, [self.window.layer]) if isinstance(value, Cache) else value


def _at(value: Any, position: int, layer: int) -> Any:
    """The part at one position of what a layer was called with for a text of T tokens.

    Tensors are [1, T, ...], masks [1, 1, T, T]; of a cache, what was there before the position.
    """
    if isinstance(value, tuple):
        return tuple(_at(part, position, layer) for part in value)
    if isinstance(value, Cache):
        before = _with_own(value, [layer])
        before.layers[layer].crop(position - value.get_seq_length(layer))
        return before
    if isinstance(value, Tensor):
        here = slice(position, position + 1)
        return value[:, :, here, : position + 1] if value.ndim == 4 else value[:, here]
    return value


def repeated(cache: Any, n: int, layers: Sequence[int]) -> Any:
    """A cache to go on from n times, without touching the one it was made of: these layers of it are its own."""
    own = _with_own(cache, layers)
    for layer in layers:
        own.layers[layer].batch_repeat_interleave(n)
    return own


def _with_own(cache: Any, layers: Sequence[int]) -> Any:
    """The same cache; what is done to these layers of it leaves the first one as it is."""
    own = copy.copy(cache)
    own.layers = list(cache.layers)
    for layer in layers:
        own.layers[layer] = copy.copy(cache.layers[layer])
    return own
