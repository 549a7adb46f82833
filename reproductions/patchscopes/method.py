"""What does a model read in its own states? Patchscopes (Ghandeharioun et al., arXiv 2401.06102).

A Patchscope (section 3) takes the state h of a source prompt S at position i behind block l, maybe maps it by f, and
writes it into a target prompt T at position i*, behind block l*; the model runs on and says what it then expects:

    h_T[i*, l*] := f(h_S[i, l]).

With T = "cat -> cat, 1135 -> 1135, hello -> hello, ?", the last position and l* = l it is asked which token h stands
for (section 4.1). Written behind the last block h is its logit lens, unembed(norm(h)). A prompt that asks for a
relation of x, or for a description, is asked about the entity whose state is written to x (4.2, 4.3).

Precision@1 is the share of contexts whose likeliest next token, in the model itself, is the likeliest one here too;
surprisal is -log p of that token, in nats.

Shapes: n contexts, d = d_model, L blocks, T tokens of the target prompt from i* on, m entities, G of the L blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib import pyplot as plt
from torch import Tensor

from reproductions.common.activations import norm_limit
from reproductions.common.blocks import Blocks
from reproductions.common.continued import Continued
from reproductions.common.edits import unembed
from reproductions.common.errors import UserError
from reproductions.common.excerpts import Texts
from reproductions.common.metrics import Metric, mean_of, plain
from reproductions.common.model import Model
from reproductions.common.regression import LinearMap, Regression
from reproductions.common.repeated import mean_of_repeats

IDENTITY = "cat -> cat\n1135 -> 1135\nhello -> hello\n?"  # section 4.1
METHODS = {"identity": "token-identity prompt", "lens": "logit lens", "affine": "affine map"}
FIRST, LAST = 16, 64  # a context has more tokens than the one, and no more than the other
X = "x"  # stands in target prompts where an entity is asked for
FEWEST = 4  # names that are asked about
ROWS, TOP = 32, 3  # states whose logits are held at once; likeliest tokens that are kept
EARLY = 1 / 3  # of the depth: between layer 10 of the authors' 40 and 10 of their 28
SENTENCES = ["Yesterday we read about {}", "The letter was all about {}", "Nobody had ever told them of {}"]
COUNTRIES = {
    "France": ("Paris", "French"), "Japan": ("Tokyo", "Japanese"), "Italy": ("Rome", "Italian"),
    "Germany": ("Berlin", "German"), "Spain": ("Madrid", "Spanish"), "China": ("Beijing", "Chinese"),
    "Russia": ("Moscow", "Russian"), "England": ("London", "English"), "Greece": ("Athens", "Greek"),
    "Norway": ("Oslo", "Norwegian"), "Sweden": ("Stockholm", "Swedish"), "Cuba": ("Havana", "Spanish"),
    "Austria": ("Vienna", "German"), "Portugal": ("Lisbon", "Portuguese"), "Iran": ("Tehran", "Persian"),
    "Iraq": ("Baghdad", "Arabic"), "Ireland": ("Dublin", "English"), "Thailand": ("Bangkok", "Thai"),
    "Kenya": ("Nairobi", "Swahili"), "Denmark": ("Copenhagen", "Danish"), "Finland": ("Helsinki", "Finnish"),
    "Hungary": ("Budapest", "Hungarian"), "Belgium": ("Brussels", "French"), "Chile": ("Santiago", "Spanish"),
    "Argentina": ("Buenos Aires", "Spanish"), "Canada": ("Ottawa", "English"), "Australia": ("Canberra", "English"),
    "Turkey": ("Ankara", "Turkish"), "India": ("New Delhi", "Hindi"), "Vietnam": ("Hanoi", "Vietnamese"),
    "Indonesia": ("Jakarta", "Indonesian"), "Venezuela": ("Caracas", "Spanish"), "Colombia": ("Bogotá", "Spanish"),
    "Syria": ("Damascus", "Arabic"), "Ukraine": ("Kiev", "Ukrainian"), "Romania": ("Bucharest", "Romanian"),
    "Bulgaria": ("Sofia", "Bulgarian"), "Scotland": ("Edinburgh", "English"), "Lebanon": ("Beirut", "Arabic"),
    "Switzerland": ("Bern", "German"),
}  # fmt: skip
ENTITIES = [
    "Norway", "Japan", "Greece", "Cuba", "Kenya", "Microsoft", "Toyota", "Nike", "Google", "Amazon", "Shakespeare",
    "Mozart", "Einstein", "Napoleon", "London", "Tokyo", "Chicago", "Christianity", "Buddhism", "Mars", "Jupiter",
    "Hollywood", "Harvard", "Disney", "Churchill", "Lincoln", "Darwin", "Newton",
]  # fmt: skip
RELATIONS = {  # demonstrations, what is asked, and where the answers stand; the last as in section 4.3
    "capital": (["The capital of Egypt is Cairo.", "The capital of Poland is Warsaw.", "The capital of Peru is Lima."],
                "The capital of {} is", 0),
    "language": (["People in Egypt speak Arabic.", "People in Poland speak Polish.", "People in Peru speak Spanish."],
                 "People in {} speak", 1),
    "description": (["Syria: Country in the Middle East,", "Leonardo DiCaprio: American actor,", "Samsung: South Korean"
                     " multinational major appliance and consumer electronics corporation,"], "{}:", None),
}  # fmt: skip


class Target:
    """A target prompt that can be written to: what stands before i* is run once, in `shared` [P].

    follows: the tokens from i* on, [1, T] or, where they differ, a row for each state that will be written [n, T].
    """

    def __init__(self, model: Model, shared: Tensor, follows: Tensor) -> None:
        self.model, self.shared, self.follows = model, shared, follows
        self.blocks = Continued(model, shared, follows[:1])
        self._states = [self.blocks.embedded(follows)]  # before the first block, and after each that was asked for

    @classmethod
    def of(cls, model: Model, prompt: str, subject: str = "") -> Target:
        """A prompt that is written to at its last token, or at the last that is the subject, a word of one token."""
        tokens = model.to_tokens(prompt)
        at = int((tokens[0] == token(model, subject)).nonzero()[-1]) if subject else tokens.shape[1] - 1
        return cls(model, tokens[0, :at], tokens[:, at:])

    @torch.no_grad()
    def behind(self, layer: int) -> Tensor:
        """The prompt's own states behind a block, [1 or n, T, d]."""
        for block in range(len(self._states) - 1, layer + 1):
            self._states.append(self.blocks.run(self._states[-1], block, block + 1))
        return self._states[layer + 1]

    @torch.no_grad()
    def write(self, states: Tensor, layer: int) -> Tensor:
        """What the unembedding reads [n, d] at the end, with states [n, d] written to i* behind block `layer`."""
        x = self.behind(layer).expand(len(states), -1, -1).clone()
        x[:, 0] = states
        final: Tensor = self.model.ln_final(self.blocks.run(x, layer + 1, len(self.blocks))[:, -1])
        return final

    def go_on(self, states: Tensor, layer: int, most: int) -> Tensor:
        """The likeliest tokens, one after the other, behind the prompt with each state: [n, most]."""
        follows = self.follows.expand(len(states), -1)
        for _ in range(most):
            said = likeliest(self.model, Target(self.model, self.shared, follows).write(states, layer))
            follows = torch.cat([follows, said[:, None]], dim=1)
        return follows[:, -most:]


