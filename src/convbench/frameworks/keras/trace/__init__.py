"""Follows any Keras model and writes down what it computes."""
