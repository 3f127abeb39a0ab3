"""AlexNet: the paper's two towers, the one-tower table of the notes, and their coded variant."""

from __future__ import annotations

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import (
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Lrn,
    MaxPool,
    Relu,
    Softmax,
)
from convbench.networks.zoo.blocks import classifier, conv_relu

NORM = Lrn(size=5, k=2.0, alpha=1e-4, beta=0.75)  # section 3.3
POOL = MaxPool(3, stride=2)  # section 3.4: overlapping


def alexnet(name: str) -> Graph:
    """AlexNet (Krizhevsky et al. 2012, section 3.5): layers 2, 4 and 5 split over two GPUs.

    The input is 227x227: with the 224x224 that the paper states, no padding gives its 55x55.
    Normalization comes before pooling. The last layer feeds the softmax without a ReLU.
    """
    net = Builder(name, (3, 227, 227))
    x = conv_relu(net, net.input, "1", 96, 11, stride=4)
    x = net.chain(x, ("norm1", NORM), ("pool1", POOL))
    x = conv_relu(net, x, "2", 256, 5, padding=2, groups=2)
    x = net.chain(x, ("norm2", NORM), ("pool2", POOL))
    x = conv_relu(net, x, "3", 384, 3, padding=1)
    x = conv_relu(net, x, "4", 384, 3, padding=1, groups=2)
    x = conv_relu(net, x, "5", 256, 3, padding=1, groups=2)
    x = net("pool5", POOL, x)
    classifier(net, x, (4096, 4096), 1000, dropout=0.5)
    return net.graph()


def alexnet_single(name: str) -> Graph:
    """One tower, as the table in the notes "CNN Architectures" has it.

    There pooling comes before normalization, dropout before the dense layers, and a ReLU
    after FC8.
    """
    net = Builder(name, (3, 227, 227))
    x = conv_relu(net, net.input, "1", 96, 11, stride=4)
    x = net.chain(x, ("pool1", POOL), ("norm1", NORM))
    x = conv_relu(net, x, "2", 256, 5, padding=2)
    x = net.chain(x, ("pool2", POOL), ("norm2", NORM))
    x = conv_relu(net, x, "3", 384, 3, padding=1)
    x = conv_relu(net, x, "4", 384, 3, padding=1)
    x = conv_relu(net, x, "5", 256, 3, padding=1)
    x = net.chain(x, ("pool5", POOL), ("flatten", Flatten()))
    x = net.chain(x, ("dropout6", Dropout(0.5)), ("fc6", Dense(4096)), ("relu6", Relu()))
    x = net.chain(x, ("dropout7", Dropout(0.5)), ("fc7", Dense(4096)), ("relu7", Relu()))
    net.chain(x, ("fc8", Dense(1000)), ("relu8", Relu()), ("softmax", Softmax()))
    return net.graph()


def alexnet_owt(name: str) -> Graph:
    """The one-tower network of "One weird trick" (Krizhevsky 2014), as torchvision ships it.

    Narrower than AlexNet, without normalization, and with dropout before the dense layers.
    """
    net = Builder(name, (3, 224, 224))
    x = conv_relu(net, net.input, "1", 64, 11, stride=4, padding=2)
    x = net("pool1", POOL, x)
    x = conv_relu(net, x, "2", 192, 5, padding=2)
    x = net("pool2", POOL, x)
    x = conv_relu(net, x, "3", 384, 3, padding=1)
    x = conv_relu(net, x, "4", 256, 3, padding=1)
    x = conv_relu(net, x, "5", 256, 3, padding=1)
    x = net.chain(x, ("pool5", POOL), ("flatten", Flatten()))
    x = net.chain(x, ("dropout6", Dropout(0.5)), ("fc6", Dense(4096)), ("relu6", Relu()))
    x = net.chain(x, ("dropout7", Dropout(0.5)), ("fc7", Dense(4096)), ("relu7", Relu()))
    net.chain(x, ("fc8", Dense(1000)), ("softmax", Softmax()))
    return net.graph()


BN_CONVS = (  # channels, kernel, stride, followed by pooling
    (96, 11, 4, True),
    (256, 11, 1, True),
    (384, 3, 1, False),
    (384, 3, 1, False),
    (256, 3, 1, True),
)


def alexnet_bn(name: str) -> Graph:
    """The 17-class batch-norm variant that the notes "CNN Architectures" code in Keras.

    Nothing is padded; batch normalization has Keras's defaults and comes after the pooling.
    """
    norm = BatchNorm(eps=1e-3, decay=0.99)
    net = Builder(name, (3, 224, 224))
    x = net.input
    for i, (channels, kernel, stride, pooled) in enumerate(BN_CONVS, start=1):
        x = net.chain(x, (f"conv{i}", Conv(channels, kernel, stride=stride)), (f"relu{i}", Relu()))
        x = net(f"pool{i}", MaxPool(2, stride=2), x) if pooled else x
        x = net(f"bn{i}", norm, x)
    x = net("flatten", Flatten(), x)
    for i, features in enumerate((4096, 4096, 1000), start=6):
        x = net.chain(
            x,
            (f"fc{i}", Dense(features)),
            (f"relu{i}", Relu()),
            (f"dropout{i}", Dropout(0.4)),
            (f"bn{i}", norm),
        )
    net.chain(x, ("fc9", Dense(17)), ("softmax", Softmax()))
    return net.graph()
