"""Interventions in one layer, held against the whole model run anew for each of them."""

import pytest
import torch

from reproductions.common.activations import Reader
from reproductions.common.edits import Edited
from reproductions.feature_flow import deactivation
from reproductions.feature_flow.deactivation import ceiling, control, next_losses, outcomes, removal, sweep
from reproductions.feature_flow.groups import active_cases, sample
from reproductions.feature_flow.matching import MODULES, NONE
from reproductions.feature_flow.windows import AFTER
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
    """R_L's codes [n, latents] and the next token's loss [n]: for each case, the text up to its token and one edit."""
    codes, losses = [], []
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
            logits = model.original_model(tokens).logits[0, -1]
        following = found.texts.tokens[row, position + 1] if position + 1 < found.texts.tokens.shape[1] else None
        losses.append(torch.nan if following is None else -logits.log_softmax(-1)[following].item())
    return torch.stack(codes), torch.tensor(losses)


def test_many_interventions_in_a_pass_are_those_made_one_at_a_time(model, window, found, cases):
    removed = removal(found, cases, random_predecessors(k=5))
    result = outcomes(model, window, found, {"all": removed})["all"]
    codes, _ = edited_one_by_one(model, window, found, removed)
    plain = codes.gather(1, cases.target[:, None])[:, 0]
    assert result.done.sum() > 10 and torch.equal(result.done, removed.any)
    torch.testing.assert_close(result.after[result.done], plain[result.done], atol=1e-4, rtol=1e-4)
    assert result.deactivated.nanmean() not in (0, 1)
    assert (result.after - result.before)[result.done].abs().max() > 0.01


def test_what_is_not_removed_stays_as_it_was(model, window, found, cases):
    removed = removal(found, cases, random_predecessors(k=5)).scaled(1.0)
    result = outcomes(model, window, found, {"nothing": removed})["nothing"]
    torch.testing.assert_close(result.after[result.done], result.before[result.done], atol=1e-4, rtol=1e-4)
    assert result.change.nanmean().abs() < 1e-4


def test_methods_keep_their_own_outcomes_when_they_go_together(model, window, found, cases):
    methods = {f"top {k}": removal(found, cases, random_predecessors(k=k, seed=k)) for k in (1, 5)}
    together = outcomes(model, window, found, methods)
    for name, method in methods.items():
        alone = outcomes(model, window, found, {name: method})[name]
        torch.testing.assert_close(together[name].after, alone.after, atol=1e-4, rtol=1e-4, equal_nan=True)
        assert together[name].coverage == method.any.float().mean().item()


def test_a_module_alone_is_changed_where_it_is_alone(window, found, cases):
    removed = removal(found, cases, random_predecessors(k=5))
    changes = removed.changes(window)
    for number, module in enumerate(MODULES):
        only = removed.only(module).changes(window)
        assert torch.equal(only[:, number], changes[:, number]) and changes[:, number].any()
        assert not only[:, [other for other in range(3) if other != number]].any()


def test_a_removal_takes_the_latent_away(window, found, cases):
    """h - a v, by hand."""
    removed = removal(found, cases, random_predecessors())
    changes = removed.changes(window)
    for case in range(len(cases)):
        for number, module in enumerate(MODULES):
            latent = int(getattr(random_predecessors(), module).source[cases.target[case]])
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
    best = ceiling(model, window, found, few)
    for case in range(len(few)):
        trials = deactivation._one_by_one(found, few.token[[case]])
        codes, _ = edited_one_by_one(model, window, found, trials)
        after = codes[:, few.target[case]]
        torch.testing.assert_close(best.outcome.after[case], after.min(), atol=1e-4, rtol=1e-4)
        name = MODULES[int(best.module[case])]
        assert found.codes[name][few.token[case], best.latent[case]] > 0
        chosen = (trials.latents[:, best.module[case], 0] == best.latent[case]).nonzero()[0, 0]
        torch.testing.assert_close(after[chosen], after.min(), atol=1e-4, rtol=1e-4)


def test_a_sweep_passes_through_the_clean_run_and_the_removal(model, window, found, cases):
    removed = removal(found, cases, random_predecessors(k=5))
    ratios = sweep(model, window, found, removed, (-2.0, 0.0, 1.0))
    done = removed.any
    torch.testing.assert_close(ratios[1.0][done], torch.ones(int(done.sum())), atol=1e-3, rtol=1e-3)
    after = outcomes(model, window, found, {"removed": removed})["removed"]
    torch.testing.assert_close(1 - ratios[0.0], after.change, equal_nan=True, atol=1e-3, rtol=1e-3)
    assert ratios[-2.0][~done].isnan().all()


def test_the_loss_of_the_next_token_is_that_of_the_whole_model_edited(model, window, found, cases):
    removed = removal(found, cases, random_predecessors(k=5))
    half = removed.scaled(0.5)
    methods = next_losses(model, window, found, {"half": half, "removed": removed})
    losses = methods["removed"]
    _, edited = edited_one_by_one(model, window, found, removed)
    _, clean = edited_one_by_one(model, window, found, removed.scaled(1.0))
    torch.testing.assert_close(losses.edited, edited, atol=1e-3, rtol=1e-4, equal_nan=True)
    torch.testing.assert_close(losses.clean, clean, atol=1e-3, rtol=1e-4, equal_nan=True)
    assert (edited - clean)[removed.any].abs().nanmean() > 0.01
    _, edited = edited_one_by_one(model, window, found, half)
    torch.testing.assert_close(methods["half"].edited, edited, atol=1e-3, rtol=1e-4, equal_nan=True)


def test_values_are_averaged_text_by_text(found, cases):
    values = found.row[cases.token].float()
    values[0] = torch.nan
    assert deactivation.by_text(found, cases, values) == found.row.unique().tolist()


def test_the_model_is_as_it_was_afterwards(model, window, found, cases):
    tokens = found.texts.tokens
    before = model.original_model(tokens).logits
    outcomes(model, window, found, {"all": removal(found, cases, random_predecessors())})
    assert torch.equal(model.original_model(tokens).logits, before)
    assert (found.codes[AFTER] > 0).any()
