"""Metrics of answers, by hand."""

import math

import torch

from reproductions.common.answer_metrics import kl, logit_difference, probability, restored

LOGITS = torch.tensor([1.0, 3.0, 2.0, -1.0]).log()[:3].repeat(2, 1)  # probabilities 1/6, 3/6, 2/6
ONE, OTHER = torch.tensor([1]), torch.tensor([0])


def test_the_difference_of_two_tokens_is_that_of_their_logits():
    torch.testing.assert_close(logit_difference(LOGITS, ONE, OTHER), torch.full((2,), math.log(3)))


def test_probabilities_of_several_right_tokens_add_up():
    torch.testing.assert_close(probability(LOGITS, torch.tensor([0, 2])), torch.full((2,), 0.5))
    torch.testing.assert_close(logit_difference(LOGITS, torch.tensor([1, 2]), OTHER), torch.full((2,), math.log(5)))


def test_divergence_is_zero_of_itself_and_counts_from_the_clean_side():
    even = torch.zeros(3)
    torch.testing.assert_close(kl(LOGITS, LOGITS[0]), torch.zeros(2), atol=1e-7, rtol=0)
    by_hand = sum(p * math.log(3 * p) for p in (1 / 6, 3 / 6, 2 / 6))
    torch.testing.assert_close(kl(even, LOGITS[0]).item(), by_hand, rtol=1e-6, atol=0)


def test_what_is_restored_runs_from_the_corrupted_to_the_clean():
    found = restored(torch.tensor([1.0, 4.0, 2.5, 5.5]), torch.tensor(4.0), torch.tensor(1.0))
    torch.testing.assert_close(found, torch.tensor([0.0, 1.0, 0.5, 1.5]))
