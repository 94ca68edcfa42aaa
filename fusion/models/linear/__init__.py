"""Models whose items are history factors beside linear maps of their modalities."""