def token(model: Model, word: str) -> int:
    """The first token of a word with a space in front."""
    return int(model.tokenizer(f" {word}", add_special_tokens=False)["input_ids"][0])


def of_one_token(model: Model, words: Iterable[str]) -> list[str]:
    """The words that have a token of their own.

    Raises:
        UserError: they are too few.
    """
    found = [w for w in words if len(model.tokenizer(f" {w}", add_special_tokens=False)["input_ids"]) == 1]
    if len(found) < FEWEST:
        raise UserError(f"this model's tokenizer has a token for {len(found)} of the names, fewer than {FEWEST}")
    return found


@torch.no_grad()
def likeliest(model: Model, finals: Tensor) -> Tensor:
    """The likeliest token [n] for what the final norm gave [n, d]."""
    found = torch.empty(len(finals), dtype=torch.long, device=finals.device)
    for rows, some in zip(found.split(ROWS), finals.split(ROWS), strict=True):
        rows.copy_(unembed(model, some).argmax(-1))
    return found


# The next token


@dataclass(frozen=True)
class Contexts:
    """Texts [n, LAST] that are read up to a place each [n], which excerpt each is of [n], and what the model makes of
    them: the state at that place behind each block [L, n, d], and the token that the model expects next [n].
    """

    tokens: Tensor
    ends: Tensor
    text: Tensor
    states: Tensor
    truth: Tensor

    @classmethod
    def of(cls, model: Model, texts: Texts, seed: int = 0) -> Contexts:
        """Contexts that end at random places."""
        tokens = texts.tokens.to(model.W_E.device)
        ends = torch.randint(FIRST, LAST, (len(tokens),), generator=torch.Generator().manual_seed(seed))
        states = states_at(model, tokens, ends)
        return cls(tokens, ends, texts.excerpt, states, likeliest(model, model.ln_final(states[-1])))


