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

Shapes: n interventions, three modules in the order of `matching.MODULES`, m latents a module, d = d_model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import Cache, DynamicCache

from reproductions.common.edits import unembed
from reproductions.common.hooks import Hooked
from reproductions.common.progress import counting
from reproductions.feature_flow.groups import Cases, Sample, active
from reproductions.feature_flow.matching import MODULES, NONE, Predecessors
from reproductions.feature_flow.windows import AFTER, Window

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
    def any(self) -> Tensor:
        """Whether there is something to intervene on: [n] of bool."""
        return (self.latents != NONE).flatten(1).any(1)

    def select(self, rows: Tensor) -> Interventions:
        """Some of them: by a mask [n] or by numbers."""
        return Interventions(self.cases.select(rows), self.latents[rows], self.activations[rows], self.factor[rows])

    def only(self, module: str) -> Interventions:
        """The same with the latents of one module alone."""
        others = torch.tensor([name != module for name in MODULES])[None, :, None]
        return replace(self, latents=self.latents.masked_fill(others, NONE))

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
    targets = cases.target
    latents = torch.stack([getattr(predecessors, module).indices.cpu()[targets] for module in MODULES], dim=1)
    return _removed(found, cases, latents)


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


@dataclass(frozen=True)
class Outcome:
    """What came of interventions: their targets' activations before and after, [n]; NaN where nothing was done."""

    cases: Cases
    before: Tensor
    after: Tensor

    @property
    def done(self) -> Tensor:
        """Where a predecessor was active: [n] of bool."""
        return ~self.after.isnan()

    @property
    def coverage(self) -> float:
        """The share of targets that had an active predecessor."""
        return self.done.float().mean().item()

    @property
    def deactivated(self) -> Tensor:
        """1 where the target went out, 0 where not, NaN where nothing was done: [n]."""
        return torch.where(self.done, (self.after == 0).float(), torch.nan)

    @property
    def change(self) -> Tensor:
        """1 - z_new / z_old, below 0 where the target grew: [n]."""
        return 1 - self.after / self.before

    def select(self, rows: Tensor) -> Outcome:
        """Some of them: by a mask [n] or by numbers."""
        return Outcome(self.cases.select(rows), self.before[rows], self.after[rows])


@torch.no_grad()
def outcomes(model: Any, window: Window, found: Sample, methods: Mapping[str, Interventions]) -> dict[str, Outcome]:
    """What each method's interventions do; all methods go through the model together, one token after the other."""
    parts = [method.select(method.any) for method in methods.values()]
    after = _activations_after(model, window, found, parts).split([len(part) for part in parts])
    return {
        name: _outcome(found, method, values) for (name, method), values in zip(methods.items(), after, strict=True)
    }


def _outcome(found: Sample, method: Interventions, values: Tensor) -> Outcome:
    after = torch.full((len(method),), torch.nan).masked_scatter(method.any, values)
    return Outcome(method.cases, active(found.codes[AFTER], method.cases.token, method.cases.target), after)


def _activations_after(model: Any, window: Window, found: Sample, parts: Sequence[Interventions]) -> Tensor:
    """The activations of all targets of all parts, one part after the other."""
    joined = _joined(parts)
    after = torch.empty(len(joined))
    for rows, codes in _codes_after(model, window, found, joined):
        after[rows] = codes.gather(1, joined.cases.target[rows, None])[:, 0]
    return after


def _joined(parts: Sequence[Interventions]) -> Interventions:
    """All of them as one; those with fewer latents a module are filled up."""
    most = max(part.latents.shape[-1] for part in parts)
    filled = [(0, most - part.latents.shape[-1]) for part in parts]
    cases = (torch.cat([getattr(part.cases, name) for part in parts]) for name in ("token", "target", "group"))
    return Interventions(
        Cases(*cases),
        torch.cat([pad(part.latents, wide, value=NONE) for part, wide in zip(parts, filled, strict=True)]),
        torch.cat([pad(part.activations, wide) for part, wide in zip(parts, filled, strict=True)]),
        torch.cat([part.factor for part in parts]),
    )


def sweep(
    model: Any, window: Window, found: Sample, removed: Interventions, factors: Sequence[float] = FACTORS
) -> dict[float, Tensor]:
    """z_new / z_old of every target [n] for each factor r by which its predecessors are multiplied (figure 17)."""
    scaled = {str(factor): removed.scaled(factor) for factor in factors}
    after = outcomes(model, window, found, scaled)
    return {factor: 1 - after[str(factor)].change for factor in factors}


