"""What TensorFlow is told before anything is trained, so that the same arguments give the same bits."""


def deterministic(seed: int) -> None:
    """Seeds TensorFlow, NumPy and Python; operations without chance; products in full single precision on GPUs too,
    which would round their factors to 10 bits (TensorFloat-32)."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)
