"""Which job, in which order, with which arguments."""
