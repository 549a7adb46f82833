"""How much sooner many interventions come together than one at a time, in one run, with equal results.

One at a time: for each intervention the text up to its token runs through the model again, as far as R_L. Together: all
that a token is given run through layer L alone. `tools/test tests/benchmarks -s` prints the figures; only the ratio and
the equality are asserted.
"""

import time

import pytest
import torch

from reproductions.common.activations import Reader
from reproductions.common.autoencoders.loading import as_topk
from reproductions.common.autoencoders.shipped import Weights
from reproductions.common.edits import Edited
from reproductions.common.held_out import held_out
from reproductions.common.latents import Dictionary
from reproductions.common.models import load_model
from reproductions.feature_flow.deactivation import Rerun, outcomes, removal
from reproductions.feature_flow.groups import active_cases, held_out_texts, sample
from reproductions.feature_flow.method import directions, predecessors
from reproductions.feature_flow.windows import Window, window_sites

LAYER, LATENTS, K = 7, 2304, 32
PLAIN = 24  # interventions that are also made one at a time
MATCHES = 40  # a module, so that most targets have an active one: random latents have no true predecessors
LEAST_RATIO = 10  # asserted; two idle cores show far more, and other work on the machine takes its share


def random_window(model):
    """Random autoencoders as large as those that come with this project."""
    width, found = model.cfg.d_model, []
    for seed, site in enumerate(window_sites(LAYER)):
        rows = directions(torch.randn(LATENTS, width, generator=torch.Generator().manual_seed(seed)))
        weights = Weights(rows.T.contiguous(), torch.zeros(LATENTS), rows, torch.zeros(width))
        found.append(Dictionary(site, as_topk(weights, K, "smollm2-135m", site, "cpu")))
    return Window(*found)


def adding(change):
    return lambda values: torch.cat([values[:, :-1], values[:, -1:] + change], dim=1)


def one_at_a_time(model, window, found, removed):
    """The activation of each target [n] after its intervention."""
    after = []
    with Reader(model, [window.after.site]) as reader:
        for case in range(len(removed)):
            number = removed.cases.token[case]
            tokens = found.texts.tokens[found.row[number], : found.position[number] + 1]
            changes = removed.select(torch.tensor([case])).changes(window)[0]
            with Edited(model, dict(zip(window.sites[:3], map(adding, changes), strict=True))):
                values = reader.read(tokens[None])[window.after.site][:, -1]
            after.append(window.after.codes(values)[0, removed.cases.target[case]])
    return torch.stack(after)


def timed(function, *arguments):
    started = time.perf_counter()
    return function(*arguments), time.perf_counter() - started


@pytest.mark.model
def test_many_interventions_go_together():
    model = load_model(device="cpu")
    window = random_window(model)
    found = sample(model, [window], held_out_texts(model, held_out(), 2), per_text=3)[0]
    matched = predecessors(window.after.directions, window.sources, k=MATCHES)
    cases = active_cases(found, matched)
    removed = removal(found, cases, matched)
    removed = removed.select(removed.any)
    chosen = torch.linspace(0, len(removed) - 1, PLAIN).long()
    few = removed.select(chosen)
    one_at_a_time(model, window, found, few.select(torch.tensor([0])))  # warm up
    together, together_s = timed(outcomes, Rerun(model, window, found), {"removed": removed})
    plain, plain_s = timed(one_at_a_time, model, window, found, few)
    torch.testing.assert_close(together["removed"].after[chosen], plain, atol=1e-3, rtol=1e-3)
    assert (plain - together["removed"].before[chosen]).abs().max() > 0.1
    ratio = (plain_s / PLAIN) / (together_s / len(removed))
    print(
        f"\n{len(removed)} interventions together {together_s:.2f} s, {PLAIN} one at a time {plain_s:.2f} s: "
        f"{1e3 * together_s / len(removed):.2f} against {1e3 * plain_s / PLAIN:.0f} ms each, {ratio:.0f} times"
    )
    assert ratio > LEAST_RATIO
