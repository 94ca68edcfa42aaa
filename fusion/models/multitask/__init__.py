"""One trunk, learnt for several tasks at once."""
