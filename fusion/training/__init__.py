"""What the Keras models share: losses, batches, epochs, early stopping, checkpoints."""
