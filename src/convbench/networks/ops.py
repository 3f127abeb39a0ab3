"""The closed set of layers, chosen from the papers: frozen values that know nothing but themselves.

Shapes are `(C, H, W)`, kernels and strides `(height, width)`, padding four integers
`(top, bottom, left, right)`. Where frameworks or papers disagree there is no default.
A layer that no paper needs is not here; a question about layers is one `match` that ends in
`assert_never`, so that mypy lists what is missing when an op is added.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from attrs import Attribute, field, frozen

from convbench.base.errors import BadLayer

Shape: TypeAlias = tuple[int, ...]
Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = tuple[int, int, int, int]


def pair(value: int | Pair) -> Pair:
    """`(height, width)`; one integer stands for both.

    >>> pair(3), pair((1, 7))
    ((3, 3), (1, 7))
    """
    return (value, value) if isinstance(value, int) else value


def sides(value: int | Pair | Padding) -> Padding:
    """`(top, bottom, left, right)`; one integer for all, a pair for `(vertical, horizontal)`.

    >>> sides(1), sides((0, 3)), sides((0, 1, 0, 1))
    ((1, 1, 1, 1), (0, 0, 3, 3), (0, 1, 0, 1))
    """
    if isinstance(value, int):
        return (value,) * 4
    if len(value) == 2:
        return (value[0], value[0], value[1], value[1])
    return value


def same(size: int, kernel: int, stride: int) -> Pair:
    """Padding `(before, after)` that gives `ceil(size / stride)` outputs; the odd one goes after.

    >>> same(224, 7, 2), same(5, 3, 1)
    ((2, 3), (1, 1))
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def ceil(size: int, kernel: int, stride: int) -> int:
    """Padding after the end so that a last, incomplete window counts (Caffe's pooling).

    >>> ceil(110, 3, 2), ceil(27, 3, 2)
    (1, 0)
    """
    return -(size - kernel) % stride


def _whole(value: object, lengths: tuple[int, ...], least: int) -> bool:
    """Whether `value` is so many whole numbers of `least` or more; 0 stands for a bare one."""
    if not isinstance(value, tuple):
        return 0 in lengths and type(value) is int and value >= least
    return len(value) in lengths and all(type(v) is int and v >= least for v in value)


def _positive(instance: object, attribute: Attribute[Any], value: Any) -> None:
    lengths = {"kernel": (2,), "stride": (2,), "shape": (1, 3)}.get(attribute.name, (0,))
    if not _whole(value, lengths, least=1):
        raise BadLayer(type(instance).__name__, attribute.name, "positive whole numbers", value)


def _not_negative(instance: object, attribute: Attribute[Any], value: Any) -> None:
    if not _whole(value, (4,), least=0):
        raise BadLayer(type(instance).__name__, attribute.name, "whole numbers of 0 or more", value)


def _not_empty(instance: object, attribute: Attribute[Any], value: Any) -> None:
    if not value or not all(value):
        raise BadLayer(type(instance).__name__, attribute.name, "rows of numbers", value)


def _fraction(instance: object, attribute: Attribute[Any], value: Any) -> None:
    if not 0 <= value < 1:
        raise BadLayer(type(instance).__name__, attribute.name, "a share of 0 to below 1", value)


@frozen
class Input:
    """The images: `(C, H, W)`."""

    shape: Shape = field(validator=_positive)


@frozen
class Conv:
    """Convolution with `channels` kernels of `kernel` size over all (or `groups` of) inputs."""

    channels: int = field(validator=_positive)
    kernel: Pair = field(converter=pair, validator=_positive)
    stride: Pair = field(default=(1, 1), converter=pair, validator=_positive, kw_only=True)
    padding: Padding = field(
        default=(0, 0, 0, 0), converter=sides, validator=_not_negative, kw_only=True
    )
    groups: int = field(default=1, validator=_positive, kw_only=True)
    bias: bool = field(default=True, kw_only=True)


@frozen
class TableConv:
    """Convolution whose output maps each see only the input maps that `table` lists for them.

    LeNet-5's C3 (LeCun et al. 1998, Table I). One bias per output map, stride 1, no padding.
    """

    table: tuple[tuple[int, ...], ...] = field(validator=_not_empty)
    kernel: Pair = field(converter=pair, validator=_positive)


@frozen
class Dense:
    """Fully connected layer on a vector."""

    features: int = field(validator=_positive)
    bias: bool = field(default=True, kw_only=True)