@dataclass(frozen=True)
class Ceiling:
    """The single latent, of all that are active in the three modules, whose removal lowers each target most.

    It is the best of up to 3k trials, chosen after the fact: an upper bound for one predecessor, and an optimistic one.
    Where several put the target out, the first of them stands.
    """

    outcome: Outcome
    module: Tensor  # [n] number in MODULES
    latent: Tensor  # [n]


@torch.no_grad()
def ceiling(model: Any, window: Window, found: Sample, cases: Cases) -> Ceiling:
    """Remove every active latent of each target's token, one at a time (section 4.2's upper bound).

    A removal is done once for all targets of a token. Where no latent is active the outcome is NaN.
    """
    trials = _one_by_one(found, cases.token.unique())
    before = active(found.codes[AFTER], cases.token, cases.target)
    after, best = torch.full_like(before, torch.nan), torch.zeros(len(cases), dtype=torch.long)
    for rows, codes in _codes_after(model, window, found, trials):
        own = (cases.token == trials.cases.token[rows[0]]).nonzero()[:, 0]
        lowest = codes[:, cases.target[own]].min(0)
        better = ~(lowest.values >= after[own])  # also where there was none yet
        after[own[better]], best[own[better]] = lowest.values[better], rows[lowest.indices[better]]
    named = (trials.latents != NONE).flatten(1).float().argmax(1)[best] if len(trials) else best
    latent = trials.latents.flatten(1).amax(1)[best] if len(trials) else best
    return Ceiling(Outcome(cases, before, after), named, latent)


def _one_by_one(found: Sample, tokens: Tensor) -> Interventions:
    """One removal for each latent that is active at one of the tokens; their targets mean nothing."""
    token, module, latent = [], [], []
    for number, name in enumerate(MODULES):
        place, indices = (found.codes[name][tokens] > 0).nonzero(as_tuple=True)
        token.append(tokens[place])
        module.append(torch.full_like(place, number))
        latent.append(indices)
    cases = Cases(torch.cat(token), torch.zeros_like(torch.cat(token)), torch.zeros_like(torch.cat(token)))
    latents = torch.full((len(cases), len(MODULES), 1), NONE)
    latents[torch.arange(len(cases)), torch.cat(module), 0] = torch.cat(latent)
    return _removed(found, cases, latents)


def _codes_after(model: Any, window: Window, found: Sample, trials: Interventions) -> Iterator[tuple[Tensor, Tensor]]:
    """The codes of R_L under interventions: numbers of some of them [rows], and codes [rows, latents]."""
    token = trials.cases.token
    with (
        _Rerun(model, window) as rerun,
        counting(f"layer {window.layer}", len(token), "interventions") as advance,
    ):
        for number, moment in rerun.moments(found, token):
            for rows in (token == number).nonzero()[:, 0].split(AT_ONCE):
                values = rerun.run(moment, trials.select(rows).changes(window))
                yield rows, window.after.codes(values).cpu()
                advance(len(rows))


class _Changed(Hooked):
    """Adds changes [n, 3, d] to what passes the three modules at the last position, and keeps R_L [n, d] there."""

    def __init__(self, model: Any, window: Window) -> None:
        super().__init__(model)
        self.window = window
        self.changes: Tensor | None = None
        self.after: Tensor

    def hooks(self) -> list[tuple[str, Callable[..., Any]]]:
        """R_{L-1} is changed where layer L reads it, which nothing else does."""
        _, mlp, attention, after = self.window.sites
        places = (f"blocks.{self.window.layer}.hook_resid_pre", mlp, attention)
        return [*((place, self._adding(number)) for number, place in enumerate(places)), (after, self._keep)]

    def _adding(self, number: int) -> Callable[..., Tensor]:
        def add(activation: Tensor, hook: Any) -> Tensor:
            if self.changes is None:
                return activation
            changed = activation.clone()
            changed[:, -1] += self.changes[:, number].to(activation)
            return changed

        return add

    def _keep(self, activation: Tensor, hook: Any) -> None:
        self.after = activation[:, -1]


Moment = tuple[tuple[Any, ...], dict[str, Any]]  # what a layer is called with at a token, its cache as it was before


