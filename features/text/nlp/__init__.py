"""What is read from language without a network."""
