"""Between PyTorch's layout of weights, in which they travel, and the channels-last one.

Kernels are transposed, and what reads a flattened image reads it in another order. All of it is
paid for when weights are loaded; nothing is moved at run time.
"""

from __future__ import annotations

import numpy as np

from convbench.frameworks.protocol import Array
from convbench.networks.graph import Graph, Node
from convbench.networks.ops import (
    BatchNorm,
    Conv,
    Dense,
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
    match node.op:
        case Conv() as op if len(shape) == 4 and _depthwise(op, shape):
            return (shape[2] * shape[3], 1, shape[0], shape[1])
        case Conv() if len(shape) == 4:
            return (shape[3], shape[2], shape[0], shape[1])
        case Dense() if len(shape) == 2:
            return (shape[1], shape[0])
        case _:
            return shape


def from_canonical(node: Node, values: Array, image: Shape | None) -> Array:
    """Values in the channels-last layout: kernels transposed, images row, column, channel."""
    if isinstance(node.op, Conv) and values.ndim == 4:
        if node.op.groups > 1 and values.shape[1] == 1:
            each = values.reshape(node.op.groups, -1, *values.shape[2:])
            return each.transpose(2, 3, 0, 1)
        return values.transpose(2, 3, 1, 0)
    if image and _reads_image(node, values):
        lead = values.shape[:-1]
        values = np.moveaxis(values.reshape(*lead, *image), -3, -1).reshape(*lead, -1)
    return values.T if isinstance(node.op, Dense) else values


def to_canonical(node: Node, values: Array, image: Shape | None) -> Array:
    """The inverse of `from_canonical`."""
    if isinstance(node.op, Conv) and values.ndim == 4:
        if _depthwise(node.op, values.shape):
            return values.transpose(2, 3, 0, 1).reshape(-1, 1, *values.shape[:2])
        return values.transpose(3, 2, 0, 1)
    values = values.T if isinstance(node.op, Dense) else values
    if image and _reads_image(node, values):
        (c, h, w), lead = image, values.shape[:-1]
        values = np.moveaxis(values.reshape(*lead, h, w, c), -1, -3).reshape(*lead, -1)
    return values


def _depthwise(op: Conv, shape: Shape) -> bool:
    """Whether a kernel `(h, w, inputs, outputs)` belongs to a layer of its own kind in Keras.

    A depthwise kernel is `(h, w, inputs, outputs of each)`.
    """
    return op.groups > 1 and shape[3] != op.channels


def _reads_image(node: Node, values: Array) -> bool:
    """Whether the last axis of an array goes along a layer's inputs, as all but biases do."""
    return not (isinstance(node.op, Dense) and values.ndim == 1)


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
