"""Output-centric feature descriptions: what a feature reads against what it does (arXiv 2501.08319)."""
