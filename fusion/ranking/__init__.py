"""Top k, nearest neighbours and rank aggregation, in NumPy and SciPy only: Spark's workers import it."""
