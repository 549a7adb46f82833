"""A run to be: everything it needs, checked before anything is started."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from picks.run.dependence import reads_autoencoders
from picks.run.parameters import Parameter, choose_model, load_schema, resolve
from picks.run.reproductions import Reproduction, find
from reproductions.common.catalogue import ModelCard, model_card
from reproductions.common.claims import Claims, load_claims
from reproductions.common.dictionaries import OwnAutoencoder, by_site, named
from reproductions.common.errors import UserError

PATIENCE = 4  # deadlines; a run that is getting on, on a busy or slow machine, ends so late
RELEASED = re.compile(r"[\w.-]+/[\w.-]+")  # an autoencoder of the hub, as SAELens names it


@dataclass(frozen=True)
class Plan:
    """What to run, on what, with which parameters, for how long.

    seconds: the deadline, past which a run that is getting on goes on until `end`.
    needs: the parts that the model must have.
    autoencoders: the user's, in place of those that come along.
    """

    root: Path
    reproduction: Reproduction
    claims: Claims
    model: ModelCard
    profile: str
    parameters: Mapping[str, Parameter]
    device: str
    seconds: float
    end: float
    needs: tuple[str, ...] = ()
    autoencoders: tuple[OwnAutoencoder, ...] = ()

    def injected(self, folder: Path) -> dict[str, Any]:
        """What the notebook's `parameters` cell is followed by."""
        values = {name: parameter.value for name, parameter in self.parameters.items()}
        return values | {"model": self.model.name, "device": self.device, "out": str(folder), "profile": self.profile}


def make_plan(root: Path, options: Namespace) -> Plan:
    """Check everything that was asked.

    Raises:
        UserError, ClaimError, ModelError: it cannot be run; the message says why.
    """
    reproduction = find(root, options.paper)
    schema = load_schema(reproduction.file)
    parameters = resolve(schema, options.profile, options.parameters, reproduction.name)
    autoencoders = tuple(by_site([named(text) for text in options.saes]).values())
    brought = bool(autoencoders) or any(map(RELEASED.search, options.parameters.values()))
    chosen = choose_model(schema, options.model, reproduction.name, brings_autoencoders=brought)
    if autoencoders and not reads_autoencoders(reproduction):
        raise UserError(f"{reproduction.name} reads no autoencoders; leave out --sae")
    model = model_card(chosen)
    deadline = schema.deadline[options.profile]
    return Plan(
        root=root,
        reproduction=reproduction,
        claims=load_claims(reproduction.file),
        model=model,
        profile=options.profile,
        parameters=parameters,
        device=options.device,
        seconds=options.timeout or deadline,
        end=options.timeout or PATIENCE * deadline,
        needs=schema.parts,
        autoencoders=autoencoders,
    )
