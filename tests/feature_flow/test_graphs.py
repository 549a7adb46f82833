"""Flow graphs of two layers made by hand."""

import random
from dataclasses import replace

import pytest
import torch

from reproductions.feature_flow.graphs import PAPER, Edge, FlowGraph, GraphError, Node, Step, Window
from reproductions.feature_flow.method import NONE, Matches, Predecessors, Sources, directions, predecessors
from reproductions.feature_flow.taxonomy import Thresholds

HALF = Thresholds(0.5, 0.5, 0.5)
SITES = ["R0", "A1", "M1", "R1", "A2", "M2", "R2"]


def matches(*pairs: tuple[int, float], n_sources: int) -> Matches:
    indices, scores = zip(*pairs, strict=True)
    return Matches(torch.tensor(scores)[:, None], torch.tensor(indices)[:, None], n_sources)


@pytest.fixture
def window() -> Window:
    """R1 has three latents and R2 two; each row tells a latent's match in the source and its score."""
    first = Predecessors(
        residual=matches((0, 0.9), (0, 0.75), (1, 0.25), n_sources=2),
        mlp=matches((3, 0.25), (1, 0.75), (1, 0.875), n_sources=4),
        attention=matches((0, 0.0), (0, 0.5), (0, 0.25), n_sources=1),
    )
    second = Predecessors(
        residual=matches((1, 0.625), (2, 0.75), n_sources=3),
        mlp=matches((0, 0.125), (0, 0.25), n_sources=2),
        attention=matches((1, 0.75), (0, 0.25), n_sources=2),
    )
    return Window((Step("R0", "A1", "M1", "R1", first, HALF), Step("R1", "A2", "M2", "R2", second, HALF)))


def names(nodes: tuple[Node, ...]) -> list[str]:
    return [f"{node.site}.{node.latent}" for node in nodes]


def arrows(edges: tuple[Edge, ...]) -> list[str]:
    return [f"{e.source.site}.{e.source.latent} > {e.target.site}.{e.target.latent}" for e in edges]


def test_sites_come_in_the_order_in_which_a_token_passes_them(window: Window) -> None:
    assert list(window.sizes) == SITES
    assert list(window.sizes.values()) == [2, 1, 4, 3, 2, 2, 2]


def test_backward_are_the_predecessors_above_the_threshold(window: Window) -> None:
    assert window.backward(Node("R1", 1)) == (
        Edge(Node("R0", 0), Node("R1", 1), 0.75),
        Edge(Node("M1", 1), Node("R1", 1), 0.75),
    )
    assert window.backward(Node("M1", 1)) == ()


def test_forward_are_all_that_have_the_latent_as_a_predecessor(window: Window) -> None:
    assert arrows(window.forward(Node("R0", 0))) == ["R0.0 > R1.0", "R0.0 > R1.1"]
    assert arrows(window.forward(Node("M1", 1))) == ["M1.1 > R1.1", "M1.1 > R1.2"]
    assert window.forward(Node("R2", 0)) == ()


def test_a_component_has_the_ancestors_and_the_descendants_and_nothing_beside(window: Window) -> None:
    graph = window.component(Node("R1", 1))
    assert names(graph.ancestors) == ["R0.0", "M1.1"]
    assert names(graph.descendants) == ["R2.0"]  # with A2.1, which also flows into it, left out
    assert arrows(graph.edges) == ["R0.0 > R1.1", "M1.1 > R1.1", "R1.1 > R2.0"]
    assert names(graph.nodes) == ["R0.0", "M1.1", "R1.1", "R2.0"]


def test_paths_go_through_several_layers_both_ways(window: Window) -> None:
    assert names(window.component(Node("R2", 0)).ancestors) == ["R0.0", "M1.1", "R1.1", "A2.1"]
    down = window.component(Node("R0", 0))
    assert names(down.descendants) == ["R1.0", "R1.1", "R2.0"]
    assert arrows(down.edges) == ["R0.0 > R1.0", "R0.0 > R1.1", "R1.1 > R2.0"]


def test_a_latent_without_edges_is_a_graph_by_itself(window: Window) -> None:
    seed = Node("M1", 0)
    assert window.component(seed) == FlowGraph(seed, (), (), ())


def test_layers_that_are_not_neighbours_stay_apart(window: Window) -> None:
    first, second = window.steps
    apart = Window((first, replace(second, residual="R7")))
    assert names(apart.component(Node("R1", 1)).descendants) == []
    assert list(apart.sizes) == ["R0", "A1", "M1", "R1", "R7", "A2", "M2", "R2"]


def test_a_match_that_there_is_not_is_no_edge(window: Window) -> None:
    missing = matches((NONE, float("nan")), (NONE, float("nan")), n_sources=2)
    step = window.steps[1]
    found = replace(step.predecessors, attention=missing)
    assert arrows(Window((replace(step, predecessors=found),)).backward(Node("R2", 0))) == ["R1.1 > R2.0"]


@pytest.mark.parametrize(("node", "message"), [(Node("R9", 0), "it has R0, A1"), (Node("M1", 4), "they are 0 to 3")])
def test_a_latent_that_the_window_does_not_have_is_refused(window: Window, node: Node, message: str) -> None:
    for ask in (window.backward, window.forward, window.component):
        with pytest.raises(GraphError, match=message):
            ask(node)


def random_window(layers: int = 3, latents: int = 30) -> Window:
    generator = torch.Generator().manual_seed(0)
    residuals = [directions(torch.randn(latents, 12, generator=generator)) for _ in range(layers + 1)]
    steps = []
    for layer in range(1, layers + 1):
        mlp, attention = (directions(torch.randn(latents, 12, generator=generator)) for _ in range(2))
        found = predecessors(residuals[layer], Sources(residuals[layer - 1], mlp, attention))
        steps.append(Step(f"R{layer - 1}", f"A{layer}", f"M{layer}", f"R{layer}", found, PAPER))
    return Window(tuple(steps))


def test_backward_and_forward_are_the_same_edges_and_components_agree() -> None:
    window = random_window()
    every = [Node(site, latent) for site, size in window.sizes.items() for latent in range(size)]
    into = {edge for node in every for edge in window.backward(node)}
    out = {edge for node in every for edge in window.forward(node)}
    assert into == out
    assert len(into) > 100
    chosen = random.Random(0).sample(every, 15)
    graphs = {node: window.component(node) for node in every}
    for node in chosen:
        assert set(graphs[node].ancestors) == {other for other in every if node in graphs[other].descendants}


def test_a_graph_is_the_same_each_time() -> None:
    seed = Node("R2", 3)
    once, again = (random_window().component(seed) for _ in range(2))
    assert once == again
    assert len(once.edges) > 3
