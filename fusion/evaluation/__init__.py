"""Evaluation on held-out likes: protocol, metrics, intervals, calibration and promotion."""
