"""Interventions in one layer, held against the whole model run anew for each of them."""

import pytest
import torch

from reproductions.common.activations import Reader
from reproductions.common.edits import Edited
from reproductions.feature_flow import deactivation
from reproductions.feature_flow.deactivation import Rerun, ceiling, control, everything, outcomes, removal, sweep
from reproductions.feature_flow.groups import active_cases, sample
from reproductions.feature_flow.method import AFTER, MODULES, NONE
from tests.common.tiny_bridge import tiny_gemma, tiny_llama
from tests.feature_flow.tiny_window import random_predecessors, tiny_texts, tiny_window
from tests.head_mapping.tiny import tiny_gpt2


@pytest.fixture(scope="module", params=["llama", "gemma", "gpt2"])
def model(request, tmp_path_factory):
    if request.param == "gpt2":
        return tiny_gpt2()
    return {"llama": tiny_llama, "gemma": tiny_gemma}[request.param](tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def window(model):
    return tiny_window(model)


@pytest.fixture(scope="module")
def found(model, window):
    return sample(model, [window], tiny_texts(), per_text=3)[0]


@pytest.fixture(scope="module")
def cases(found):
    return active_cases(found, random_predecessors())


def edited_one_by_one(model, window, found, removed):
    """R_L's codes [n, latents]: for each case, the text up to its token and one edit."""
    codes = []
    for case in range(len(removed)):
        row, position = found.row[removed.cases.token[case]], int(found.position[removed.cases.token[case]])
        changes = removed.select(torch.tensor([case])).changes(window)[0]

        def edit(values, change):
            values = values.clone()
            values[:, -1] += change
            return values

        edits = {
            site: lambda values, change=change: edit(values, change)
            for site, change in zip(window.sites[:3], changes, strict=True)
        }
        tokens = found.texts.tokens[row : row + 1, : position + 1]
        with Edited(model, edits), Reader(model, [window.after.site]) as reader:
            codes.append(window.after.codes(reader.read(tokens)[window.after.site][:, -1])[0])
    return torch.stack(codes)


def test_many_interventions_in_a_pass_are_those_made_one_at_a_time(model, window, found, cases):
    removed = removal(found, cases, random_predecessors(k=5))
    result = outcomes(Rerun(model, window, found), {"all": removed})["all"]
    codes = edited_one_by_one(model, window, found, removed)
    plain = codes.gather(1, cases.target[:, None])[:, 0]
    assert removed.any.sum() > 10 and torch.equal(~result.after.isnan(), removed.any)
    torch.testing.assert_close(result.after[removed.any], plain[removed.any], atol=1e-4, rtol=1e-4)
    assert result.deactivated.nanmean() not in (0, 1)
    assert (result.after - result.before)[removed.any].abs().max() > 0.01


def test_what_is_not_removed_stays_as_it_was(model, window, found, cases):
    removed = removal(found, cases, random_predecessors(k=5)).scaled(1.0)
    result = outcomes(Rerun(model, window, found), {"nothing": removed})["nothing"]
    torch.testing.assert_close(result.after[removed.any], result.before[removed.any], atol=1e-4, rtol=1e-4)
    assert result.change.nanmean().abs() < 1e-4


def test_methods_keep_their_own_outcomes_when_they_go_together(model, window, found, cases):
    methods = {f"top {k}": removal(found, cases, random_predecessors(k=k, seed=k)) for k in (1, 5)}
    together = outcomes(Rerun(model, window, found), methods)
    for name, method in methods.items():
        alone = outcomes(Rerun(model, window, found), {name: method})[name]
        torch.testing.assert_close(together[name].after, alone.after, atol=1e-4, rtol=1e-4, equal_nan=True)
        assert torch.equal(together[name].modules, (method.latents != NONE).any(-1).sum(1))


def test_a_module_alone_is_changed_where_it_is_alone(window, found, cases):
    removed = removal(found, cases, random_predecessors(k=5))
    changes = removed.changes(window)
    for number, module in enumerate(MODULES):
        only = removed.only(module).changes(window)
        assert torch.equal(only[:, number], changes[:, number]) and changes[:, number].any()
        assert not only[:, [other for other in range(3) if other != number]].any()


def test_only_some_cases_are_changed(window, found, cases):
    removed = removal(found, cases, random_predecessors(k=5))
    rows = removed.modules > 1
    few = removed.where(rows)
    assert torch.equal(few.any, rows) and rows.any() and (removed.any & ~rows).any()
    assert torch.equal(few.changes(window)[rows], removed.changes(window)[rows])
    assert not few.changes(window)[~rows].any()


def test_a_removal_takes_the_latent_away(window, found, cases):
    """h - a v, by hand."""
    removed = removal(found, cases, random_predecessors())
    changes = removed.changes(window)
    for case in range(len(cases)):
        for number, module in enumerate(MODULES):
            latent = int(random_predecessors()[module].source[cases.target[case]])
            a = found.codes[module][cases.token[case], latent]
            torch.testing.assert_close(changes[case, number], -a * window.modules[number].directions[latent])


def test_the_control_is_another_active_latent_of_nearly_equal_activation(found, cases):
    removed = removal(found, cases, random_predecessors())
    drawn = control(found, removed, torch.Generator().manual_seed(0))
    there = removed.latents != NONE
    assert there.any()
    for case, module, slot in there.nonzero().tolist():
        codes = found.codes[MODULES[module]][cases.token[case]]
        latent = drawn.latents[case, module, slot]
        assert codes[latent] > 0 and latent != removed.latents[case, module, slot]
        assert drawn.activations[case, module, slot] == codes[latent]
        nearer = (codes - removed.activations[case, module, slot]).abs()[codes > 0] < (
            drawn.activations[case, module, slot] - removed.activations[case, module, slot]
        ).abs()
        assert nearer.sum() <= deactivation.ALIKE
    assert (drawn.latents[~there] == NONE).all()


def test_the_ceiling_is_the_best_of_all_single_removals(model, window, found, cases):
    few = cases.select(torch.arange(8))
    best = ceiling(Rerun(model, window, found), few)
    for case in range(len(few)):
        trials = deactivation._one_by_one(found, few.token[[case]])
        codes = edited_one_by_one(model, window, found, trials)
        after = codes[:, few.target[case]]
        torch.testing.assert_close(best.after[case], after.min(), atol=1e-4, rtol=1e-4)


def test_everything_is_what_is_active_in_the_three_places(window, found, cases):
    whole = everything(found, cases)
    for case in range(len(cases)):
        for number, module in enumerate(MODULES):
            latents = whole.latents[case, number]
            there = found.codes[module][cases.token[case]].nonzero()[:, 0]
            assert sorted(latents[latents != NONE].tolist()) == there.tolist()


def test_an_outcome_of_some_cases_is_unknown_for_the_others(model, window, found, cases):
    rows = torch.tensor([4, 1])
    part = outcomes(Rerun(model, window, found), {"": removal(found, cases.select(rows), random_predecessors(k=5))})[""]
    whole = part.spread(rows, len(cases))
    assert torch.equal(whole.after[rows].nan_to_num(-1), part.after.nan_to_num(-1))
    assert torch.equal(whole.modules[rows], part.modules)
    others = torch.ones(len(cases), dtype=torch.bool).index_fill(0, rows, False)
    assert whole.after[others].isnan().all() and whole.deactivated[others].isnan().all()


def test_a_sweep_passes_through_the_clean_run_and_the_removal(model, window, found, cases):
    removed = removal(found, cases, random_predecessors(k=5))
    ratios = sweep(Rerun(model, window, found), removed, (-2.0, 0.0, 1.0))
    done = removed.any
    torch.testing.assert_close(ratios[1.0][done], torch.ones(int(done.sum())), atol=1e-3, rtol=1e-3)
    after = outcomes(Rerun(model, window, found), {"removed": removed})["removed"]
    torch.testing.assert_close(1 - ratios[0.0], after.change, equal_nan=True, atol=1e-3, rtol=1e-3)
    assert ratios[-2.0][~done].isnan().all()


def test_the_model_is_as_it_was_afterwards(model, window, found, cases):
    tokens = found.texts.tokens
    before = model.original_model(tokens).logits
    outcomes(Rerun(model, window, found), {"all": removal(found, cases, random_predecessors())})
    assert torch.equal(model.original_model(tokens).logits, before)
    assert (found.codes[AFTER] > 0).any()
