"""MAPS: read what an attention head does from its parameters (Elhelo and Geva, arXiv 2412.11965).

On a model of your own, with relations of this project or yours:

    model = TransformerBridge.boot_transformers("gpt2")
    pairs = Pairs.of(load_relations(["country_capital"]), model.tokenizer, most=60)
    scores = pairs.mean(static_hits(Heads.of(model), pairs).promoted)  # [relation, layer, head], from 0 to 1

Heads of a later layer may read more than the first MLP's output: Heads.of(model, Choice("blocks:4", fold_norms=True))
takes what four blocks make of a token, as on Gemma 3 here. How such a choice is made without looking at what it is
scored on is in reading.py.
"""

from reproductions.head_mapping.method import Heads, Pairs, static_hits
from reproductions.head_mapping.reading import Choice
from reproductions.head_mapping.relations import Relation, load_relations

__all__ = ["Choice", "Heads", "Pairs", "Relation", "load_relations", "static_hits"]
