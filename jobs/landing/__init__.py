"""The landing zone: reading raw records, and writing public data sets as one."""
