"""The canon: every network under its name. Adding one is one function, one table, one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from convbench.architectures.alexnet import alexnet, alexnet_bn, alexnet_single
from convbench.architectures.inception import googlenet
from convbench.architectures.lectures import cats_dogs_convnet, mnist_convnet
from convbench.architectures.lenet import lenet5, lenet5_keras
from convbench.architectures.mobilenet import mobilenet, mobilenet_v2
from convbench.architectures.resnet import bottleneck_resnet, cifar_resnet, plain, resnet
from convbench.architectures.vgg import vgg
from convbench.architectures.xception import xception
from convbench.architectures.zfnet import zfnet
from convbench.errors import UnknownName
from convbench.graph import Graph

ARCHITECTURES: dict[str, Callable[[str], Graph]] = {
    "lenet5": lenet5,
    "lenet5_keras": lenet5_keras,
    "alexnet": alexnet,
    "alexnet_single": alexnet_single,
    "alexnet_bn": alexnet_bn,
    "zfnet": zfnet,
    "vgg11": vgg,
    "vgg11_lrn": vgg,
    "vgg13": vgg,
    "vgg16c": vgg,
    "vgg16": vgg,
    "vgg19": vgg,
    "googlenet": googlenet,
    "googlenet_aux": googlenet,
    "plain18": plain,
    "plain34": plain,
    "resnet18": resnet,
    "resnet34": resnet,
    "resnet50": bottleneck_resnet,
    "resnet101": bottleneck_resnet,
    "resnet152": bottleneck_resnet,
    "resnet20_cifar": cifar_resnet,
    "resnet32_cifar": cifar_resnet,
    "resnet44_cifar": cifar_resnet,
    "resnet56_cifar": cifar_resnet,
    "resnet110_cifar": cifar_resnet,
    "xception": xception,
    "mobilenet": mobilenet,
    "mobilenet_075": mobilenet,
    "mobilenet_050": mobilenet,
    "mobilenet_025": mobilenet,
    "mobilenet_v2": mobilenet_v2,
    "mnist_convnet": mnist_convnet,
    "cats_dogs_convnet": cats_dogs_convnet,
}

HEADLINE = (
    "lenet5",
    "alexnet",
    "zfnet",
    "vgg16",
    "resnet18",
    "resnet50",
    "resnet56_cifar",
    "mnist_convnet",
)
"""The networks that `--bench-arch headline` means: one for each chapter of the story."""


def architecture(name: str) -> Graph:
    """The network called `name`; raises UnknownName with the nearest names."""
    if name not in ARCHITECTURES:
        raise UnknownName("architecture", name, tuple(ARCHITECTURES))
    return ARCHITECTURES[name](name)


def family(name: str) -> str:
    """The family of an architecture: the name of the file that describes it."""
    return ARCHITECTURES[name].__module__.rpartition(".")[2]


def select(wanted: Iterable[str]) -> tuple[str, ...]:
    """Names of architectures for names, family names, `headline` or `all`, each once, in order.

    Raises UnknownName with the nearest of all that may be asked for.
    """
    groups: dict[str, tuple[str, ...]] = {"all": tuple(ARCHITECTURES), "headline": HEADLINE}
    for name in ARCHITECTURES:
        members = groups.setdefault(family(name), ())
        groups[family(name)] = (*members, name)
    groups |= {name: (name,) for name in ARCHITECTURES}  # a name wins over a family of that name
    chosen: dict[str, None] = {}
    for word in wanted:
        if word not in groups:
            raise UnknownName("architecture", word, tuple(groups))
        chosen |= dict.fromkeys(groups[word])
    return tuple(chosen)
