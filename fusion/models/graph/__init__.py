"""Embeddings propagated over the graph of likes and of content neighbours."""
