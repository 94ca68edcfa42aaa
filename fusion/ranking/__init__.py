"""Top k, nearest neighbours, rank aggregation and chances of a like, in NumPy and SciPy: Spark's workers import it."""
