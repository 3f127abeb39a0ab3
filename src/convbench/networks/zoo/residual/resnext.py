"""ResNeXt: residual blocks whose 3x3 convolutions are cut into groups."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.zoo.blocks import pooled_head
from convbench.networks.zoo.residual.resnet import Bottleneck, bottlenecks

BLOCKS = {  # Xie et al. 2017, Table 1 and section 5.1: those of the ResNet of the same depth
    "resnext50_32x4d": (3, 4, 6, 3),
    "resnext101_32x4d": (3, 4, 23, 3),
}


def resnext(name: str) -> Graph:
    """ResNeXt (Xie et al. 2017, Table 1): 32 groups of 4 maps in conv2_x."""
    net = Builder(name, (3, 224, 224))
    style = Bottleneck(width=32 * 4, groups=32, stride_in_3x3=True)
    pooled_head(net, bottlenecks(net, net.input, BLOCKS[name], style), 1000)
    return net.graph()
