"""Between PyTorch's layout of weights, in which they travel, and the channels-last one.

Kernels are transposed, and what reads a flattened image reads it in another order. All of it is
paid for when weights are loaded; nothing is moved at run time.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np

from convbench.frameworks.protocol import Array
from convbench.networks.graph import Graph, Node
from convbench.networks.layer_facts import facts
from convbench.networks.layer_row import Layout
from convbench.networks.ops import (
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    Relu,
    ScaledTanh,
    Shape,
    Sigmoid,
)


def images_last(images: Array) -> Array:
    """Images `(N, C, H, W)` as `(N, H, W, C)`."""
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def images_first(values: Array, image: Shape | None = None) -> Array:
    """What leaves a node, `(N, H, W, C)`, as `(N, C, H, W)`.

    Vectors stay as they are, unless they are the values of `image` in a row.
    """
    if image is not None and values.ndim == 2:
        c, h, w = image
        return values.reshape(-1, h, w, c).transpose(0, 3, 1, 2).reshape(values.shape)
    return values.transpose(0, 3, 1, 2) if values.ndim == 4 else values


def shape_first(shape: Shape) -> Shape:
    """`(H, W, C)` as `(C, H, W)`; vectors as they are."""
    return (shape[2], shape[0], shape[1]) if len(shape) == 3 else shape


def canonical_shape(node: Node, shape: Shape) -> Shape:
    """Shape in PyTorch's layout of an array that has `shape` in the channels-last one."""
    layout = _layout(node)
    match layout:
        case "kernel":
            return _kernel_shape(node, shape) if len(shape) == 4 else shape
        case "matrix":
            return shape[::-1]
        case "as it is":
            return shape
        case _:
            assert_never(layout)


def from_canonical(node: Node, values: Array, image: Shape | None) -> Array:
    """Values in the channels-last layout: kernels transposed, images row, column, channel."""
    layout = _layout(node)
    if layout == "kernel" and values.ndim == 4:
        groups = _groups(node)
        if groups > 1 and values.shape[1] == 1:
            each = values.reshape(groups, -1, *values.shape[2:])
            return each.transpose(2, 3, 0, 1)
        return values.transpose(2, 3, 1, 0)
    if image and _reads_image(node, values):
        lead = values.shape[:-1]
        values = np.moveaxis(values.reshape(*lead, *image), -3, -1).reshape(*lead, -1)
    return values.T if layout == "matrix" else values


def to_canonical(node: Node, values: Array, image: Shape | None) -> Array:
    """The inverse of `from_canonical`."""
    layout = _layout(node)
    if layout == "kernel" and values.ndim == 4:
        if _depthwise(node, values.shape):
            return values.transpose(2, 3, 0, 1).reshape(-1, 1, *values.shape[:2])
        return values.transpose(3, 2, 0, 1)
    values = values.T if layout == "matrix" else values
    if image and _reads_image(node, values):
        (c, h, w), lead = image, values.shape[:-1]
        values = np.moveaxis(values.reshape(*lead, h, w, c), -1, -3).reshape(*lead, -1)
    return values


def _layout(node: Node) -> Layout:
    owned = facts(node.op).arrays
    return owned.layout if owned else "as it is"


def _kernel_shape(node: Node, shape: Shape) -> Shape:
    if _depthwise(node, shape):
        return (shape[2] * shape[3], 1, shape[0], shape[1])
    return (shape[3], shape[2], shape[0], shape[1])


def _groups(node: Node) -> int:
    return node.op.groups if isinstance(node.op, Conv) else 1


def _depthwise(node: Node, shape: Shape) -> bool:
    """Whether a kernel `(h, w, inputs, outputs)` belongs to a layer of its own kind in Keras.

    A depthwise kernel is `(h, w, inputs, outputs of each)`.
    """
    return isinstance(node.op, Conv) and _groups(node) > 1 and shape[3] != node.op.channels


def _reads_image(node: Node, values: Array) -> bool:
    """Whether the last axis of an array goes along a layer's inputs, as all but biases do."""
    return not (_layout(node) == "matrix" and values.ndim == 1)


def image_before(graph: Graph, node: Node) -> Shape | None:
    """The image whose flattened values a node reads, if there is one and its order matters."""
    return image_of(graph, graph[node.inputs[0]]) if node.inputs else None


def image_of(graph: Graph, node: Node) -> Shape | None:
    """The image whose flattened values leave a node, if there is one and its order matters."""
    while isinstance(node.op, BatchNorm | Relu | Sigmoid | ScaledTanh | Dropout):
        node = graph[node.inputs[0]]
    if not isinstance(node.op, Flatten):
        return None
    image = graph[node.inputs[0]].output
    return image if image[1:] != (1, 1) else None
