"""Decision-level fusion of scorers that are each fitted alone."""
