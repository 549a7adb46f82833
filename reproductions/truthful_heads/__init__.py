"""Do some attention heads tell true answers from false ones, and does pushing them help? (Li et al., arXiv 2306.03341)

On a model of your own, with the 220 questions that come along, or others of yours:

    asked = questions()
    heads = look(model, asked, share=0.05, seed=0)  # probes on every head; a twentieth of the heads is chosen
    accuracy = heads.probed["truth"].accuracy.mean(0)  # of each head's probe, on topics that it was not fitted to
    best = heads.probed["truth"].chosen  # for each part of the topics, heads chosen on the other two: layer * H + head
"""

from reproductions.truthful_heads.method import Question, look, probes, push, questions

__all__ = ["Question", "look", "probes", "push", "questions"]
