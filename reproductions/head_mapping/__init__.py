"""MAPS: read what an attention head does from its parameters (Elhelo and Geva, arXiv 2412.11965)."""
