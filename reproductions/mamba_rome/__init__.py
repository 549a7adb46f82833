"""Where a Mamba keeps its facts, and rank-one edits of them, beside a transformer (Sen Sharma and others, COLM 2024)

On invented facts and a network that is taught them here, each of a size of your own:

    world = World.of(seed=0, subjects=40, relations=2, kinds=8)
    model = taught("mamba", world, seed=0, d=32, blocks=6, steps=150)  # or "transformer"
    asked = questions(world, model, n=8, seed=0)
    back = traced(model, asked, "resid", asked.clean)  # the share of the answer, [blocks, tokens + 1]
    marks = edited(world, model, asked.facts, "0.out", seed=0)["rome"]  # P(wanted) - P(unwanted), by exam
"""

from reproductions.mamba_rome.method import World, cut, edited, questions, study, taught, traced

__all__ = ["World", "cut", "edited", "questions", "study", "taught", "traced"]
