"""What a table is: columns, grain, checks; and the configuration."""
