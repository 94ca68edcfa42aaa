"""Held-out likes turned into figures, intervals and verdicts."""
