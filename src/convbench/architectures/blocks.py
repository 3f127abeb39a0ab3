"""Runs of layers that several families share."""

from __future__ import annotations

from convbench.graph import Builder
from convbench.ops import BatchNorm, Conv, Dense, Dropout, Flatten, Pair, Relu, Softmax


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
