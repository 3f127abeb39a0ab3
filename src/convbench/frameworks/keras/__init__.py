"""Networks as native Keras models, on TensorFlow, JAX or PyTorch."""