class _Rerun(_Changed):
    """Runs layer L alone, once more for each change, at one token of a text that was read once."""

    @property
    def layer(self) -> Any:
        """The block of layer L."""
        return self.model.blocks[self.window.layer]

    def moments(self, found: Sample, token: Tensor) -> Iterator[tuple[int, Moment]]:
        """Each of the sampled tokens that are named [n], once, with what layer L is called with there."""
        numbers = token.unique()
        for row in found.row[numbers].unique().tolist():
            args, kwargs = self._call(found.texts.tokens[row : row + 1])
            for number in numbers[found.row[numbers] == row].tolist():
                at = partial(_at, position=int(found.position[number]), layer=self.window.layer)
                yield number, (tuple(map(at, args)), {name: at(value) for name, value in kwargs.items()})

    def _call(self, tokens: Tensor) -> Moment:
        """What layer L is called with for a whole text [1, T]; the layers above are not needed."""
        caught: list[Moment] = []
        handle = self.layer.register_forward_pre_hook(
            lambda _, args, kwargs: caught.append((args, kwargs)), with_kwargs=True
        )
        tokens, cache = tokens.to(self.model.W_E.device), DynamicCache()
        self.model(tokens, stop_at_layer=self.window.layer + 1, past_key_values=cache, use_cache=True)
        handle.remove()
        return caught[0]

    def run(self, moment: Moment, changes: Tensor) -> Tensor:
        """R_L [n, d] at the token with changes [n, 3, d]."""
        (hidden, *args), kwargs = moment
        own = partial(self._own, n=len(changes))
        self.changes = changes
        self.layer(hidden.expand(len(changes), -1, -1), *map(own, args), **{k: own(v) for k, v in kwargs.items()})
        self.changes = None
        return self.after

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


def _readings(model: Any, found: Sample, token: Tensor) -> Iterator[tuple[int, Tensor, Cache]]:
    """Each named token, in the order of the texts: its number, itself [1, 1], and what was read before it."""
    row, cache, read = -1, DynamicCache(), 0
    for number in token.unique().tolist():  # a sample is sorted by text and position
        if row != (row := int(found.row[number])):
            cache, read = DynamicCache(), 0
        position = int(found.position[number])
        if position > read:
            _read(model, found.texts.tokens[row : row + 1, read:position], cache)
        yield number, found.texts.tokens[row : row + 1, position : position + 1], cache
        read = position


@dataclass(frozen=True)
class Losses:
    """The loss of the token after the intervention's, in nats: without and with it, [n]."""

    clean: Tensor
    edited: Tensor

    @property
    def relative_change(self) -> float:
        """(L_new - L_old) / L_old of the mean losses."""
        return (self.edited.mean() / self.clean.mean() - 1).item()


@torch.no_grad()
def next_losses(model: Any, window: Window, found: Sample, methods: Mapping[str, Interventions]) -> dict[str, Losses]:
    """The loss of the very next token under interventions, through all layers above; the paper's measure of impact.

    A case at a text's last position has no next token and is NaN. Effects on tokens further on are not counted.
    """
    joined = _joined(list(methods.values()))
    losses = _losses(model, window, found, joined)
    parts = (side.split([len(each) for each in methods.values()]) for side in (losses.clean, losses.edited))
    return {name: Losses(*part) for name, *part in zip(methods, *parts, strict=True)}


def _losses(model: Any, window: Window, found: Sample, removed: Interventions) -> Losses:
    clean, edited = (torch.full((len(removed),), torch.nan) for _ in range(2))
    inside = found.position[removed.cases.token] < found.texts.tokens.shape[1] - 1
    token = removed.cases.token
    with _Changed(model, window) as changed:
        for number, last, cache in _readings(model, found, token[inside]):
            following = found.texts.tokens[found.row[number], found.position[number] + 1]
            rows = (token == number).nonzero()[:, 0]
            changes = removed.select(rows).changes(window)
            changed.changes = torch.cat([torch.zeros_like(changes[:1]), changes])
            n = len(rows) + 1
            states = _read(model, last.repeat(n, 1), repeated(cache, n, range(len(cache.layers))))
            losses = -unembed(model, states[:, -1]).log_softmax(-1)[:, following].cpu()
            clean[rows], edited[rows] = losses[0], losses[1:]
            changed.changes = None
    return Losses(clean, edited)


def _read(model: Any, tokens: Tensor, cache: Cache) -> Tensor:
    tokens = tokens.to(model.W_E.device)
    states: Tensor = model.original_model.base_model(tokens, past_key_values=cache, use_cache=True).last_hidden_state
    return states


def by_text(found: Sample, cases: Cases, values: Tensor) -> list[float]:
    """The mean of values [n] over the cases of each text, NaNs left out: what an interval over texts is made of."""
    rows = found.row[cases.token]
    return [values[rows == row].nanmean().item() for row in rows.unique()]
