"""The canon: every network under its name. Adding one is one function, one table, one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache

from attrs import evolve, frozen

from convbench.base.errors import BadAddress, BadOption, ShapeMismatch, UnknownName, Unsupported
from convbench.networks.builder import asked_images, images_of
from convbench.networks.classes import with_classes
from convbench.networks.graph import Graph
from convbench.networks.ops import Shape
from convbench.networks.zoo.classic.alexnet import alexnet, alexnet_bn, alexnet_owt, alexnet_single
from convbench.networks.zoo.classic.lenet import lenet1, lenet5, lenet5_keras
from convbench.networks.zoo.classic.nin import nin
from convbench.networks.zoo.classic.vgg import vgg
from convbench.networks.zoo.classic.zfnet import zfnet
from convbench.networks.zoo.compact.efficientnet import efficientnet_b0
from convbench.networks.zoo.compact.mobilenet import mobilenet, mobilenet_v2
from convbench.networks.zoo.compact.nasnet import nasnet
from convbench.networks.zoo.compact.squeezenet import squeezenet
from convbench.networks.zoo.inception.googlenet import bn_inception, googlenet
from convbench.networks.zoo.inception.inception_resnet import (
    inception_resnet_v1,
    inception_resnet_v2,
    inception_resnet_v2_slim,
)
from convbench.networks.zoo.inception.inception_v3 import inception_v3
from convbench.networks.zoo.inception.inception_v4 import inception_v4
from convbench.networks.zoo.inception.xception import xception
from convbench.networks.zoo.lectures.keras_example import (
    resnet20_cifar_keras,
    resnet29_v2_cifar_keras,
)
from convbench.networks.zoo.lectures.lectures import cats_dogs_convnet, mnist_convnet
from convbench.networks.zoo.lectures.transfer import (
    inception_v3_200,
    resnet50_cifar100,
    vgg16_cats_dogs,
)
from convbench.networks.zoo.residual.densenet import densenet
from convbench.networks.zoo.residual.preact_resnet import preact_cifar, preact_resnet
from convbench.networks.zoo.residual.resnet import bottleneck_resnet, cifar_resnet, plain, resnet
from convbench.networks.zoo.residual.resnext import resnext


@frozen
class Entry:
    """One network of the table of names."""

    family: str
    """The word that selects it together with its relatives."""
    describe: Callable[[str], Graph]
    """Makes its graph; one function may describe several networks, and is given the name."""


ARCHITECTURES: Mapping[str, Entry] = {
    "lenet1": Entry("lenet", lenet1),
    "lenet5": Entry("lenet", lenet5),
    "lenet5_keras": Entry("lenet", lenet5_keras),
    "alexnet": Entry("alexnet", alexnet),
    "alexnet_single": Entry("alexnet", alexnet_single),
    "alexnet_bn": Entry("alexnet", alexnet_bn),
    "alexnet_owt": Entry("alexnet", alexnet_owt),
    "zfnet": Entry("zfnet", zfnet),
    "nin": Entry("nin", nin),
    "vgg11": Entry("vgg", vgg),
    "vgg11_lrn": Entry("vgg", vgg),
    "vgg13": Entry("vgg", vgg),
    "vgg16c": Entry("vgg", vgg),
    "vgg16": Entry("vgg", vgg),
    "vgg19": Entry("vgg", vgg),
    "googlenet": Entry("inception", googlenet),
    "googlenet_aux": Entry("inception", googlenet),
    "bn_inception": Entry("inception", bn_inception),
    "inception_v3": Entry("inception_v3", inception_v3),
    "inception_v3_aux": Entry("inception_v3", inception_v3),
    "inception_v4": Entry("inception_v4", inception_v4),
    "inception_resnet_v1": Entry("inception_resnet", inception_resnet_v1),
    "inception_resnet_v2": Entry("inception_resnet", inception_resnet_v2),
    "inception_resnet_v2_slim": Entry("inception_resnet", inception_resnet_v2_slim),
    "plain18": Entry("resnet", plain),
    "plain34": Entry("resnet", plain),
    "resnet18": Entry("resnet", resnet),
    "resnet34": Entry("resnet", resnet),
    "resnet50": Entry("resnet", bottleneck_resnet),
    "resnet50_v1_5": Entry("resnet", bottleneck_resnet),
    "resnet101": Entry("resnet", bottleneck_resnet),
    "resnet152": Entry("resnet", bottleneck_resnet),
    "resnet20_cifar": Entry("resnet", cifar_resnet),
    "resnet32_cifar": Entry("resnet", cifar_resnet),
    "resnet44_cifar": Entry("resnet", cifar_resnet),
    "resnet56_cifar": Entry("resnet", cifar_resnet),
    "resnet110_cifar": Entry("resnet", cifar_resnet),
    "resnet1202_cifar": Entry("resnet", cifar_resnet),
    "resnet20_cifar_keras": Entry("keras_example", resnet20_cifar_keras),
    "resnet29_v2_cifar_keras": Entry("keras_example", resnet29_v2_cifar_keras),
    "preact_resnet50": Entry("preact_resnet", preact_resnet),
    "preact_resnet101": Entry("preact_resnet", preact_resnet),
    "preact_resnet152": Entry("preact_resnet", preact_resnet),
    "preact_resnet164_cifar": Entry("preact_resnet", preact_cifar),
    "preact_resnet1001_cifar": Entry("preact_resnet", preact_cifar),
    "resnext50_32x4d": Entry("resnext", resnext),
    "resnext101_32x4d": Entry("resnext", resnext),
    "densenet121": Entry("densenet", densenet),
    "squeezenet": Entry("squeezenet", squeezenet),
    "xception": Entry("xception", xception),
    "mobilenet": Entry("mobilenet", mobilenet),
    "mobilenet_075": Entry("mobilenet", mobilenet),
    "mobilenet_050": Entry("mobilenet", mobilenet),
    "mobilenet_025": Entry("mobilenet", mobilenet),
    "mobilenet_v2": Entry("mobilenet", mobilenet_v2),
    "nasnet_mobile": Entry("nasnet", nasnet),
    "nasnet_large": Entry("nasnet", nasnet),
    "efficientnet_b0": Entry("efficientnet", efficientnet_b0),
    "mnist_convnet": Entry("lectures", mnist_convnet),
    "cats_dogs_convnet": Entry("lectures", cats_dogs_convnet),
    "vgg16_cats_dogs": Entry("transfer", vgg16_cats_dogs),
    "vgg16_cats_dogs_features": Entry("transfer", vgg16_cats_dogs),
    "vgg16_cats_dogs_finetuned": Entry("transfer", vgg16_cats_dogs),
    "inception_v3_200": Entry("transfer", inception_v3_200),
    "inception_v3_200_features": Entry("transfer", inception_v3_200),
    "inception_v3_200_finetuned": Entry("transfer", inception_v3_200),
    "resnet50_cifar100": Entry("transfer", resnet50_cifar100),
    "resnet50_cifar100_features": Entry("transfer", resnet50_cifar100),
    "resnet50_cifar100_finetuned": Entry("transfer", resnet50_cifar100),
}
"""Convbench's networks, which nothing changes."""

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

