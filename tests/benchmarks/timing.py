"""What benchmarks measure with."""

import time

import torch


def timed(function, *arguments, repeats=1):
    """What comes of it, and the seconds that it takes at best."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        made = function(*arguments)
        seconds.append(time.perf_counter() - started)
    return made, min(seconds)


def matrix_product_rate(n: int = 2048) -> float:
    """Floating-point operations a second of one large product, the best of five."""
    a = torch.randn(n, n)
    return 2 * n**3 / timed(torch.matmul, a, a, repeats=5)[1]
