"""Trains the autoencoders that come with this project: `python -m reproductions.common.train_autoencoders --tokens N`.

The model runs once, over the corpus and over the held-out text; the activations of all sites go to files in a scratch
folder (at 2 million tokens and 12 sites of SmolLM2, 28 GB). Then one autoencoder a site is trained, judged, rounded to
8 bits and written with its card. A site that was finished from the same text by the same recipe is not trained again.
With --k or --expansion other than usual, `--out reproductions/common/siblings` is the place for them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reproductions.common.activations import SiteError, layer_of
from reproductions.common.autoencoders import overview, shipped
from reproductions.common.autoencoders.shipped import AutoencoderError
from reproductions.common.autoencoders.training import Recipe
from reproductions.common.catalogue import ModelCard, ModelError, model_card
from reproductions.common.corpus import CorpusError, digest, load_sources
from reproductions.common.files import sha256
from reproductions.common.held_out import HELD_OUT
from reproductions.common.progress import say

if TYPE_CHECKING:
    from reproductions.common.activation_files import SiteRows
    from reproductions.common.autoencoders.judging import Judge, Spliced

# Early, middle and late: two layers of the residual stream each, and what the second adds to it.
WINDOWS = {
    "smollm2-135m": (
        *(f"blocks.{layer}.hook_resid_post" for layer in (6, 7, 14, 15, 22, 23)),
        *(f"blocks.{layer}.hook_{part}_out" for layer in (7, 15, 23) for part in ("mlp", "attn")),
        "blocks.15.hook_resid_post@1",  # a second seed: how far apart two autoencoders of one site are
    )
}


@dataclass(frozen=True)
class Job:
    """One autoencoder to train."""

    site: str
    seed: int

    @classmethod
    def of(cls, text: str) -> Job:
        """A site as the command line names it, with `@seed` behind it where that is not 0."""
        site, _, seed = text.partition("@")
        layer_of(site)
        if seed and not seed.isdecimal():
            raise SiteError(f"{text!r} has no seed behind the @: write {site}@1")
        return cls(site, int(seed or 0))


@dataclass(frozen=True)
class Plan:
    """What is asked for: autoencoders of a model's sites, from so many tokens, by one recipe."""

    card: ModelCard
    jobs: tuple[Job, ...]
    tokens: int
    recipe: Recipe
    device: str
    scratch: Path
    out: Path

    def made_from(self, job: Job) -> dict[str, Any]:
        """All that a trained autoencoder depends on, as its card keeps it."""
        return {
            "model": {name: getattr(self.card, name) for name in ("name", "source", "revision", "sha256")},
            "site": job.site,
            "seed": job.seed,
            "tokens": self.tokens,
            "recipe": asdict(self.recipe),
            "texts_sha256": digest(load_sources()),
            "held_out_sha256": sha256(HELD_OUT),
        }

    def path(self, job: Job) -> Path:
        """Where the trained autoencoder goes."""
        return shipped.path_of(self.card.name, self.name(job), job.seed, self.out)

    def name(self, job: Job) -> str:
        """Its site, with what its recipe does otherwise: blocks.15.hook_resid_post.k8."""
        return ".".join(filter(None, (job.site, self.recipe.variant)))

    def is_done(self, job: Job) -> bool:
        """Whether it is there, whole, and was made from the same."""
        try:
            card = shipped.read(self.path(job))[2]
        except AutoencoderError:
            return False
        wanted = self.made_from(job)
        return {key: card.get(key) for key in wanted} == wanted


class Workshop:
    """The model and its activations, had when the first autoencoder that is to be trained asks for them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sites = list(dict.fromkeys(job.site for job in plan.jobs if not plan.is_done(job)))

    @cached_property
    def model(self) -> Any:
        """The model, on the device that was asked for."""
        from reproductions.common.models import load_model

        return load_model(self.plan.card.name, self.plan.device)

    @cached_property
    def training(self) -> dict[str, SiteRows]:
        """What autoencoders learn from."""
        from reproductions.common.activation_files import collect
        from reproductions.common.text import training_sequences

        tokens = training_sequences(self.model, self.plan.tokens)
        return collect(self.model, self.sites, tokens, self.plan.scratch / "training")

    @cached_property
    def held_out(self) -> dict[str, SiteRows]:
        """What they are judged on."""
        from reproductions.common.activation_files import collect

        return collect(self.model, self.sites, self._held_out_tokens, self.plan.scratch / "held_out")

    @cached_property
    def spliced(self) -> Spliced:
        """The model with a site's activations replaced."""
        from reproductions.common.autoencoders.judging import LOSS_SEQUENCES, Spliced

        return Spliced(self.model, self._held_out_tokens[:LOSS_SEQUENCES])

    def judge(self, site: str) -> Judge:
        """Who measures what an autoencoder of the site is worth."""
        from reproductions.common.autoencoders.judging import Judge

        return Judge(site, self.training[site], self.held_out[site], self.spliced, self.device)

    @property
    def device(self) -> str:
        """Where the model really is."""
        return str(self.model.W_E.device)

    @cached_property
    def _held_out_tokens(self) -> Any:
        from reproductions.common.held_out import held_out
        from reproductions.common.text import sequences

        return sequences(self.model, (excerpt.text for excerpt in held_out()))


