"""Runs of layers that several families share."""

from __future__ import annotations

from collections.abc import Iterator

from convbench.networks.builder import Builder
from convbench.networks.ops import (
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Pair,
    Relu,
    Relu6,
    Silu,
    Softmax,
)


def conv_relu(  # noqa: PLR0913  (a convolution's own description)
    net: Builder,
    x: str,
    number: str,
    channels: int,
    kernel: int | Pair,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
) -> str:
    """`conv<number>` and `relu<number>`, with a bias and without normalization."""
    conv = Conv(channels, kernel, stride=stride, padding=padding, groups=groups)
    return net.chain(x, (f"conv{number}", conv), (f"relu{number}", Relu()))


def batch_norm() -> BatchNorm:
    """Batch normalization as in the residual networks' public releases (eps 1e-5, decay 0.9)."""
    return BatchNorm(eps=1e-5, decay=0.9)


def imagenet_stem(
    net: Builder, x: str, *, norm: BatchNorm | None = None, bias: bool = False
) -> str:
    """A 7x7 convolution and a pooling, each of stride 2: where residual and dense networks begin.

    112 -> 56 needs padding that the papers do not state; one pixel all round is what their
    readers' implementations agree on.
    """
    return net.chain(
        x,
        ("conv1", Conv(64, 7, stride=2, padding=3, bias=bias)),
        ("bn1", norm or batch_norm()),
        ("relu1", Relu()),
        ("pool1", MaxPool(3, stride=2, padding=1)),
    )


def cifar_stem(net: Builder, x: str) -> str:
    """A 3x3 convolution to 16 maps of 32x32."""
    return net.chain(
        x,
        ("conv1", Conv(16, 3, padding=1, bias=False)),
        ("bn1", batch_norm()),
        ("relu1", Relu()),
    )


def stages(depths: tuple[int, ...], width: int) -> Iterator[tuple[str, int, int]]:
    """Address, width and stride of each block; all stages but the first halve the image."""
    for stage, depth in enumerate(depths, start=2):
        for i in range(1, depth + 1):
            yield f"conv{stage}_{i}", width * 2 ** (stage - 2), 2 if stage > 2 and i == 1 else 1


def ceil_pool(net: Builder, x: str, address: str) -> str:
    """Maximum over 3x3 with stride 2 that keeps its last, incomplete window, as Caffe does."""
    return net(address, MaxPool(3, stride=2, padding=net.ceil(x, 3, 2)), x)


def pooled_head(net: Builder, x: str, classes: int, dropout: float = 0.0) -> str:
    """Global average pooling and one dense layer: the end of almost every network since 2014."""
    x = net.chain(x, ("pool", GlobalAvgPool()), ("flatten", Flatten()))
    x = net("dropout", Dropout(dropout), x) if dropout else x
    return net.chain(x, ("fc", Dense(classes)), ("softmax", Softmax()))


def conv_bn_relu(
    net: Builder,
    x: str,
    at: str,
    conv: Conv,
    *,
    norm: BatchNorm | None = None,
    activation: Relu | Relu6 | Silu | None = Relu(),  # noqa: B008  (frozen)
) -> str:
    """`<at>.conv`, `<at>.bn` and, unless it stays linear, `<at>.relu`."""
    x = net.chain(x, (f"{at}.conv", conv), (f"{at}.bn", norm or batch_norm()))
    return net(f"{at}.relu", activation, x) if activation else x


def classifier(net: Builder, x: str, widths: tuple[int, int], classes: int, dropout: float) -> str:
    """Flatten, two dense layers with dropout after each, and the classes: AlexNet's layers 6-8."""
    return net.chain(
        x,
        ("flatten", Flatten()),
        ("fc6", Dense(widths[0])),
        ("relu6", Relu()),
        ("dropout6", Dropout(dropout)),
        ("fc7", Dense(widths[1])),
        ("relu7", Relu()),
        ("dropout7", Dropout(dropout)),
        ("fc8", Dense(classes)),
        ("softmax", Softmax()),
    )
