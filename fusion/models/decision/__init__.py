"""Decision-level fusion of scorers that are learnt alone."""
