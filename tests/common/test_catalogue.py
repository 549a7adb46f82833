"""models.yml is well formed and pinned; a name is found, passed through or refused with help."""

import re
import subprocess
import sys

import pytest

from reproductions.common.catalogue import TRAINED, ModelError, model_card, model_names

SHA256 = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")


def test_the_default_comes_first() -> None:
    assert model_names()[0] == "smollm2-135m"


def test_what_is_trained_in_a_run_is_no_model_to_choose() -> None:
    assert model_card(TRAINED).kind == "trained"
    assert TRAINED not in model_names()


@pytest.mark.parametrize("name", model_names())
def test_every_listed_model_is_pinned_and_licensed(name: str) -> None:
    card = model_card(name)
    assert card.name == name
    assert card.licence
    assert card.licence_url.startswith("https://")
    if card.kind == "hub":
        assert COMMIT.fullmatch(card.revision)
        assert card.wheels == ()
    else:
        assert SHA256.fullmatch(card.sha256 or "")
        assert card.wheels
        assert all(SHA256.fullmatch(wheel.sha256) and "==" in wheel.requirement for wheel in card.wheels)


@pytest.mark.parametrize("name", ["smollm2-135m", "gemma3-270m"])
def test_a_title_says_that_the_weights_were_quantised(name: str) -> None:
    assert re.search(r"Q4_\w+\) de-quantised to float32", model_card(name).title)


def test_the_default_is_called_the_instruct_model_that_it_is() -> None:
    assert "Instruct" in model_card("smollm2-135m").title


@pytest.mark.parametrize("name", ["smolm2-135m", "gemma-270m", "pythia-70"])
def test_a_misspelt_name_is_refused_with_the_nearest_one(name: str) -> None:
    with pytest.raises(ModelError, match=f"no model {name!r} .* did you mean '(smollm2-135m|gemma3-270m|pythia-70m)'"):
        model_card(name)


def test_a_name_like_no_other_is_refused_with_the_list() -> None:
    with pytest.raises(ModelError, match=", ".join(model_names())):
        model_card("zzz")


@pytest.mark.parametrize("name", ["", "../secret", "a/b/c", "https://example.org/x", "a/ b", "a/.."])
def test_what_cannot_name_a_model_of_the_hub_is_not_passed_on(name: str) -> None:
    with pytest.raises(ModelError):
        model_card(name)


def test_a_listed_model_is_known_by_its_source_too() -> None:
    assert model_card("EleutherAI/pythia-70m") is model_card("pythia-70m")


def test_any_other_owner_and_name_goes_to_the_hub_and_says_that_it_is_not_pinned() -> None:
    card = model_card("EleutherAI/pythia-160m")
    assert (card.kind, card.source, card.revision) == ("hub", "EleutherAI/pythia-160m", "main")
    assert "neither pinned nor tried" in card.note


def test_a_name_is_looked_up_without_torch() -> None:
    script = (
        "import sys; from reproductions.common import catalogue, fetch; catalogue.model_card('gpt2'); "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
