"""NASNet-A: two cells that a search found, stacked at two sizes."""

from __future__ import annotations

from attrs import frozen

from convbench.networks.builder import Builder
from convbench.networks.graph import Graph
from convbench.networks.ops import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    MaxPool,
    Op,
    Pad,
    Relu,
    same,
)
from convbench.networks.zoo.blocks import pooled_head

NORM = BatchNorm(eps=1e-3, decay=0.9997)  # the authors' release; the paper gives no constants


@frozen
class Size:
    """How often the normal cell is repeated, and how wide it all is: "6 @ 4032"."""

    repeats: int
    penultimate: int
    stem: int
    image: int
    skips: bool
    """Whether the cell after a reduction looks back past it, as in the authors' large release."""


SIZES = {  # Zoph et al. 2018, Table 2; widths of the stem from the authors' release
    "nasnet_mobile": Size(4, 1056, 32, 224, skips=False),
    "nasnet_large": Size(6, 4032, 96, 331, skips=True),
}


def nasnet(name: str) -> Graph:
    """NASNet-A (Zoph et al. 2018, Figures 2 and 4): each cell reads the two cells before it."""
    size = SIZES[name]
    net = Builder(name, (3, size.image, size.image))
    x = net.chain(net.input, ("conv1", Conv(size.stem, 3, stride=2, bias=False)), ("bn1", NORM))
    width = size.penultimate // 24
    x, p = _reduction(net, x, x, "stem1", width // 4), x
    x, p = _reduction(net, x, p, "stem2", width // 2), x
    number = 1
    for stage in range(3):
        if stage:
            reduced = _reduction(net, x, p, f"reduction{stage}", width * 2**stage)
            x, p = reduced, p if size.skips else x
        for _ in range(size.repeats):
            x, p = _normal(net, x, p, f"cell{number}", width * 2**stage), x
            number += 1
    pooled_head(net, net("relu", Relu(), x), 1000, dropout=0.5)
    return net.graph()


def _normal(net: Builder, x: str, p: str, at: str, width: int) -> str:
    """The normal cell: five sums of two, joined with the cell before the last."""
    p = _adjust(net, p, x, at, width)
    h = _squeeze(net, x, f"{at}.begin", width)
    sums = (
        (_separable(net, h, f"{at}.left1", width, 5), _separable(net, p, f"{at}.right1", width, 3)),
        (_separable(net, p, f"{at}.left2", width, 5), _separable(net, p, f"{at}.right2", width, 3)),
        (net(f"{at}.left3", _mean(net, h), h), p),
        (net(f"{at}.left4", _mean(net, p), p), net(f"{at}.right4", _mean(net, p), p)),
        (_separable(net, h, f"{at}.left5", width, 3), h),
    )
    joined = [net(f"{at}.sum{i}", Add(), *pair) for i, pair in enumerate(sums, start=1)]
    return net(f"{at}.concat", Concat(), p, *joined)


def _reduction(net: Builder, x: str, p: str, at: str, width: int) -> str:
    """The reduction cell: strided sums of two, and two sums of those."""
    p = _adjust(net, p, x, at, width) if p != x else p
    h = _squeeze(net, x, f"{at}.begin", width)
    sum1 = net(
        f"{at}.sum1",
        Add(),
        _separable(net, h, f"{at}.left1", width, 5, 2),
        _separable(net, p, f"{at}.right1", width, 7, 2),
    )
    largest = net(f"{at}.left2", _largest(net, h), h)
    sum2 = net(f"{at}.sum2", Add(), largest, _separable(net, p, f"{at}.right2", width, 7, 2))
    mean = net(f"{at}.left3", _mean(net, h, 2), h)
    sum3 = net(f"{at}.sum3", Add(), mean, _separable(net, p, f"{at}.right3", width, 5, 2))
    sum4 = net(f"{at}.sum4", Add(), net(f"{at}.left4", _mean(net, sum1), sum1), sum2)
    sum5 = net(
        f"{at}.sum5",
        Add(),
        _separable(net, sum1, f"{at}.left5", width, 3),
        net(f"{at}.right5", _largest(net, h), h),
    )
    return net(f"{at}.concat", Concat(), sum2, sum3, sum4, sum5)


def _squeeze(net: Builder, x: str, at: str, width: int) -> str:
    return net.chain(
        x, (f"{at}.relu", Relu()), (f"{at}.conv", Conv(width, 1, bias=False)), (f"{at}.bn", NORM)
    )


def _adjust(net: Builder, p: str, x: str, at: str, width: int) -> str:
    """What comes from the cell before the last, at the size and width of this cell's input."""
    at = f"{at}.adjust"
    if net.shape(p)[1:] == net.shape(x)[1:]:
        return p if net.shape(p)[0] == width else _squeeze(net, p, at, width)
    p = net(f"{at}.relu", Relu(), p)
    every_second = AvgPool(1, stride=2, count_padding=False)
    half = Conv(width // 2, 1, bias=False)
    even = net.chain(p, (f"{at}.pool1", every_second), (f"{at}.conv1", half))
    odd = net.chain(
        p,
        (f"{at}.shift", Pad((-1, 1, -1, 1))),  # one pixel up and to the left
        (f"{at}.pool2", every_second),
        (f"{at}.conv2", half),
    )
    return net.chain(net(f"{at}.concat", Concat(), even, odd), (f"{at}.bn", NORM))


def _separable(net: Builder, x: str, at: str, width: int, kernel: int, stride: int = 1) -> str:
    """ReLU, separable convolution, normalization, twice (appendix A.4); the first one strides."""
    for i, step in ((1, stride), (2, 1)):
        channels, h, w = net.shape(x)
        padding = (*same(h, kernel, step), *same(w, kernel, step))
        depthwise = Conv(
            channels, kernel, stride=step, padding=padding, groups=channels, bias=False
        )
        x = net.chain(
            x,
            (f"{at}.relu{i}", Relu()),
            (f"{at}.dw{i}", depthwise),
            (f"{at}.pw{i}", Conv(width, 1, bias=False)),
            (f"{at}.bn{i}", NORM),
        )
    return x


def _padding(net: Builder, x: str, stride: int) -> tuple[int, int, int, int]:
    _, h, w = net.shape(x)
    return (*same(h, 3, stride), *same(w, 3, stride))


def _mean(net: Builder, x: str, stride: int = 1) -> Op:
    return AvgPool(3, stride=stride, padding=_padding(net, x, stride), count_padding=False)


def _largest(net: Builder, x: str) -> Op:
    return MaxPool(3, stride=2, padding=_padding(net, x, 2))
