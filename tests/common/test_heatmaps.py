"""Each number stands in its own field, in ink that can be read on it."""

import torch
from matplotlib import pyplot as plt

from reproductions.common.heatmaps import heatmap


def test_each_number_stands_in_its_field():
    axes = plt.figure().subplots()
    heatmap(axes, torch.tensor([[0.9, -0.001, 0.3], [-0.8, 0.5, 1.0]]))
    written = {text.get_position(): (text.get_text(), text.get_color()) for text in axes.texts}
    assert len(written) == 6
    assert written[0, 0] == ("0.90", "white") and written[1, 0] == ("0.00", "black")
    assert written[0, 1] == ("-0.80", "white") and written[2, 1] == ("1.00", "white")
    assert axes.images[0].get_array()[1].tolist()[1] == 0.5
    plt.close(axes.figure)
