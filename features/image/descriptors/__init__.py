"""Readable descriptors of a picture, computed without a network."""
