"""What the tests of traces of Keras models share."""

from __future__ import annotations

import keras

from convbench.frameworks.keras.trace import tracer
from convbench.frameworks.trace import Trace

IMAGE = (3, 8, 8)


def traced(model, image=IMAGE) -> Trace:
    return tracer.trace(model, "model", image)


def functional(function, image=IMAGE):
    c, h, w = image
    images = keras.Input((h, w, c))
    return keras.Model(images, function(images))


def followed(function, image=IMAGE) -> Trace:
    """The trace of the model that makes this of its images."""
    return traced(functional(function, image), image)


def layers_of(trace: Trace):
    return [step.layer for step in trace.steps[1:]]


def closes(trace: Trace) -> bool:
    """Whether the arrays of the steps add up to what Keras counts."""
    held = [t for owned in trace.owned for t in owned] + list(trace.unused)
    trained = sum(t.size for t in held if t.trainable)
    return (trained, sum(t.size for t in held) - trained) == (trace.parameters, trace.buffers)
