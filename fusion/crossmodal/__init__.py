"""One modality predicted from, or compared with, another."""
