"""What training and evaluation read, and the models, choices and warnings that they store."""
