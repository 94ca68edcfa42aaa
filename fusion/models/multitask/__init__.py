"""One trunk, trained for several tasks at once."""
