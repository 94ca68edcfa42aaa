"""Top k, nearest neighbours and rank aggregation in NumPy only: Spark's workers import it."""