_ADDED: list[Mapping[str, Entry]] = []
"""The user's networks of the run that is under way, which are no part of the table."""


@contextmanager
def added(entries: Mapping[str, Entry]) -> Iterator[None]:
    """Within it these networks are known beside convbench's; the last added wins a name."""
    _ADDED.append(entries)
    try:
        yield
    finally:
        _ADDED.pop()


def names() -> tuple[str, ...]:
    """The names of all networks, in the order of the table, the user's own last."""
    return tuple(_known())


def _known() -> dict[str, Entry]:
    """Convbench's networks, and those that were added to this run."""
    known = dict(ARCHITECTURES)
    for entries in _ADDED:
        known |= entries
    return known


def architecture(
    name: str,
    *,
    input: Shape | None = None,  # noqa: A002  (what a network is given is called so everywhere)
    classes: int | None = None,
) -> Graph:
    """The network called `name` as its paper has it, or for other images or other classes.

    `input` is the shape `(C, H, W)` of the images. Padding that depends on their size is computed
    anew, and nothing else changes: windows of a fixed size, such as the 5x5 means of GoogLeNet's
    auxiliary classifiers, stay as they are, so that a Flatten after them, or after VGG's last
    pooling, hands more or fewer values to a dense layer, which then has other parameters.
    `classes` is how many classes every answer tells apart, auxiliary ones too; the layer that
    scores them changes. The name then says both, since it is no longer the paper's network.

    Raises UnknownName with the nearest names, BadAddress for a name without a description,
    BadOption for what is no shape or no number of classes, ShapeMismatch for images that do not
    fit, Unsupported for an answer that has no number of classes.

    >>> architecture("vgg16", input=(3, 150, 150), classes=10).name
    'vgg16_3x150x150_10_classes'
    """
    if name not in _known():
        raise UnknownName("architecture", name, names())
    graph = _described(name) if input is None else _resized(name, input)
    if classes is not None:
        graph = with_classes(graph, classes)
    asked = [name] if input is None else [name, "x".join(map(str, input))]
    asked += [] if classes is None else [f"{classes}_classes"]
    called = "_".join(asked)
    return graph if graph.name == called else evolve(graph, name=called)


