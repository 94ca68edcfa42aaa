"""What a table is: columns with a description each, grain and checks; and the configuration."""
