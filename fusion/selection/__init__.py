"""Which models, with which parameters and weights: search and comparison."""