def run(plan: Plan) -> None:
    """Train, judge and write every autoencoder of the plan that is not done yet."""
    workshop = Workshop(plan)
    for job in plan.jobs:
        label = f"{plan.name(job)}, seed {job.seed}"
        if plan.is_done(job):
            say(f"{label}: finished before")
            continue
        started = time.monotonic()
        say(f"{label}: {_in_short(_make(workshop, job))} ({time.monotonic() - started:.0f} s)")
    overview.write(plan.card.name, plan.out)


def _in_short(card: dict[str, Any]) -> str:
    found = card["autoencoder"]
    return (
        f"explains {found['explained_variance']:.1%} of the variance, recovers {found['loss_recovered']:.1%} of the "
        f"loss, {card['dead_share']:.1%} of its latents are dead"
    )


def _make(workshop: Workshop, job: Job) -> dict[str, Any]:
    """One autoencoder, trained, judged as it is shipped, and written; returns its card."""
    from reproductions.common.autoencoders.judging import card_of
    from reproductions.common.autoencoders.loading import as_topk
    from reproductions.common.autoencoders.training import train

    plan, rows = workshop.plan, workshop.training[job.site]
    weights = train(rows.load(), plan.recipe, plan.name(job), job.seed, workshop.device)
    rounded, full = (
        as_topk(version, plan.recipe.k, plan.card.name, job.site, workshop.device)
        for version in (shipped.as_shipped(weights), weights)
    )
    rate, worth = card_of(workshop.judge(job.site), rounded, full)
    d_in, d_sae = weights.W_enc.shape
    card = plan.made_from(job) | {
        "architecture": "topk",
        "d_in": d_in,
        "d_sae": d_sae,
        "k": plan.recipe.k,
        "rows": rows.rows,
        "outliers_dropped": rows.dropped,
        "outlier_norm": rows.limit,
        "steps": plan.recipe.steps(rows.rows),
        "packages": {name: version(name) for name in ("sae-lens", "torch", "transformer-lens")},
        **worth,
    }
    shipped.write(plan.path(job), weights, rate, card)
    return card


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reproductions.common.train_autoencoders", description=__doc__)
    parser.add_argument("--tokens", type=int, required=True, help="how many tokens of the corpus to train on")
    parser.add_argument("--model", default="smollm2-135m", help="a model of models.yml, or owner/name of the hub")
    parser.add_argument("--sites", nargs="+", metavar="SITE[@SEED]", help="default: three windows of smollm2-135m")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--epochs", type=int, default=1, help="how often each token is seen")
    parser.add_argument("--k", type=int, default=Recipe.k, help="active latents a token")
    parser.add_argument("--expansion", type=int, default=Recipe.expansion, help="latents a dimension")
    parser.add_argument("--scratch", type=Path, default=Path("build/activations"), help="where activations are kept")
    parser.add_argument("--out", type=Path, default=shipped.FOLDER, help="where autoencoders are written")
    return parser


def plan_of(options: argparse.Namespace) -> Plan:
    """The plan that the command line asks for.

    Raises:
        ModelError, SiteError: it names a model or a site that does not exist.
    """
    card = model_card(options.model)
    sites = options.sites or WINDOWS.get(card.name)
    if sites is None:
        raise SiteError(f"there are no default sites for {card.name}: name them with --sites")
    return Plan(
        card=card,
        jobs=tuple(map(Job.of, sites)),
        tokens=options.tokens,
        recipe=Recipe(k=options.k, expansion=options.expansion, epochs=options.epochs),
        device=options.device,
        scratch=options.scratch,
        out=options.out,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every autoencoder is there, else 1 and one line on stderr."""
    try:
        run(plan_of(_parser().parse_args(arguments)))
    except (AutoencoderError, CorpusError, ModelError, SiteError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped: finished sites are kept, and the same command goes on from there")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
