"""What must be in place for an induction head to form? (Singh et al., arXiv 2404.07129)

Small networks of the in-context labelling task, trained with a part of the circuit held in place:

    run = Run("match", steps=200)  # or another clamp of CLAMPS, or "none"
    found = trained("match", run, seeds=[0, 1, 2])
    updates = found.reached()  # until the loss is below the authors' mark, for each seed; 200 if never
"""

from reproductions.induction_clamping.method import CLAMPS, Clamp, Run, Stack, Task, fit, trained

__all__ = ["CLAMPS", "Clamp", "Run", "Stack", "Task", "fit", "trained"]
