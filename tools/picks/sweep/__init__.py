"""Many runs: which, one beside the other, and what came of them; what `tools/sweep` does."""