def states_at(model: Model, tokens: Tensor, places: Tensor) -> Tensor:
    """The state at a place [n] of each text [n, T] behind each block, [L, n, d]; no text is run beyond its place."""
    found = torch.empty(model.cfg.n_layers, len(tokens), model.cfg.d_model, device=tokens.device)
    places = (places % tokens.shape[1]).to(tokens.device)
    for rows in places.argsort().split(ROWS):
        ends = places[rows]
        cut = tokens[rows, : int(ends.max()) + 1]
        _, *states = (x[torch.arange(len(x)), ends] for x in Blocks(model, cut).states(cut))
        found[:, rows] = torch.stack(states)
    return found


@torch.no_grad()
def affine_maps(model: Model, texts: Texts) -> list[LinearMap]:
    """From the state behind each block to that behind the last, by ridge regression.

    On every other position; the first one, and sinks, of more than three times the median length, are left out.
    """
    tokens = texts.tokens.to(model.W_E.device)
    _, *states = (x[:, 1::2].clone() for x in Blocks(model, tokens).states(tokens))
    text = texts.excerpt.to(tokens.device)[:, None].expand(states[0].shape[:2])
    kept = [x.norm(dim=-1) <= norm_limit(x.flatten(0, 1)) for x in states]
    rows = [own & kept[-1] for own in kept]
    return [Regression(x[k], text[k]).fit(states[-1][k]) for x, k in zip(states, rows, strict=True)]


@dataclass(frozen=True)
class Reading:
    """What a method reads in each layer: the likeliest tokens of each state [L, n, TOP], and the surprisal [L, n, n]
    of the token of each context (last axis) given the state of each (the one before).
    """

    top: Tensor
    surprisal: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, model: Model, finals: Iterable[Tensor], truth: Tensor) -> Reading:
        """From what the unembedding reads in each layer, [n, d], and the contexts' tokens [n]."""
        n, layers = len(truth), model.cfg.n_layers
        top, surprisal = torch.empty(layers, n, TOP, dtype=torch.long), torch.empty(layers, n, n)  # else they scatter
        for layer, final in enumerate(finals):
            for rows, some in zip(torch.arange(n).split(ROWS), final.split(ROWS), strict=True):
                logits = unembed(model, some)
                top[layer, rows] = logits.topk(TOP).indices.cpu()
                surprisal[layer, rows] = (logits.logsumexp(-1, keepdim=True) - logits[:, truth]).cpu()
        return cls(top, surprisal)


@dataclass(frozen=True)
class Found:
    """The readings of all methods, of contexts of texts [n] whose tokens are `truth` [n]."""

    readings: dict[str, Reading]
    text: Tensor
    truth: Tensor

    def hits(self, method: str) -> Tensor:
        """Whether the state of a context is read as the token of another, or of itself: [L, n, n], as surprisals."""
        return (self.readings[method].top[:, :, :1] == self.truth).float()

    def own(self, values: Tensor) -> Tensor:
        """Of values [..., n, n] those of contexts with their own states, [..., n]."""
        return values.diagonal(dim1=-2, dim2=-1)

    def shuffled(self, values: Tensor) -> Tensor:
        """Of values [..., n, n] the means over the states of other texts, [..., n]."""
        other = (self.text[:, None] != self.text).float()
        return (values * other).sum(-2) / other.sum(-2)

    def by_text(self, values: Tensor) -> list[float]:
        """Means [N] over the contexts of a text, of values [n]."""
        return [values[self.text == text].mean().item() for text in self.text.unique()]

    def unbroken(self, method: str) -> Tensor:
        """The share of the layers in the run of hits that ends in the last one, [n, n]."""
        return self.hits(method).flip(0).cumprod(0).mean(0)