def _described(name: str) -> Graph:
    """What the function of this name describes, for the images that it is asked for."""
    entry = _known()[name]
    return _papers(entry, name) if asked_images() is None else _calling(entry, name)


@lru_cache(maxsize=128)
def _papers(entry: Entry, name: str) -> Graph:
    """The network for its paper's images; a process builds it once, since nothing changes it."""
    return _calling(entry, name)


def _calling(entry: Entry, name: str) -> Graph:
    try:
        return entry.describe(name)
    except KeyError as error:
        if error.args != (name,):
            raise
        where = entry.describe.__module__
        why = f"{where} has no data under this name: add its line there"
        raise BadAddress(name, why) from None


def _resized(name: str, images: Shape) -> Graph:
    """The network for images of another shape."""
    whole = isinstance(images, tuple) and all(type(n) is int and n > 0 for n in images)
    if not whole or len(images) != 3:
        wanted = "a shape (C, H, W) of positive whole numbers"
        raise BadOption(f"{name}: input", wanted, str(images))
    try:
        with images_of(images):
            graph = _described(name)
    except ShapeMismatch as error:
        own = f"choose images of another size than {images}, such as its own {_own_images(name)}"
        raise evolve(error, hint=own) from None
    if graph.input != images:
        why = f"the function that describes it made one of {graph.input}"
        raise Unsupported(f"{name} with images of {images}", why, "let it make its Builder anew")
    return graph


def _own_images(name: str) -> Shape:
    with images_of(None):
        return _described(name).input


def family(name: str) -> str:
    """The family of an architecture: the word that selects it together with its relatives."""
    return _known()[name].family


def groups() -> dict[str, tuple[str, ...]]:
    """All that may be asked for, and the architectures that it means."""
    known: dict[str, tuple[str, ...]] = {"all": names(), "headline": HEADLINE}
    for name in names():
        known[family(name)] = (*known.get(family(name), ()), name)
    # A name wins over a family of that name.
    return known | {name: (name,) for name in names()}


def select(wanted: Iterable[str]) -> tuple[str, ...]:
    """Names of architectures for names, family names, `headline` or `all`, each once, in order.

    Raises UnknownName with the nearest of all that may be asked for.
    """
    known = groups()
    chosen: dict[str, None] = {}
    for word in wanted:
        if word not in known:
            raise UnknownName("architecture", word, tuple(known))
        chosen |= dict.fromkeys(known[word])
    return tuple(chosen)
