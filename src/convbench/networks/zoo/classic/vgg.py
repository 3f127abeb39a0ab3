"""The VGG networks: configurations A to E of one table."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import Lrn, MaxPool
from convbench.networks.zoo.blocks import classifier, conv_relu

WIDTHS = (64, 128, 256, 512, 512)

KERNELS = {  # Simonyan and Zisserman 2014, Table 1: the kernel of each convolution, by stage
    "vgg11": ((3,), (3,), (3, 3), (3, 3), (3, 3)),  # A
    "vgg11_lrn": ((3,), (3,), (3, 3), (3, 3), (3, 3)),  # A-LRN
    "vgg13": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),  # B
    "vgg16c": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),  # C
    "vgg16": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),  # D
    "vgg19": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),  # E
}

NORM = Lrn(size=5, k=2.0, alpha=1e-4, beta=0.75)  # section 2.1: the parameters of AlexNet


def vgg(name: str) -> Graph:
    """A VGG network (Simonyan and Zisserman 2014, Table 1)."""
    net = Builder(name, (3, 224, 224))
    classifier(net, body(net, net.input, name), (4096, 4096), 1000, dropout=0.5)
    return net.graph()


def body(net: Builder, x: str, name: str) -> str:
    """The five stages of convolutions of the VGG network called `name`."""
    for stage, (width, kernels) in enumerate(zip(WIDTHS, KERNELS[name], strict=True), start=1):
        for i, kernel in enumerate(kernels, start=1):
            x = conv_relu(net, x, f"{stage}_{i}", width, kernel, padding=kernel // 2)
            if name == "vgg11_lrn" and stage == 1:
                x = net("norm1", NORM, x)
        x = net(f"pool{stage}", MaxPool(2, stride=2), x)
    return x
