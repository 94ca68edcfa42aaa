"""Baselines, which any other model must beat: fixed parameters; history or content alone, and one of both."""
