"""Network in Network: convolutions that are small networks of their own."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import Dropout, Flatten, GlobalAvgPool, Softmax
from convbench.networks.zoo.blocks import ceil_pool, conv_relu

LAYERS = (  # kernel, stride, padding; widths of the convolution and of its two 1x1 layers
    ("1", 11, 4, 0, (96, 96, 96)),
    ("2", 5, 1, 2, (256, 256, 256)),
    ("3", 3, 1, 1, (384, 384, 384)),
    ("4", 3, 1, 1, (1024, 1024, 1000)),
)


def nin(name: str) -> Graph:
    """The ImageNet model of Network in Network, as its authors released it for Caffe.

    The paper (Lin et al. 2013) prints no widths of it. Poolings keep their last, incomplete
    window, and class scores are means over the last maps.
    """
    net = Builder(name, (3, 224, 224))
    x = net.input
    for number, kernel, stride, padding, widths in LAYERS:
        x = net("dropout", Dropout(0.5), x) if number == "4" else x
        x = conv_relu(net, x, number, widths[0], kernel, stride=stride, padding=padding)
        x = conv_relu(net, x, f"{number}_cccp1", widths[1], 1)
        x = conv_relu(net, x, f"{number}_cccp2", widths[2], 1)
        x = ceil_pool(net, x, f"pool{number}") if number != "4" else x
    net.chain(x, ("pool", GlobalAvgPool()), ("flatten", Flatten()), ("softmax", Softmax()))
    return net.graph()
