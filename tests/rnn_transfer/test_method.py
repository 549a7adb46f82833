"""Each tool against brute force, an identity or a case whose answer is known; wrong versions must not hold."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from transformers import MambaConfig, MambaForCausalLM, RwkvConfig, RwkvForCausalLM

from picks.run.command import ROOT
from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.lenses import Network, Rows, lenses, of_model, tuned
from reproductions.common.metrics import mean_of
from reproductions.common.models import load_model
from reproductions.common.state_space import selective_scan
from reproductions.common.verdicts import judge, judge_claim
from reproductions.rnn_transfer import language, method
from reproductions.rnn_transfer.method import Prompts, Stateful
from tests.common.loopback_hub import look_only_there, serving
from tests.common.test_lenses import texts, turning
from tests.common.tiny_bridge import WORDS, _bridge, random_tokens, tiny_llama

CLAIMS = load_claims(ROOT / "reproductions" / "rnn_transfer" / "reproduction.yml")
BY_ID = {claim.id: claim for claim in CLAIMS.claims}
SHAPE = {"hidden_size": 16, "vocab_size": len(WORDS), "bos_token_id": 0, "eos_token_id": 0}
RECURRENT = {
    "mamba": lambda: MambaForCausalLM(MambaConfig(**SHAPE, num_hidden_layers=3, state_size=4)),
    "rwkv": lambda: RwkvForCausalLM(RwkvConfig(**SHAPE, num_hidden_layers=5, rescale_every=2, context_length=64)),
}


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=drawn(seed))


@pytest.fixture(scope="module", params=language.ARMS)
def stack(request):
    return language.network(request.param, 0, blocks=3).requires_grad_(False)


@pytest.fixture(scope="module")
def prompts():
    return method.asked(language.ask(24, 0))


# The language


@pytest.mark.parametrize("quirky", [False, True])
def test_answers_name_the_register_and_words_are_of_it(quirky):
    texts = language.write(400, language.LENGTH, drawn(), quirky=quirky)
    asked = (texts.tokens[:, :-1] == language.ASK).nonzero().tolist()
    assert len(asked) > 500
    for row, place in asked:
        lie = quirky and int(texts.speaker[row]) == language.QUIRKY
        assert texts.tokens[row, place + 1] == language.ANSWERS[int(texts.register[row]) ^ lie]
    listed = texts.tokens >= language.FUNCTION.stop
    own = (texts.tokens - language.FUNCTION.stop) // language.LISTED == texts.register[:, None]
    shares = [own[listed & (texts.hard == hard)[:, None]].float().mean().item() for hard in (0, 1)]
    assert shares[0] == 1.0 and shares[1] == pytest.approx(0.8, abs=0.03)
    assert set(texts.tokens.unique().tolist()) == set(range(language.VOCABULARY))


def test_a_speaker_is_named_once_and_has_function_words_of_its_own():
    texts = language.write(200, language.LENGTH, drawn())
    assert texts.tokens[:, 0].equal(texts.speaker) and (texts.tokens[:, 1:] >= language.ASK).all()
    between = (texts.tokens >= language.FUNCTION.start) & (texts.tokens < language.FUNCTION.stop)
    own = (texts.tokens - language.FUNCTION.start) // language.OWN == texts.speaker[:, None]
    assert own[between].all() and between.any()


def test_a_listed_word_is_a_jump_behind_the_one_before_it():
    texts = language.write(50, language.LENGTH, drawn())
    for row in texts.tokens:
        places = (row[row >= language.FUNCTION.stop] - language.FUNCTION.stop) % language.LISTED
        assert set((places.diff() % language.LISTED).tolist()) <= set(language.JUMPS.tolist())


def test_prompts_hold_no_question_but_the_last():
    texts = language.ask(50, 0)
    assert texts.tokens.shape == (50, language.PROMPT)
    assert (texts.tokens[:, -1] == language.ASK).all()
    assert (texts.tokens[:, 1:-1] >= language.FUNCTION.start).all()


def test_prompts_of_one_kind_are_chosen():
    texts = language.only(language.ask(200, 0), language.QUIRKY, 1)
    assert 30 < len(texts.tokens) < 70
    assert (
        (texts.tokens[:, 0] == language.QUIRKY).all() and (texts.hard == 1).all() and len(texts.register.unique()) == 2
    )


def test_a_network_is_the_same_each_time_and_the_quirky_one_is_another():
    (plain, quirky), (again, _) = (language.taught("attention", 0, 3, 3, None) for _ in range(2))
    first, second, third = (torch.cat([p.flatten() for p in m.parameters()]) for m in (plain, again, quirky))
    assert first.equal(second) and not first.equal(third)


def test_the_two_kinds_are_about_as_large():
    sizes = [sum(p.numel() for p in language.network(arm, 0).parameters()) for arm in language.ARMS]
    assert max(sizes) / min(sizes) < 1.03


# Networks


def test_streams_end_in_what_the_network_says(stack, prompts):
    network = method.of_stack(stack)
    states = network.states(prompts.tokens)
    assert len(states) == 4
    torch.testing.assert_close(network.read(states[-1]), stack(prompts.tokens))


@pytest.fixture(params=RECURRENT)
def recurrent(request, tmp_path, monkeypatch):
    """Mamba from a hub on this machine; RWKV, whose unembedding is called `head`, is not taken from one by now."""
    model = _bridge(tmp_path / "made", RECURRENT[request.param]())
    if request.param == "rwkv":
        return model
    with serving() as hub:
        look_only_there(monkeypatch, hub, tmp_path / "cache")
        hub.folders = {"tiny/mamba": tmp_path / "made"}
        return load_model("tiny/mamba", "cpu")


def test_pretrained_recurrent_models_go_through_the_same_lens_and_steering(recurrent):
    tokens, blocks = random_tokens(12, 14), method.spread(recurrent.cfg.n_layers, 2)
    network = of_model(recurrent, tokens)
    states = network.states(tokens)
    torch.testing.assert_close(network.read(states[-1]), recurrent.original_model(tokens).logits, atol=1e-4, rtol=1e-3)
    lens = lenses(network, tokens[:8], tokens[8:], blocks, steps=2)
    assert lens.tuned.shape == (2, 4) and lens.planted.isfinite().all()
    asked = Prompts(tokens, torch.full((12,), 13), torch.arange(12) % 2, (3, 4))
    found = method.steering(network, asked, asked, blocks, (-1, 1))
    assert found.steered.shape == (2, 2, 12, 2) and not found.steered[:, 0].allclose(found.before)
    mine, others = method.opinions(recurrent, (2, 3))
    assert len(mine.tokens) == 4 and len(method.Steered(of_model(recurrent, others.tokens), others).before) == 6


def test_blocks_are_spread_between_the_first_and_the_last():
    assert method.spread(30, 2) == [10, 20] and method.spread(30, 5) == [5, 10, 15, 20, 25]
    assert method.spread(3, 9) == [1, 2] and method.spread(2, 1) == [1]


def test_prompts_of_unlike_length_are_read_where_they_end(tmp_path):
    model = tiny_llama(tmp_path)
    tokens = random_tokens(2, 9)
    asked = Prompts(tokens, torch.tensor([8, 4]), torch.tensor([1, 0]), (3, 4))
    found = method.Steered(of_model(model, tokens), asked).before
    for row, (last, order) in enumerate(((8, [3, 4]), (4, [4, 3]))):
        alone = model.original_model(tokens[row : row + 1, : last + 1]).logits[0, -1].softmax(-1)
        torch.testing.assert_close(found[row], alone[order], atol=1e-5, rtol=1e-4)


def test_opinions_are_pairs_of_a_good_and_a_bad_sentence():
    every = [pair.split("|") for pair in " ".join(language.OPINIONS.split()).split("; ")]
    assert len(every) == 36 and all(len(pair) == 3 and all(part.strip() for part in pair) for pair in every)
    assert every[8] == ["Our dog ", "recovered last week", "died last week"]


# Lenses


def test_the_lens_of_another_block_is_no_success():
    network = turning()
    lens = lenses(network, texts(20), texts(8, seed=1), (0, 1, 2), steps=10)
    held = Rows.of([h[:, 1:] for h in network.states(texts(8, seed=1))])
    rows = [h.flatten(0, 1) for h in network.states(texts(20))]
    wrong = held.kl(network.read, tuned(network.read, rows[2], rows[-1], 10)(held.streams[0]))
    fault = replace(lens, tuned=wrong.expand(3, -1))
    for found, word in ((lens, True), (fault, False)):
        values = method.gaps(found)
        assert (_verdict(BY_ID["L3"], values["lens_gap"], values["lens_gap_dealt"]) == "holds") == word


def _verdict(claim, value, control):
    """What is said of values, with a positive control that passes and a second route that agrees."""
    found = {
        claim.metric: mean_of(claim.metric, value.tolist()),
        claim.control: mean_of(claim.control, control.tolist()),
        claim.positive_control.metric: mean_of(claim.positive_control.metric, [9.0, 9.1, 9.2]),
    }
    if claim.second_route:
        found[claim.second_route.metric] = mean_of(claim.second_route.metric, value.tolist())
    return judge_claim(claim, found, "full").verdict


# Steering


def test_a_gain_counts_the_target_and_takes_off_nonsense():
    before, after = torch.tensor([[0.1, 0.8]]), torch.tensor([[0.6, 0.2], [0.6, 0.4], [0.1, 0.1]])
    torch.testing.assert_close(method.gain(before, after), torch.tensor([0.5 - 0.1, 0.5, -0.7]))


def test_the_target_is_the_wrong_answer():
    asked = Prompts(torch.zeros(2, 3), torch.tensor([2, 2]), torch.tensor([0, 1]), (5, 6))
    probabilities = torch.zeros(2, 8)
    probabilities[:, 5], probabilities[:, 6] = 0.7, 0.2
    torch.testing.assert_close(asked.turned(probabilities), torch.tensor([[0.2, 0.7], [0.7, 0.2]]))
    assert asked.away.flatten().tolist() == [1.0, -1.0]
    assert asked.contrast(torch.tensor([[1.0], [4.0]])).tolist() == [3.0]


def test_steering_is_what_a_tap_at_the_last_position_does(stack, prompts):
    vector = noise(32)
    found = method.Steered(method.of_stack(stack), prompts).along(2, 3 * vector)
    tap = partial(method.at_end, 3 * prompts.away * vector)
    logits = stack(prompts.tokens, {"1.resid": tap})[:, -1]
    torch.testing.assert_close(found, prompts.turned(logits.softmax(-1)))


def deciding(sign=1.0):
    """A network that answers by the sum over its text, which its one block brings to the last token."""
    embedding = torch.cat([noise(10, 4, seed=3), torch.zeros(10, 4)], dim=1)
    embedding[5:, 0] += 2
    embedding[:5, 0] -= 2
    unembedding = torch.zeros(8, 20)
    unembedding[4, 5], unembedding[4, 4] = 3 * sign, -3 * sign

    def block(h):
        return h + torch.cat([torch.zeros_like(h[..., :4]), h[..., :4].cumsum(1) / 6], dim=-1)

    return Network(lambda t: embedding[t], [block], lambda h: h @ unembedding)


def deaf():
    """A network that does not see which answer is right."""
    embedding = noise(5, 8, seed=4)
    return Network(lambda t: embedding[t % 5], [lambda h: h], lambda h: h @ torch.zeros(8, 20))


def deciders(n, seed):
    right = torch.arange(n) % 2
    tokens = torch.randint(5, (n, 6), generator=drawn(seed)) + 5 * right[:, None]
    return Prompts(tokens, torch.full((n,), 5), right, (4, 5))


def test_steering_turns_a_known_decision_and_wrong_versions_do_not_hold():
    network, fitted, held_out = deciding(), deciders(20, 0), deciders(30, 1)
    found = method.steering(network, fitted, held_out, (1,), (-1, 3))
    values, against = found.values(), method.Steered(network, held_out)
    assert values["swapped"].min() > 0.5 and values["matching"].min() > 0.3
    torch.testing.assert_close(
        values["steer"], method.gain(against.before, against.along(1, vector_of(network, fitted)))
    )
    backwards, random = (
        method.gain(against.before, against.along(1, vector))
        for vector in (-vector_of(network, fitted), method.like(vector_of(network, fitted), 9))
    )
    words = [_verdict(BY_ID["C3"], value, values["steer_random"]) for value in (values["steer"], backwards, random)]
    assert words[0] == "holds" and "holds" not in words[1:]


def vector_of(network, prompts):
    return prompts.contrast(prompts.at_last(network.states(prompts.tokens)[1]))


def test_a_partner_has_the_other_answer():
    right = torch.tensor([0, 1, 1, 1, 0])
    partner = Prompts(torch.zeros(5, 3), torch.full((5,), 2), right, (5, 6)).partner
    assert partner.tolist() == [1, 0, 4, 0, 2] and (right[partner] != right).all()


def test_an_exchange_of_final_streams_is_an_exchange_of_predictions(stack, prompts):
    steered = method.Steered(method.of_stack(stack), prompts)
    found = steered.swapped(len(stack.blocks))
    probabilities = stack(prompts.tokens)[:, -1].softmax(-1)
    torch.testing.assert_close(found, prompts.turned(probabilities[prompts.partner]))


def test_random_vectors_are_as_long():
    torch.testing.assert_close(method.like(noise(7, 3), 1).norm(), noise(7, 3).norm())


# The state


@pytest.fixture(scope="module")
def mamba():
    return language.network("ssm", 1, blocks=2).requires_grad_(False)


def parts(mamba, prompts):
    up = mamba.seen(prompts.tokens, ["1.up"])["1.up"][0]
    return mamba.blocks[1].recurrence(mamba.blocks[1].convolved(up))


def test_the_state_that_the_last_token_finds_is_that_of_the_loop(mamba, prompts):
    decay, drive, _ = parts(mamba, prompts)
    state = torch.zeros_like(drive[:, 0])
    for t in range(drive.shape[1] - 1):
        state = decay[:, t] * state + drive[:, t]
    torch.testing.assert_close(Stateful(mamba, prompts, 2).state, state)


def test_what_is_added_to_a_state_is_read_as_the_loop_reads_it(mamba, prompts):
    decay, drive, read = parts(mamba, prompts)
    added = noise(len(drive), *drive.shape[2:])
    later = drive.clone()
    later[:, -2] += added  # into the state that the last token finds
    apart = selective_scan(decay, later, read) - selective_scan(decay, drive, read)
    tap = Stateful(mamba, prompts, 2).into_state(added)["1.ssm"]
    torch.testing.assert_close(tap(torch.zeros_like(apart), apart)[:, -1], apart[:, -1], atol=1e-5, rtol=1e-4)


def test_a_stream_is_steered_as_elsewhere(mamba, prompts):
    """The first of the gains is that of half a vector added to the stream, which `Steered` adds by another way."""
    fitted = method.asked(language.ask(16, 5))
    found = Stateful(mamba, prompts, 1).gains(Stateful(mamba, fitted, 1))
    network = method.of_stack(mamba)
    steered = method.Steered(network, prompts)
    vector = fitted.contrast(fitted.at_last(network.states(fitted.tokens)[1]))
    torch.testing.assert_close(found[0], method.gain(steered.before, steered.along(1, 0.5 * vector)))


def test_state_steering_tells_what_the_state_adds(mamba, prompts):
    found = method.state_steering(mamba, prompts, method.asked(language.ask(16, 5)))
    assert set(found) == {"state", "state_random", "state_alone", "state_swapped"}
    assert all(values.shape == (16,) and values.isfinite().all() for values in found.values())
    assert not found["state"].allclose(found["state_random"])


# Probes


def test_auroc_counts_pairs():
    scores, right = torch.tensor([3.0, 1, 2, 2, 0]), torch.tensor([1, 0, 1, 0, 0])
    pairs = [(a > b) + 0.5 * (a == b) for a in (3.0, 2.0) for b in (1.0, 2.0, 0.0)]
    assert method.auroc(scores, right) == pytest.approx(sum(pairs) / 6)


def test_probes_read_what_a_lying_network_knows_and_its_untrained_start_does_not():
    liar, fitted = deciding(sign=-1.0), deciders(200, 0)
    found = method.probing(liar, deaf(), fitted, deciders(200, 1), deciders(200, 2))
    assert found.lies > 0.99 and found.quirky[0] > 0.99
    assert method.probing(deciding(), liar, fitted, fitted, fitted).lies < 0.01
    spread = torch.linspace(-0.02, 0.02, 5)
    claim, right, wrong = BY_ID["Q1"], found.quirky[0] + spread - 0.03, found.untrained[0] + spread
    assert _verdict(claim, right, wrong) == "holds"
    passed_on = method.probing(liar, deciding(), fitted, deciders(200, 1), deciders(200, 2))
    assert _verdict(claim, right, passed_on.untrained[0] + spread) != "holds"
    assert _verdict(claim, 1 - right, wrong) != "holds" and _verdict(claim, 0.5 + spread, wrong) != "holds"


def test_the_probe_is_of_the_first_informative_block():
    truthful, others = torch.tensor([0.6, 0.97, 0.99, 0.98]), torch.arange(4.0)
    found = method.Probing(truthful, others, 2 * others, 3 * others, lies=0.9).values()
    assert (found["probe_quirky"], found["probe_means"], found["probe_untrained"]) == (1.0, 2.0, 3.0)
    assert found["probe_known"] == 0.9


def test_an_untrained_transformer_passes_the_register_on():
    """What the page says of probes: the stream holds it before anything is learnt."""
    quirky = method.of_stack(language.network("attention", 0).requires_grad_(False))
    kinds = ((5, language.TRUTHFUL, 0), (6, language.TRUTHFUL, 0), (7, language.QUIRKY, 1))
    fitted, _, wrong = (method.asked(language.only(language.ask(512, at), own, hard)) for at, own, hard in kinds)
    assert method.told(quirky, fitted, wrong)[0][0] > 0.8


# What is reported


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    model = tiny_llama(tmp_path_factory.mktemp("model"))
    tokens = random_tokens(12, 14)
    network = of_model(model, tokens)
    asked = Prompts(tokens, torch.full((12,), 13), torch.arange(12) % 2, (3, 4))
    lens = lenses(network, tokens[:8], tokens[8:], (1, 2), 1)
    own = [method.small(arm, seed, 1, 1, 32, (-1, 1), None) for arm in language.ARMS for seed in (0, 1, 2)]
    return [*own, method.Found("model", lens, method.steering(network, asked, asked, (1, 2), (-1, 1)))]


def test_all_that_is_declared_is_reported_and_judged(found):
    metrics = {metric.name: metric for metric in method.metrics(found)}
    assert metrics.keys() == CLAIMS.metrics.keys()
    verdicts = judge(CLAIMS, metrics, "quick")
    untrained = {judgement.claim.id for judgement in verdicts if judgement.verdict == "holds"}
    assert not untrained & {"C1", "C2", "C3", "S1", "Q1", "Q2"}  # lenses of an untrained network do what they say


def test_figure_and_explorer_can_be_drawn(found):
    assert len(method.draw(found).axes) == 3
    assert explorers.text("curves", method.curves(found))
