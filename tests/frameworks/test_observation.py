"""An observation holds plain whole numbers, whatever a framework hands over, or is refused."""

from __future__ import annotations

import numpy as np
import pytest

from convbench.base.errors import BadLayer
from convbench.frameworks.observation import Observation, ObservedNode, ObservedTensor

TENSOR = ObservedTensor((6, 1, 5, 5), trainable=True)
NODE = ObservedNode((6, 28, 28), {"weight": TENSOR}, (5, 5), (1, 1))


def test_the_integers_of_numpy_become_plain_ones():
    node = ObservedNode(np.array([6, 28, 28]), {}, kernel=[np.int64(5), 5])
    whole = Observation("mine", {"c1": node}, np.int32(156), np.uint8(0))
    assert (node.output, node.kernel, node.stride) == ((6, 28, 28), (5, 5), None)
    found = (*node.output, *node.kernel, whole.parameters, whole.buffers)
    assert {type(value) for value in found} == {int}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ObservedTensor(None, trainable=True), "a shape must be a tuple of whole numbers"),
        (
            lambda: ObservedTensor((5.0,), trainable=True),
            "a shape must be a tuple of whole numbers",
        ),
        (lambda: ObservedTensor((5,), trainable=None), "trainable must be of type bool"),
        (lambda: ObservedNode((6, "28"), {}), "a shape must be a tuple of whole numbers"),
        (lambda: ObservedNode((6,), None), "tensors must be a mapping from names to"),
        (lambda: ObservedNode((6,), {"w": (6,)}), "but is {'w': (6,)}"),
        (lambda: ObservedNode((6,), {5: TENSOR}), "tensors must be a mapping from names to"),
        (lambda: ObservedNode((6,), {}, kernel=5), "a shape must be a tuple of whole numbers"),
        (lambda: ObservedNode((6,), {}, stride=(1, 1, 1)), "a window must be (height, width)"),
        (lambda: Observation(None, {}, 0, 0), "framework must be of type str"),
        (lambda: Observation("mine", [NODE], 0, 0), "nodes must be a mapping from names to"),
        (lambda: Observation("mine", {"c1": None}, 0, 0), "but is {'c1': None}"),
        (lambda: Observation("mine", {"c1": NODE}, None, 0), "a count must be a whole number"),
        (lambda: Observation("mine", {"c1": NODE}, 0, 0.5), "a count must be a whole number"),
    ],
)
def test_what_is_no_observation_is_refused_where_it_is_said(make, sentence):
    with pytest.raises(BadLayer) as caught:
        make()
    assert str(caught.value).startswith("an observation: ")
    assert sentence in str(caught.value)
