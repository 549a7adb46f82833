"""Weights before fine-tuning, from several fine-tuned versions (Horwitz, Kahana and Hoshen, arXiv 2402.10208).

On a matrix of your own that several fine-tuned models have in a version of their own, [versions, rows, columns]:

    recovered = recover(versions, rank=4)
    recovered.weights  # [rows, columns]; after each iteration, recovered.objective says how well versions are explained

With the true one as `base`, `recovered.errors` tell how near it came.
"""

from reproductions.spectral_detuning.method import log_error, recover

__all__ = ["log_error", "recover"]