def measure(model: Model, contexts: Contexts, maps: Sequence[LinearMap]) -> Found:
    """The contexts' states read by all three methods, in all layers."""
    target = Target.of(model, IDENTITY)
    finals = {
        "identity": (target.write(x, layer) for layer, x in enumerate(contexts.states)),
        "lens": (model.ln_final(x) for x in contexts.states),
        "affine": (model.ln_final(linear(x)) for linear, x in zip(maps, contexts.states, strict=True)),
    }
    readings = {name: Reading.of(model, own, contexts.truth) for name, own in finals.items()}
    return Found(readings, contexts.text.cpu(), contexts.truth.cpu())


def identity_error(model: Model, contexts: Contexts) -> float:
    """How far logits move, at most, if a context's state is written back to where it was read, in each layer."""
    tokens, end = contexts.tokens[0], int(contexts.ends[0])
    target, states = Target(model, tokens[:end], tokens[None, end : end + 1]), contexts.states[:, :1]
    logits = unembed(model, model.ln_final(states[-1]))
    behind = [unembed(model, target.write(x, layer)) for layer, x in enumerate(states)]
    return max((own - logits).abs().max().item() for own in behind)


def layer_metrics(found: Found) -> list[Metric]:
    """Differences between methods, of the contexts' own states and of those of other texts."""
    hits = {name: found.hits(name) for name in METHODS}
    surprisal = {name: own.surprisal for name, own in found.readings.items()}
    layers = len(hits["lens"])
    early = max(1, int(EARLY * layers))
    first, later = slice(0, early), slice(early, layers - 1)
    compared = {
        "lens": (hits["identity"] - hits["lens"])[later].mean(0),
        "affine": (hits["identity"] - hits["affine"])[later].mean(0),
        "early": (hits["identity"] - hits["lens"])[first].mean(0),
        "onset": found.unbroken("identity") - found.unbroken("lens"),
        "lens_surprisal": (surprisal["lens"] - surprisal["identity"])[later].mean(0),
        "affine_surprisal": (surprisal["affine"] - surprisal["identity"])[later].mean(0),
    }
    own = {name: found.own(values) for name, values in compared.items()}
    own |= {f"{name}_shuffled": found.shuffled(values) for name, values in compared.items()}
    for name, values in (("early_own", hits["identity"][first].mean(0)), ("late_own", hits["identity"][-2])):
        own[name] = found.own(values) - found.shuffled(values)
    last = plain("last", found.own(hits["identity"][-1]).mean().item(), len(found.truth))
    return [*(mean_of(name, found.by_text(values)) for name, values in own.items()), last]


# Attributes and descriptions


