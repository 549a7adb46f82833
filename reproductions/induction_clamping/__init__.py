"""What must be in place for an induction head to form? (Singh et al., arXiv 2404.07129)

Two-layer attention-only networks of the in-context labelling task, trained with a part of the circuit held in place:

    runs = {name: trained(name, Run(name, steps=1200), seeds=[0, 1, 2]) for name in ("none", "match")}
    halvings = sooner(runs, "match")  # log2 of how many times fewer updates it takes, for each seed
"""

from reproductions.induction_clamping.method import CLAMPS, Clamp, Run, Stack, Task, sooner, trained

__all__ = ["CLAMPS", "Clamp", "Run", "Stack", "Task", "sooner", "trained"]
