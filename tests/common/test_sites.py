"""Sites, their activations against the model's own cache, and numbers in a grid."""

import torch

from reproductions.common import explorers
from reproductions.common.sites import before_of, collected, grid, kind_of
from tests.common.tiny_bridge import WORDS, tiny_llama

SITES = ("blocks.0.hook_resid_post", "blocks.2.hook_mlp_out")


def test_the_kind_of_a_site_and_what_is_before_it():
    assert [kind_of(f"blocks.7.hook_{name}") for name in ("resid_post", "attn_out", "mlp_out")] == [
        "resid",
        "attn",
        "mlp",
    ]
    assert before_of("blocks.7.hook_resid_post") == "blocks.6.hook_resid_post"
    assert before_of("blocks.0.hook_resid_post") == before_of("blocks.7.hook_mlp_out") == ""


def test_activations_of_all_batches_are_those_of_a_plain_pass(tmp_path):
    model = tiny_llama(tmp_path)
    tokens = torch.randint(1, len(WORDS), (70, 6), generator=torch.Generator().manual_seed(0))
    cache = model.run_with_cache(tokens, names_filter=list(SITES))[1]
    for site, found in collected(model, SITES, tokens).items():
        torch.testing.assert_close(found, cache[site][:, 1:], atol=1e-5, rtol=1e-4)


def test_numbers_stand_at_their_layer_and_kind():
    content = grid(
        "Title", "About.", {SITES[1]: {"a": (1.0, None)}, SITES[0]: {"a": (2.0, 0.5), "b": (3.0, 0.1)}}, "null"
    )
    assert explorers.text("grid", content)
    first, second = (item["values"] for item in content["items"])
    assert content["rows"]["names"] == [0, 2]
    assert first == {"found": [[2.0, None, None], [None, None, 1.0]], "control": [[0.5, None, None], [None] * 3]}
    assert second["found"] == [[3.0, None, None], [None] * 3]