@dataclass(frozen=True)
class Asked:
    """A relation asked of m entities whose states, from G layers, were written to G layers.

    answers: the first token of each answer [m]; known: whether the model gives it when the name is spelled out (of a
    description, its own first token: whether that is not the name) [m]; plain: the token behind the prompt as it is.
    said: the token for each sentence that the states were read in, target layer, source layer and entity
    [sentences, G, G, m]; spelled: the same for states read where the relation is asked for, [1, G, G, m].
    """

    names: list[str]
    layers: list[int]
    answers: Tensor
    known: Tensor
    plain: int
    said: Tensor
    spelled: Tensor

    def gains(self, said: Tensor) -> tuple[Tensor, Tensor]:
        """The share of source layers from which some target layer gives the answer, less that of the prompt as it is:
        for an entity's own state and, as a mean, for those of entities with another answer, [m] each; unknown ones NaN.
        """
        base = (self.answers == self.plain).float()
        own, other = self._by_answer((said[..., None] == self.answers).any(1).float().mean((0, 1)))
        return own - base, other - base

    def enriched(self) -> tuple[Tensor, Tensor]:
        """Written behind blocks of the middle third: how much more often states read there give the answer than states
        of the first layer do; for own and other states, as `gains`.
        """
        right = (self.said[..., None] == self.answers).float().mean(0)  # [target, source, states, answers]
        middle = range(len(self.layers) // 3, -(-2 * len(self.layers) // 3))
        return self._by_answer(torch.stack([right[layer, layer] - right[layer, 0] for layer in middle]).mean(0))

    def _by_answer(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Of values of states and answers [m, m]: own ones, and means over states with another answer, [m] each."""
        other = (self.answers[:, None] != self.answers).float()
        unknown = torch.where(self.known, 0.0, torch.nan)
        return values.diagonal() + unknown, (values * other).sum(0) / other.sum(0) + unknown

    def by_layer(self) -> Tensor:
        """The share of known entities answered for, by target and source layer [G, G]."""
        return (self.said == self.answers)[..., self.known].float().mean((0, 3))


def evenly(layers: int, many: int) -> list[int]:
    """So many of the layers, evenly spread."""
    return sorted({(2 * k + 1) * layers // (2 * many) for k in range(many)})


def states_in(model: Model, prompt: str, names: Sequence[str], layers: Sequence[int]) -> Tensor:
    """The state at each name, in the place of {} in a prompt, behind each layer, [G, m, d]."""
    tokens, at = spelled_out(model, prompt, names)
    return states_at(model, tokens[:, : at + 1], torch.full((len(names),), at))[list(layers)]


def spelled_out(model: Model, prompt: str, names: Sequence[str]) -> tuple[Tensor, int]:
    """The prompt with each name of one token for {}, [m, tokens], and where that stands."""
    tokens = model.to_tokens(prompt.format(X)).repeat(len(names), 1)
    at = int((tokens[0] == token(model, X)).nonzero()[-1])
    tokens[:, at] = torch.tensor([token(model, name) for name in names])
    return tokens, at


def written(model: Model, target: Target, states: Tensor, layers: Sequence[int]) -> Tensor:
    """The likeliest token for the states [G, m, d] of each layer, written to each layer: [target, source, m]."""
    said = [likeliest(model, target.write(states.flatten(0, 1), layer)) for layer in layers]
    return torch.stack(said).unflatten(1, states.shape[:2])


def ask(model: Model, relation: str, grid: int, sentences: int = 1) -> Asked:
    """A relation, asked by a few-shot prompt of states from some layers written to the same layers."""
    shown, asked, column = RELATIONS[relation]
    names = of_one_token(model, ENTITIES if column is None else COUNTRIES)
    prompt, backwards = " ".join([*shown, asked]), " ".join([*reversed(shown), asked])
    layers, target = evenly(model.cfg.n_layers, grid), Target.of(model, prompt.format(X), X)
    tokens, _ = spelled_out(model, prompt, names)
    own = likeliest(model, model.ln_final(states_at(model, tokens, torch.full((len(names),), -1))[-1]))
    if column is None:
        answers, known = own, own != torch.tensor([token(model, name) for name in names]).to(own)
    else:
        answers = torch.tensor([token(model, COUNTRIES[name][column]) for name in names]).to(own)
        known = own == answers
    places = [*SENTENCES[:sentences], *([backwards] if column is not None else [])]
    said = torch.stack([written(model, target, states_in(model, place, names, layers), layers) for place in places])
    as_it_is = int(likeliest(model, model.ln_final(target.behind(len(target.blocks) - 1)[:, -1])))
    said = said.cpu()
    return Asked(names, layers, answers.cpu(), known.cpu(), as_it_is, said[:sentences], said[sentences:])


def asked_metrics(asked: dict[str, Asked]) -> list[Metric]:
    """Attributes, as means over the relations that the model knows of a country; and descriptions."""
    found = {}
    attributes = [asked[name] for name, (*_, column) in RELATIONS.items() if column is not None]
    described = asked["description"]
    by_state = {
        "attribute": [own.gains(own.said) for own in attributes],
        "enriched": [own.enriched() for own in attributes],
        "description": [described.gains(described.said)],
    }
    for name, values in by_state.items():
        found[name], found[f"{name}_other"] = (mean_of_repeats(own) for own in zip(*values, strict=True))
    found["attribute_spelled"] = mean_of_repeats([own.gains(own.spelled)[0] for own in attributes])
    return [mean_of(name, values) for name, values in found.items()]


def describe(model: Model, names: Sequence[str], layers: Sequence[int], most: int = 7) -> Tensor:
    """What is written of each name's state, put behind the layer that it was read from: tokens [G, m, most]."""
    shown, asked, _ = RELATIONS["description"]
    target = Target.of(model, " ".join([*shown, asked]).format(X), X)
    states = states_in(model, SENTENCES[0], names, layers)
    return torch.stack([target.go_on(x, layer, most) for layer, x in zip(layers, states, strict=True)]).cpu()


# What is shown


def draw(found: Found, asked: dict[str, Asked]) -> plt.Figure:
    """Precision and surprisal by layer and method, and where an attribute is read and written."""
    figure, axes = plt.subplots(1, 3, figsize=(12.5, 3.9), layout="constrained", width_ratios=(1, 1, 0.9))
    for name, words in METHODS.items():
        for panel, values in zip(axes, (found.hits(name), found.readings[name].surprisal), strict=False):
            panel.plot(found.own(values).mean(1), marker=".", label=words)
    axes[0].plot(found.shuffled(found.hits("identity")).mean(1), ":", color="grey", label="token identity, other texts")
    axes[0].set(title="Precision@1 of the next token", xlabel="block", ylim=(-0.02, 1.02))
    axes[1].set(title="Surprisal of the next token, nats", xlabel="block", ylim=(0, None))
    axes[0].legend(fontsize=8)
    shares = torch.stack([own.by_layer() for name, own in asked.items() if name != "description"]).mean(0)
    picture = axes[2].imshow(shares, origin="lower", cmap="viridis", vmin=0, vmax=max(0.1, shares.max().item()))
    ticks, names = range(len(shares)), asked["capital"].layers
    axes[2].set(title="Capital or language named", xlabel="read behind block", ylabel="written behind block")
    axes[2].set(xticks=ticks, xticklabels=names, yticks=ticks, yticklabels=names)
    axes[2].tick_params(axis="x", labelrotation=90)
    figure.colorbar(picture, ax=axes[2], label="share of known countries")
    return figure


@dataclass(frozen=True)
class Cards:
    """The explorer's cards: contexts with what each method reads of them, and entities with what is written of them."""

    model: Model
    contexts: Contexts
    found: Found
    layers: list[int]

    def explorer(self, asked: Asked, described: Tensor) -> dict[str, Any]:
        """The first context of each text, and each entity that was described, with its descriptions [G, k, tokens]."""
        firsts = [int((self.found.text == text).nonzero()[0]) for text in self.found.text.unique()]
        entities = [self._entity(asked, place, described[:, place]) for place in range(described.shape[1])]
        return {
            "title": "What a state is read as",
            "about": "Contexts, with what three methods make of the state at their end, layer by layer, each reading's "
            "three likeliest tokens; and entities, with how the model describes the state of their name.",
            "card": {"one": "state", "many": "states"},
            "filters": [{"name": "kind", "title": "Read for"}],
            "sorts": [{"name": name, "title": f"settled early: {words}"} for name, words in METHODS.items()],
            "cards": [self._context(place) for place in firsts] + entities,
        }

    def _words(self, tokens: Tensor) -> list[str]:
        found: list[str] = self.model.tokenizer.batch_decode(tokens.view(-1, 1))
        return found

    def _described(self, tokens: Tensor) -> str:
        """Up to the comma behind which the prompt would turn to another entity."""
        return "".join(self._words(tokens)).partition(",")[0].strip() or "–"

    def _context(self, place: int) -> dict[str, Any]:
        read = self._words(self.contexts.tokens[place, 1 : int(self.contexts.ends[place]) + 1])
        expected = self._words(self.found.truth[place])
        rows = [
            {"title": f"Block {layer}", "lists": {words: self._words(self.found.readings[name].top[layer, place])
                                                  for name, words in METHODS.items()}}
            for layer in self.layers
        ]  # fmt: skip
        settled = {name: round(self.found.unbroken(name)[place, place].item(), 4) for name in METHODS}
        text = {"tokens": ["".join(read[:-1]), read[-1]], "weights": [0, 1]}
        parts = [{"title": "Text", "about": "The state is read at the last token", "texts": [text]}]
        parts.append({"title": "What it is read as", "lists": rows})
        facts = [f"the model expects {expected[0]!r}"]
        return {"name": f"context {place + 1}", "facts": facts, "words": expected,
                "filters": {"kind": "next token"}, "numbers": settled, "parts": parts}  # fmt: skip

    def _entity(self, asked: Asked, place: int, described: Tensor) -> dict[str, Any]:
        rows = [
            {"title": f"Block {layer}", "lists": {"is described as": [self._described(tokens)]}}
            for layer, tokens in zip(asked.layers, described, strict=True)
        ]
        expected = self._words(asked.answers[place])
        facts = [f"the spelled name is described from {expected[0]!r} on"]
        return {"name": asked.names[place], "facts": facts, "words": expected, "filters": {"kind": "description"},
                "numbers": dict.fromkeys(METHODS), "parts": [{"title": "Description", "lists": rows}]}  # fmt: skip
