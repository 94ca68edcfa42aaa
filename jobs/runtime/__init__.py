"""What every step shares: the night, the ledger, failures, completeness, Spark."""
