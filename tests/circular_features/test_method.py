"""Orders, planes and circularity against brute force and known answers; states and writes against plain passes."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from reproductions.circular_features import method
from reproductions.circular_features.method import (
    answers,
    circle_write,
    circularity,
    cyclic_orders,
    moved,
    planes,
    planted,
    project,
    prompts,
    search,
    unit_circle,
    word_states,
)
from reproductions.common import explorers
from reproductions.common.errors import UserError
from tests.circular_features.planted import TEMPLATES, WORDS, bow, heptagon_model, noise, states
from tests.head_mapping.tiny import tiny_gemma, tiny_gpt2, tiny_llama

MODELS = {"llama": tiny_llama, "gpt2": tiny_gpt2, "gemma": tiny_gemma}


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return MODELS[request.param]()


# Orders


def seen_from_anywhere(order):
    """An order as words in a row, the same for each of its turned and mirrored forms."""
    row = sorted(range(len(order)), key=lambda word: order[word])
    forms = [way[k:] + way[:k] for way in (row, row[::-1]) for k in range(len(row))]
    return tuple(min(forms))


@pytest.mark.parametrize("n", [4, 5, 6])
def test_every_cyclic_order_is_there_once(n):
    found = [seen_from_anywhere(order) for order in cyclic_orders(n, 1000).tolist()]
    every = {seen_from_anywhere(order) for order in itertools.permutations(range(n))}
    assert len(found) == len(set(found)) == math.factorial(n) // (2 * n)
    assert set(found) == every


def test_seven_words_have_360_orders_and_the_known_one_is_first():
    orders = cyclic_orders(7, 360)
    assert orders.shape == (360, 7)
    assert orders[0].tolist() == list(range(7))


def test_of_too_many_orders_some_are_drawn():
    orders = cyclic_orders(12, 50, seed=3)
    assert orders.shape == (51, 12)
    assert orders[0].tolist() == list(range(12))
    assert (orders.sort(dim=1).values == torch.arange(12)).all()
    assert not torch.equal(orders[1:], cyclic_orders(12, 50, seed=4)[1:])


# Circularity


def by_hand(points, order):
    """C from NumPy's Fourier transform of the points in the order's row."""
    row = np.argsort(order)
    power = np.abs(np.fft.fft(points[row])) ** 2
    return max(power[1], power[-1]) / power[1:].sum()


def test_circularity_is_what_a_fourier_transform_says():
    points = torch.complex(noise(7, seed=1), noise(7, seed=2))
    points = points - points.mean()
    orders = cyclic_orders(7, 360)
    expected = [by_hand(points.numpy(), order) for order in orders.tolist()]
    assert circularity(points, orders).numpy() == pytest.approx(np.array(expected), abs=1e-5)


@pytest.mark.parametrize("n", [5, 7, 12])
def test_a_regular_polygon_has_1_in_its_order_alone_turned_mirrored_and_scaled(n):
    polygon = torch.view_as_complex(3 * unit_circle(torch.arange(n)))
    orders = cyclic_orders(n, 1000)
    for points in (polygon, polygon * 1j, polygon.conj()):
        found = circularity(points, orders)
        assert found[0] == pytest.approx(1)
        assert found[1:].max() < 0.999


def test_no_line_has_more_than_a_half_in_any_order():
    swing = (2 * math.pi * torch.arange(7) / 7).cos()
    for line in (torch.linspace(-1, 1, 7), swing, noise(7)):
        points = (line - line.mean()) * torch.tensor(1 + 2j)
        assert circularity(points, cyclic_orders(7, 360)).max() <= 0.5 + 1e-6
    assert circularity(torch.complex(swing, 0 * swing), cyclic_orders(7, 360))[0] == pytest.approx(0.5)


def test_planes_are_those_of_neighbouring_principal_components():
    cloud = noise(3, 7, 24)
    found = planes(cloud)
    assert found.shape == (3, 4, 2, 24)
    for layer, own in enumerate(cloud.numpy()):
        values, vectors = np.linalg.eigh(np.cov(own.T))
        for plane in range(4):
            axes = vectors[:, np.argsort(values)[::-1][plane : plane + 2]]
            ours = found[layer, plane].numpy()
            assert ours.T @ ours == pytest.approx(axes @ axes.T, abs=1e-4)


# The search


def test_a_planted_circle_is_found_whatever_its_order():
    dealt = torch.tensor([3, 0, 5, 1, 6, 2, 4])
    ring = planted(states())
    found = search(ring, cyclic_orders(7, 360))
    assert found.p == pytest.approx(1 / 360)
    assert found.margins.min() > 0
    assert found.closing.min() > 0
    elsewhere = search(ring[:, :, dealt], cyclic_orders(7, 360))
    assert elsewhere.p > 0.05
    assert elsewhere.margins.max() < 0


def test_the_block_with_the_circle_is_chosen_and_seen_where_it_is():
    cloud = states(layers=4)
    cloud[:, 2] = planted(cloud)[:, 2]
    found = search(cloud, cyclic_orders(7, 360))
    assert found.layer == 2
    assert found.by_layer.mean(0).argmax() == 2
    assert (found.by_layer.mean(0) > found.line).tolist() == [False, False, True, False]
    points = project(cloud[1::2].mean(0), found.axes)  # the mean of projections is the projection of the mean
    assert torch.view_as_complex(found.points) == pytest.approx(points, abs=1e-5)


def test_what_chooses_does_not_measure():
    """A circle in the sentences that choose, and in no other, is none."""
    cloud = states()
    cloud[::2] = planted(cloud)[::2]
    assert search(cloud, cyclic_orders(7, 360)).margins.mean() < 0
    cloud[1::2] = planted(cloud)[1::2]
    assert search(cloud, cyclic_orders(7, 360)).margins.mean() > 0


def test_the_bow_of_a_line_passes_for_round_but_is_open():
    found = search(bow(12), cyclic_orders(12, 1000))
    assert found.p < 0.01
    assert found.closing.max() < -0.5


def test_orders_that_may_search_too_are_beaten_by_chance_in_one_case_of_twenty():
    """And in far more if only the known order may choose: the fault that the search in the null is there for."""
    orders, fair, unfair = cyclic_orders(7, 360), 0, 0
    for seed in range(200):
        cloud = states(templates=4, seed=1000 + 10 * seed)
        found = search(cloud, orders)
        fair += float(found.margins.mean()) > 0
        own_plane = circularity(project(cloud[1::2].mean(0)[found.layer], found.axes[found.layer]), orders)
        unfair += bool(own_plane[0] > own_plane.quantile(0.95))
    assert 2 <= fair <= 18
    assert unfair > 30


# States


@torch.no_grad()
def test_states_are_those_behind_each_block(model):
    found = word_states(model, WORDS, ["w3 {} w4 w5", "w7 {}"])
    for template, (prefix, text) in enumerate((("w3", "w3 {} w4 w5"), ("w7", "w7 {}"))):
        for word, own in enumerate(WORDS):
            position = model.to_tokens(f"{prefix} {own}").shape[1] - 1
            hidden = model.original_model(model.to_tokens(text.format(own)), output_hidden_states=True).hidden_states
            for layer in range(model.cfg.n_layers - 1):  # behind the last block, transformers gives the final norm's
                assert found[template, layer, word] == pytest.approx(hidden[layer + 1][0, position], abs=1e-4)


def test_prompts_differ_in_the_word_alone(model):
    tokens, position = prompts(model, WORDS, "w12 w3 {} w4")
    assert torch.equal(tokens, torch.cat([model.to_tokens(f"w12 w3 {word} w4").cpu() for word in WORDS]))
    assert tokens[:, position].tolist() == list(range(10, 17))


def test_a_word_of_several_tokens_is_named(model):
    with pytest.raises(UserError, match="w8 w9"):
        prompts(model, ["w7", "w8 w9"], "w3 {}")


def test_answers_are_the_models_logits(model):
    tokens = model.to_tokens("w3 w4 w5").cpu()
    logits = model.original_model(tokens).logits[0, -1]
    assert answers(model, WORDS, tokens)[0] == pytest.approx(logits[10:17].detach(), abs=1e-4)


# Writes


@pytest.fixture
def asking(monkeypatch):
    """Ask about WORDS in templates of a test's own."""

    def ask(templates):
        monkeypatch.setattr(method, "RINGS", {"days": WORDS})
        monkeypatch.setattr(method, "NEXT", [template.replace("{}", "{{}}") for template in templates])

    return ask


