"""What the Keras models share: losses, batches, epochs, checkpoints."""
