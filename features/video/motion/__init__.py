"""Motion measured on frames and on the codec's vectors."""