@pytest.fixture
def two_components(monkeypatch):
    """Words that are on a circle and vary no other way have two components; a third would be what rounding makes it."""
    monkeypatch.setattr(method, "COMPONENTS", 2)


def test_a_probe_reads_the_angle_that_was_written():
    """P W (W^T P^+ circle) = circle."""
    cloud = planted(states(layers=2))
    W, write = circle_write(cloud, torch.arange(7))
    rows = (cloud - cloud.mean(2, keepdim=True)).transpose(0, 1).flatten(1, 2)
    for layer in range(2):
        coordinates = rows[layer] @ W[layer].T
        probe = np.linalg.lstsq(coordinates.numpy(), np.tile(unit_circle(torch.arange(7)), (12, 1)), rcond=None)[0]
        assert (write[layer] @ W[layer].T).numpy() @ probe == pytest.approx(
            unit_circle(torch.arange(7)).numpy(), abs=1e-4
        )


def test_where_words_are_on_a_circle_what_is_written_is_where_they_are(two_components):
    polygon = (unit_circle(torch.arange(7)) @ torch.linalg.qr(noise(24, 2)).Q.T).expand(6, 1, -1, -1)
    assert circle_write(polygon, torch.arange(7))[1] == pytest.approx(polygon[0], abs=1e-4)


