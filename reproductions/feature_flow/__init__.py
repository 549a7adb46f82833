"""Feature flow: trace features across layers by their decoder directions (Laptev and others, arXiv 2502.03032)."""
