"""Stacked generalisation: scorers that are learnt alone, weighed for each population on its own question."""
