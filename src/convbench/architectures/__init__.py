"""The canon: every network under its name. Adding one is one function, one table, one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from convbench.architectures.alexnet import alexnet, alexnet_bn, alexnet_owt, alexnet_single
from convbench.architectures.densenet import densenet
from convbench.architectures.efficientnet import efficientnet_b0
from convbench.architectures.inception import bn_inception, googlenet
from convbench.architectures.inception_resnet import (
    inception_resnet_v1,
    inception_resnet_v2,
    inception_resnet_v2_slim,
)
from convbench.architectures.inception_v3 import inception_v3
from convbench.architectures.inception_v4 import inception_v4
from convbench.architectures.keras_example import resnet20_cifar_keras, resnet29_v2_cifar_keras
from convbench.architectures.lectures import cats_dogs_convnet, mnist_convnet
from convbench.architectures.lenet import lenet1, lenet5, lenet5_keras
from convbench.architectures.mobilenet import mobilenet, mobilenet_v2
from convbench.architectures.nasnet import nasnet
from convbench.architectures.nin import nin
from convbench.architectures.preact_resnet import preact_cifar, preact_resnet
from convbench.architectures.resnet import bottleneck_resnet, cifar_resnet, plain, resnet
from convbench.architectures.resnext import resnext
from convbench.architectures.squeezenet import squeezenet
from convbench.architectures.transfer import inception_v3_200, resnet50_cifar100, vgg16_cats_dogs
from convbench.architectures.vgg import vgg
from convbench.architectures.xception import xception
from convbench.architectures.zfnet import zfnet
from convbench.errors import BadAddress, UnknownName
from convbench.graph import Graph

ARCHITECTURES: dict[str, Callable[[str], Graph]] = {
    "lenet1": lenet1,
    "lenet5": lenet5,
    "lenet5_keras": lenet5_keras,
    "alexnet": alexnet,
    "alexnet_single": alexnet_single,
    "alexnet_bn": alexnet_bn,
    "alexnet_owt": alexnet_owt,
    "zfnet": zfnet,
    "nin": nin,
    "vgg11": vgg,
    "vgg11_lrn": vgg,
    "vgg13": vgg,
    "vgg16c": vgg,
    "vgg16": vgg,
    "vgg19": vgg,
    "googlenet": googlenet,
    "googlenet_aux": googlenet,
    "bn_inception": bn_inception,
    "inception_v3": inception_v3,
    "inception_v3_aux": inception_v3,
    "inception_v4": inception_v4,
    "inception_resnet_v1": inception_resnet_v1,
    "inception_resnet_v2": inception_resnet_v2,
    "inception_resnet_v2_slim": inception_resnet_v2_slim,
    "plain18": plain,
    "plain34": plain,
    "resnet18": resnet,
    "resnet34": resnet,
    "resnet50": bottleneck_resnet,
    "resnet50_v1_5": bottleneck_resnet,
    "resnet101": bottleneck_resnet,
    "resnet152": bottleneck_resnet,
    "resnet20_cifar": cifar_resnet,
    "resnet32_cifar": cifar_resnet,
    "resnet44_cifar": cifar_resnet,
    "resnet56_cifar": cifar_resnet,
    "resnet110_cifar": cifar_resnet,
    "resnet1202_cifar": cifar_resnet,
    "resnet20_cifar_keras": resnet20_cifar_keras,
    "resnet29_v2_cifar_keras": resnet29_v2_cifar_keras,
    "preact_resnet50": preact_resnet,
    "preact_resnet101": preact_resnet,
    "preact_resnet152": preact_resnet,
    "preact_resnet164_cifar": preact_cifar,
    "preact_resnet1001_cifar": preact_cifar,
    "resnext50_32x4d": resnext,
    "resnext101_32x4d": resnext,
    "densenet121": densenet,
    "squeezenet": squeezenet,
    "xception": xception,
    "mobilenet": mobilenet,
    "mobilenet_075": mobilenet,
    "mobilenet_050": mobilenet,
    "mobilenet_025": mobilenet,
    "mobilenet_v2": mobilenet_v2,
    "nasnet_mobile": nasnet,
    "nasnet_large": nasnet,
    "efficientnet_b0": efficientnet_b0,
    "mnist_convnet": mnist_convnet,
    "cats_dogs_convnet": cats_dogs_convnet,
    "vgg16_cats_dogs": vgg16_cats_dogs,
    "vgg16_cats_dogs_features": vgg16_cats_dogs,
    "vgg16_cats_dogs_finetuned": vgg16_cats_dogs,
    "inception_v3_200": inception_v3_200,
    "inception_v3_200_features": inception_v3_200,
    "inception_v3_200_finetuned": inception_v3_200,
    "resnet50_cifar100": resnet50_cifar100,
    "resnet50_cifar100_features": resnet50_cifar100,
    "resnet50_cifar100_finetuned": resnet50_cifar100,
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
    """The network called `name`.

    Raises UnknownName with the nearest names, BadAddress for a name without a description.
    """
    if name not in ARCHITECTURES:
        raise UnknownName("architecture", name, tuple(ARCHITECTURES))
    try:
        return ARCHITECTURES[name](name)
    except KeyError as error:
        if error.args != (name,):
            raise
        why = f"architectures/{family(name)}.py has no data under this name: add its line there"
        raise BadAddress(name, why) from None


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