@torch.no_grad()
def test_a_whole_state_that_is_written_is_a_plain_edit_of_the_pass(model, asking):
    """Block 0 of the original model with its output replaced by a hook of PyTorch's own, row by row."""
    templates = ["w3 {} w4", "w5 {} w6 w7"]
    asking(templates)
    found = moved(model, "days", [0], others=2)
    tokens, position = prompts(model, WORDS, templates[1])
    layers = model.original_model.base_model
    block = (layers.h if hasattr(layers, "h") else layers.layers)[0]
    own = word_states(model, WORDS, templates[1:])[0, 0]
    leads = []
    for word in range(7):
        written = (word + 3) % 7

        def put(module, inputs, output, written=written):
            states = (output[0] if isinstance(output, tuple) else output).clone()
            states[:, position] = own[written]
            return (states, *output[1:]) if isinstance(output, tuple) else states

        handle = block.register_forward_hook(put)
        logits = model.original_model(tokens[word : word + 1]).logits[0, -1, 10:17]
        handle.remove()
        leads.append(logits[(written + 1) % 7] - logits[(word + 1) % 7])
    assert found[0, 0, 3] == pytest.approx(float(torch.stack(leads).mean()), abs=1e-4)


def test_where_the_angle_is_all_there_is_the_write_does_what_the_whole_state_does(asking, two_components):
    asking(TEMPLATES)
    leads = moved(heptagon_model(), "days", [0, 1, 2], others=359, shift=0).mean(0)  # the answer is the word itself
    angle, order, components, state = leads.unbind(1)
    assert angle == pytest.approx(state, rel=1e-3)
    assert components == pytest.approx(state, rel=1e-3)
    assert (state > 1).all()
    assert order[0] < 0.9 * angle[0]
    assert order[1:].isnan().all()  # other orders are tried in one block alone


def test_an_answer_that_was_never_asked_for_does_not_lead(asking, two_components):
    """The wrong neighbour as the answer: what is written on one side of the ring cannot lead on the other."""
    asking(TEMPLATES)
    right = moved(heptagon_model(), "days", [0], others=1, shift=0)
    wrong = moved(heptagon_model(), "days", [0], others=1, shift=4)
    assert right[..., 0].min() > 0 > wrong[..., 0].max()


# From early to late


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_turn_of_the_ring_is_told_in_places_and_in_the_calendars_direction(monkeypatch, mirrored):
    axes = torch.linalg.qr(noise(24, 2)).Q.T
    by_place = {phrase: 0.3 * k for phrase, k in zip(method.EARLY_LATE, (0, 1, 0, 1), strict=True)}

    def turned_states(model, words, templates):
        angles = torch.stack([torch.arange(7) + by_place.get(own, 0.0) for own in templates])
        corners = torch.stack([unit_circle(own) for own in angles])
        return (corners @ axes + noise(24, seed=9))[:, None]

    monkeypatch.setattr(method, "word_states", turned_states)
    circle = search(turned_states(None, None, ["x"] * 6), cyclic_orders(7, 360))
    if mirrored:
        flip = torch.tensor([1.0, -1.0])
        circle = replace(circle, axes=circle.axes * flip[:, None], points=circle.points * flip)

    class OneBlock:
        class cfg:  # noqa: N801
            n_layers = 1

    late, neutral, neighbours = method.turned(OneBlock, circle)
    assert late.units == pytest.approx([0.3] * 7, abs=1e-3)
    assert neutral.units == pytest.approx([0] * 7, abs=1e-3)
    assert neighbours.units == pytest.approx([2] * 7, abs=1e-3)


# What is reported


def test_curves_are_what_the_explorer_draws():
    found = {"days": {"ring": search(planted(states()), cyclic_orders(7, 360))}}
    content = explorers.check("curves", method.curves(found))
    assert content["x"]["values"] == [0, 1, 2]
    assert content["series"][0]["values"] == pytest.approx(found["days"]["ring"].by_layer.mean(0).tolist())


def test_the_figure_has_a_row_for_each_ring():
    circle = search(planted(states()), cyclic_orders(7, 360))
    figure = method.draw({"days": circle, "numbers": circle})
    assert len(figure.axes) == 8
    assert "Mon" in {text.get_text() for text in figure.axes[0].texts}
    assert "one" in {text.get_text() for text in figure.axes[4].texts}
