"""ZFNet: AlexNet with a smaller, denser first layer."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import Lrn
from convbench.networks.zoo.blocks import ceil_pool, classifier, conv_relu

NORM = Lrn(size=5, k=2.0, alpha=1e-4, beta=0.75)  # the paper gives no constants: AlexNet's


def zfnet(name: str) -> Graph:
    """ZFNet (Zeiler and Fergus 2013, Figure 3): 224 -> 110 -> 55 -> 26 -> 13 -> 6.

    The figure's sizes need one pixel of padding in layer 1, none in layer 2, and pooling that
    keeps its last, incomplete window.
    """
    net = Builder(name, (3, 224, 224))
    x = conv_relu(net, net.input, "1", 96, 7, stride=2, padding=1)
    x = ceil_pool(net, x, "pool1")
    x = net("norm1", NORM, x)
    x = conv_relu(net, x, "2", 256, 5, stride=2)
    x = ceil_pool(net, x, "pool2")
    x = net("norm2", NORM, x)
    x = conv_relu(net, x, "3", 384, 3, padding=1)
    x = conv_relu(net, x, "4", 384, 3, padding=1)
    x = conv_relu(net, x, "5", 256, 3, padding=1)
    x = ceil_pool(net, x, "pool5")
    classifier(net, x, (4096, 4096), 1000, dropout=0.5)
    return net.graph()