@frozen
class Rbf:
    """Squared Euclidean distance from a vector to each fixed code: `y_i = sum_j (x_j - w_ij)^2`.

    LeNet-5's output layer (LeCun et al. 1998, equation 7). The codes are not trained.
    """

    codes: tuple[tuple[int, ...], ...] = field(validator=_not_empty)


@frozen
class MaxPool:
    """Maximum over windows; padding never wins."""

    kernel: Pair = field(converter=pair, validator=_positive)
    stride: Pair = field(converter=pair, validator=_positive, kw_only=True)
    padding: Padding = field(
        default=(0, 0, 0, 0), converter=sides, validator=_not_negative, kw_only=True
    )


@frozen
class AvgPool:
    """Mean over windows; `count_padding` says whether zeros of the padding count as values."""

    kernel: Pair = field(converter=pair, validator=_positive)
    stride: Pair = field(converter=pair, validator=_positive, kw_only=True)
    padding: Padding = field(
        default=(0, 0, 0, 0), converter=sides, validator=_not_negative, kw_only=True
    )
    count_padding: bool = field(kw_only=True)


@frozen
class Subsample:
    """Sum over windows times a trainable coefficient per map plus a trainable bias.

    LeNet-5's S2 and S4 (LeCun et al. 1998, section II.B). Windows do not overlap.
    """

    kernel: Pair = field(converter=pair, validator=_positive)


@frozen
class GlobalAvgPool:
    """Mean over all positions; `(C, 1, 1)` remains."""


@frozen
class BatchNorm:
    """Batch normalization over all positions of a channel, with trainable shift and scale."""

    eps: float = field(kw_only=True)
    decay: float = field(kw_only=True, validator=_fraction)
    """Share of the old running statistics that is kept; PyTorch's momentum is 1 - decay."""
    scale: bool = field(default=True, kw_only=True)
    """Whether there is a trainable scale beside the shift (some releases leave it out)."""


@frozen
class Lrn:
    """Local response normalization across channels: `a / (k + alpha * sum a^2) ** beta`.

    The sum runs over `size` neighbouring channels and is not divided by `size`
    (Krizhevsky et al. 2012, section 3.3).
    """

    size: int = field(kw_only=True, validator=_positive)
    k: float = field(kw_only=True)
    alpha: float = field(kw_only=True)
    beta: float = field(kw_only=True)


@frozen
class Relu:
    """`max(0, x)`."""


@frozen
class Relu6:
    """`min(max(0, x), 6)`."""


@frozen
class Silu:
    """`x * sigmoid(x)`, also called Swish."""


@frozen
class Sigmoid:
    """Logistic function."""


@frozen
class ScaledTanh:
    """`amplitude * tanh(slope * x)` (LeCun et al. 1998, equation 6)."""

    amplitude: float = field(kw_only=True)
    slope: float = field(kw_only=True)


@frozen
class Softmax:
    """Class probabilities of a vector of logits."""


@frozen
class Dropout:
    """Zeroes a share `rate` of the values while training, and scales the rest up."""

    rate: float = field(validator=_fraction)


@frozen
class Flatten:
    """A vector in the order channel, row, column, whatever the framework's layout."""


@frozen
class Add:
    """Sum of inputs of equal shape."""


@frozen
class Multiply:
    """Product of an image and one factor per channel, `(C, 1, 1)`: squeeze and excitation."""


@frozen
class Concat:
    """Inputs of equal size joined along the channels, in the order given."""


@frozen
class Scale:
    """Values times one fixed number (the residual scaling of Inception-ResNet)."""

    factor: float


@frozen
class Upsample:
    """Each pixel repeated `factor` times in both directions."""

    factor: int = field(validator=_positive)


@frozen
class Pad:
    """Zeros around the image; a negative number takes pixels away on that side."""

    padding: Padding = field(converter=sides)


@frozen
class PadChannels:
    """Appends `extra` channels of zeros (ResNet's parameter-free shortcut, option A)."""

    extra: int = field(validator=_positive)


Op: TypeAlias = (
    Input
    | Conv
    | TableConv
    | Dense
    | Rbf
    | MaxPool
    | AvgPool
    | Subsample
    | GlobalAvgPool
    | BatchNorm
    | Lrn
    | Relu
    | Relu6
    | Silu
    | Sigmoid
    | ScaledTanh
    | Softmax
    | Dropout
    | Flatten
    | Add
    | Multiply
    | Concat
    | Scale
    | Upsample
    | Pad
    | PadChannels
)
