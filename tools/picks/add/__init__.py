"""Starts entries from what arXiv, BibTeX or a collection knows, and brings their facts up to date."""
