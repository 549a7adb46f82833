"""What several methods share: models, claims, and how a notebook reports."""
