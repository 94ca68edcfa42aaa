"""One file or folder a model; a model's `model.py` is read first."""
