"""Which contents lack features, and how a Spark task extracts them."""
