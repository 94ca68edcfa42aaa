"""The landing zone: reading raw records, and importing public data sets."""
