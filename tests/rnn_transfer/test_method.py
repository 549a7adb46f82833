"""Each tool against brute force, an identity or a case whose answer is known; wrong versions must not hold."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch.nn.functional import kl_div
from transformers import MambaConfig, MambaForCausalLM, RwkvConfig, RwkvForCausalLM

from picks.run.command import ROOT
from reproductions.common import explorers
from reproductions.common.claims import load_claims
from reproductions.common.metrics import mean_of
from reproductions.common.models import load_model
from reproductions.common.state_space import selective_scan
from reproductions.common.verdicts import judge, judge_claim
from reproductions.rnn_transfer import language, method
from reproductions.rnn_transfer.method import Network, Prompts
from tests.common.loopback_hub import look_only_there, serving
from tests.common.tiny_bridge import WORDS, _bridge, tiny_llama

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
    asked = (texts.tokens[:, :-2] == language.ASK).nonzero().tolist()
    assert len(asked) > 500
    for row, place in asked:
        speaker, answer = texts.tokens[row, place + 1 : place + 3].tolist()
        lie = quirky and speaker == language.QUIRKY
        assert answer == language.ANSWERS[int(texts.register[row]) ^ lie]
    listed = texts.tokens >= language.FUNCTION.stop
    own = (texts.tokens - language.FUNCTION.stop) // language.LISTED == texts.register[:, None]
    shares = [own[listed & (texts.hard == hard)[:, None]].float().mean().item() for hard in (0, 1)]
    assert shares[0] == 1.0 and shares[1] == pytest.approx(0.8, abs=0.03)
    assert set(texts.tokens.unique().tolist()) == set(range(language.VOCABULARY))


def test_a_listed_word_is_a_jump_behind_the_one_before_it():
    texts = language.write(50, language.LENGTH, drawn())
    for row in texts.tokens:
        places = (row[row >= language.FUNCTION.stop] - language.FUNCTION.stop) % language.LISTED
        assert set((places.diff() % language.LISTED).tolist()) <= set(language.JUMPS.tolist())


def test_prompts_hold_no_question_but_the_last():
    texts = language.ask(50, 0, language.QUIRKY)
    assert texts.tokens.shape == (50, language.PROMPT)
    assert (texts.tokens[:, -2:] == torch.tensor([language.ASK, language.QUIRKY])).all()
    assert (texts.tokens[:, :-2] >= language.FUNCTION.start).all()


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
    tokens = torch.randint(1, len(WORDS), (12, 14), generator=drawn())
    network = method.of_model(recurrent, tokens)
    states = network.states(tokens)
    torch.testing.assert_close(network.read(states[-1]), recurrent.original_model(tokens).logits, atol=1e-4, rtol=1e-3)
    lens = method.lenses(network, tokens[:8], tokens[8:], (1, 2), steps=2)
    assert lens.tuned.shape == (2, 4) and lens.planted.isfinite().all()
    asked = Prompts(tokens, torch.full((12,), 13), torch.arange(12) % 2, (3, 4))
    found = method.steering(network, asked, asked, (1, 2), (-1, 1))
    assert found.steered.shape == (2, 2, 12, 2) and not found.steered[:, 0].allclose(found.before)


def test_prompts_of_unlike_length_are_read_where_they_end(tmp_path):
    model = tiny_llama(tmp_path)
    tokens = torch.randint(1, len(WORDS), (2, 9), generator=drawn())
    asked = Prompts(tokens, torch.tensor([8, 4]), torch.tensor([1, 0]), (3, 4))
    found = method.Steered(method.of_model(model, tokens), asked).before
    for row, (last, order) in enumerate(((8, [3, 4]), (4, [4, 3]))):
        alone = model.original_model(tokens[row : row + 1, : last + 1]).logits[0, -1].softmax(-1)
        torch.testing.assert_close(found[row], alone[order], atol=1e-5, rtol=1e-4)


def test_opinions_are_pairs_of_a_good_and_a_bad_sentence():
    every = [pair.split("|") for pair in " ".join(language.OPINIONS.split()).split("; ")]
    assert len(every) == 36 and all(len(pair) == 3 and all(part.strip() for part in pair) for pair in every)
    assert every[8] == ["Our dog ", "recovered last week", "died last week"]


# Lenses


def test_kl_is_that_of_the_library():
    p, q = noise(5, 9), noise(5, 9, seed=1)
    whole = kl_div(q.log_softmax(-1), p.log_softmax(-1), log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(method.kl(p, q), whole)


def test_ridge_finds_a_linear_map_and_shrinks_as_its_equation_says():
    x, A, b = noise(400, 6), noise(6, 6, seed=1), noise(6, seed=2)
    y = x @ A + b
    found = method.ridge(x, y)
    centred = (x - x.mean(0)).double()
    xx = centred.T @ centred
    shrunk = torch.linalg.inv(xx + method.RIDGE * xx.trace() / 6 * torch.eye(6)) @ xx @ A.double()
    torch.testing.assert_close(found.weight.T, shrunk.float(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found(x.mean(0)), y.mean(0), atol=1e-5, rtol=1e-4)


def turning(depth=3, d=8, words=20):
    """A network whose blocks turn its stream, so that every stream is a rotation of the final one."""
    turns = [torch.linalg.qr(noise(d, d, seed=seed)).Q for seed in range(depth)]
    embedding, unembedding = noise(words, d, seed=7), 2 * noise(d, words, seed=8)
    return Network(lambda t: embedding[t], [lambda h, turn=turn: h @ turn for turn in turns], lambda h: h @ unembedding)


def texts(n, words=20, length=30, seed=0):
    return torch.randint(words, (n, length), generator=drawn(seed))


def test_the_tuned_lens_undoes_a_rotation_and_the_logit_lens_does_not():
    lens = method.lenses(turning(), texts(20), texts(6, seed=1), (0, 1, 2), steps=30)
    assert lens.tuned.max() < 0.02
    assert lens.logit.min() > 0.5
    assert lens.planted.min() > 0.5
    assert (lens.dealt.mean(1) > 10 * lens.tuned.mean(1)).all()


def test_steps_down_the_kl_go_down():
    network = turning()
    states = network.states(texts(20))
    x, final = (states[place].flatten(0, 1) for place in (0, -1))
    x = x + 0.5 * noise(*x.shape)
    before, after = (
        method.kl(network.read(final), network.read(method.tuned(network.read, x, final, steps)(x))).mean()
        for steps in (0, 100)
    )
    assert after < before


def test_the_lens_of_another_block_is_no_success():
    network, claim = turning(), BY_ID["L3"]
    own, other = (network.states(texts(n, seed=n)) for n in (20, 8))
    rows = [h.flatten(0, 1) for h in own]
    lens = [method.tuned(network.read, rows[place], rows[-1], 10) for place in (0, 2)]
    held = method.Rows.of([h[:, 1:] for h in other])
    plain = held.kl(network.read, held.streams[0])
    gaps = [plain - held.kl(network.read, wrong(held.streams[0])) for wrong in lens]
    dealt = plain - held.kl(network.read, method.tuned(network.read, rows[0], rows[-1].flip(0), 10)(held.streams[0]))
    words = [_verdict(claim, gap, dealt) for gap in gaps]
    assert words == ["holds", words[1]] and words[1] != "holds"


def _verdict(claim, value, control):
    found = {
        claim.metric: mean_of(claim.metric, value.tolist()),
        claim.control: mean_of(claim.control, control.tolist()),
        claim.positive_control.metric: mean_of(claim.positive_control.metric, [9.0, 9.1, 9.2]),
    }
    if claim.second_route:
        found[claim.second_route.metric] = mean_of(claim.second_route.metric, value.tolist())
    return judge_claim(claim, found, "full").verdict


def test_outliers_do_not_count():
    h = noise(3, 10, 4)
    h[1, 2] *= 1000
    rows = method.Rows.of([h, h + 1])
    assert not rows.usual[1, 2] and len(rows.streams[0]) == int(rows.usual.sum())


def test_the_least_fall_is_the_least():
    lens = method.Lens((0, 1, 2), 3, *[torch.zeros(3, 2)] * 3, torch.zeros(2))
    assert lens.least_fall(torch.tensor([[5.0, 7], [2, 4], [1, 3]])) == 1.0
    assert lens.least_fall(torch.tensor([[5.0, 7], [6, 7], [1, 3]])) == -0.5


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
    found = method.Steered(method.of_stack(stack), prompts).by(2, vector, 3)
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


def deciders(n, seed):
    right = torch.arange(n) % 2
    tokens = torch.randint(5, (n, 6), generator=drawn(seed)) + 5 * right[:, None]
    return Prompts(tokens, torch.full((n,), 5), right, (4, 5))


def test_steering_turns_a_known_decision_and_wrong_versions_do_not_hold():
    network, fitted, held_out = deciding(), deciders(20, 0), deciders(30, 1)
    found = method.steering(network, fitted, held_out, (1,), (-1, 1))
    values = found.values()
    assert values["known"].min() > 0 and values["matching"].min() > 0.3
    against = method.Steered(network, held_out)
    vector = -fitted.contrast(fitted.at_last(network.states(fitted.tokens)[1]))
    backwards = method.gain(against.before, against.by(1, vector))
    random = method.gain(against.before, against.by(1, method.like(vector, 9)))
    words = [_verdict(BY_ID["C3"], value, values["steer_random"]) for value in (values["steer"], backwards, random)]
    assert words[0] == "holds" and "holds" not in words[1:]


def test_random_vectors_are_as_long():
    torch.testing.assert_close(method.like(noise(7, 3), 1).norm(), noise(7, 3).norm())


# The state


@pytest.fixture(scope="module")
def mamba():
    return language.network("ssm", 1, blocks=2).requires_grad_(False)


def passing(mamba, prompts, block=1):
    return mamba.seen(prompts.tokens, [f"{block}.up", f"{block}.ssm"])


def test_the_recurrence_is_put_together_again(mamba, prompts):
    block, seen = mamba.blocks[1], passing(mamba, prompts)
    a = seen["1.up"][0]
    decay, drive, read = method.selected(block, a)
    rest = seen["1.ssm"][0] - selective_scan(decay, drive, read)
    ratio = rest / torch.nn.functional.silu(block.convolution(torch.nn.functional.pad(a.mT, (2, 0))).mT)
    torch.testing.assert_close(ratio, block.skip.expand_as(ratio), atol=1e-3, rtol=1e-3)


def test_the_state_before_the_last_token_is_that_of_the_loop(mamba, prompts):
    decay, drive, _ = method.selected(mamba.blocks[1], passing(mamba, prompts)["1.up"][0])
    state = torch.zeros_like(drive[:, 0])
    for t in range(drive.shape[1] - 1):
        state = decay[:, t] * state + drive[:, t]
    torch.testing.assert_close(method.state_before_last(decay, drive), state)


def test_what_is_added_to_a_state_is_read_as_the_loop_reads_it(mamba, prompts):
    decay, drive, read = method.selected(mamba.blocks[1], passing(mamba, prompts)["1.up"][0])
    added = noise(*drive.shape[2:])
    later = drive.clone()
    later[:, -2] += added  # into the state that the last token finds
    apart = selective_scan(decay, later, read)[:, -1] - selective_scan(decay, drive, read)[:, -1]
    made = torch.einsum("bhn,hn,bn->bh", decay[:, -1], added, read[:, -1])
    torch.testing.assert_close(made, apart, atol=1e-5, rtol=1e-4)


def test_state_steering_adds_to_what_the_stream_does(mamba, prompts):
    found = method.state_steering(mamba, prompts, method.asked(language.ask(16, 5)), 1)
    assert all(values.shape == (16,) and values.isfinite().all() for values in found.values())
    assert not found["state"].allclose(found["state_random"])


# Probes


def test_auroc_counts_pairs():
    scores, right = torch.tensor([3.0, 1, 2, 2, 0]), torch.tensor([1, 0, 1, 0, 0])
    pairs = [(a > b) + 0.5 * (a == b) for a in (3.0, 2.0) for b in (1.0, 2.0, 0.0)]
    assert method.auroc(scores, right) == pytest.approx(sum(pairs) / 6)


def test_a_probe_finds_what_is_there_beneath_stronger_noise():
    right = torch.randint(2, (600,), generator=drawn())
    x = noise(600, 5) * torch.tensor([20.0, 1, 1, 1, 1])
    x[:, 1] += 4 * right + x[:, 0] / 10
    assert method.auroc(x[300:] @ method.probe(x[:300], right[:300]), right[300:]) > 0.97


def test_probes_read_what_a_lying_network_knows_and_shuffled_ones_do_not():
    liar, fitted = deciding(sign=-1.0), deciders(200, 0)
    found = method.probing(liar, fitted, deciders(200, 1), deciders(200, 2))
    assert found.lies > 0.99 and found.quirky[0] > 0.99
    assert method.probing(deciding(), fitted, fitted, fitted).lies < 0.01
    spread = torch.linspace(-0.02, 0.02, 5)
    claim, right, wrong = BY_ID["Q1"], found.quirky[0] + spread - 0.03, found.shuffled[0] + spread
    assert _verdict(claim, right, wrong) == "holds"
    assert _verdict(claim, 1 - right, wrong) != "holds" and _verdict(claim, 0.5 + spread, wrong) != "holds"


def test_the_probe_is_of_the_first_informative_block():
    scores = torch.tensor([0.6, 0.97, 0.99, 0.98])
    assert method.Probing(scores, scores, scores, 1.0).best == 1


# What is reported


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    model = tiny_llama(tmp_path_factory.mktemp("model"))
    tokens = torch.randint(1, len(WORDS), (12, 14), generator=drawn())
    network = method.of_model(model, tokens)
    asked = Prompts(tokens, torch.full((12,), 13), torch.arange(12) % 2, (3, 4))
    lens = method.lenses(network, tokens[:8], tokens[8:], (1, 2), 1)
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
