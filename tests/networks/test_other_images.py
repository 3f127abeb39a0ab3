"""Known networks for other images and other classes: what changes, what stays, what is refused."""

from __future__ import annotations

import pytest
from attrs import evolve

from convbench.base.errors import BadOption, ShapeMismatch, Unsupported
from convbench.networks.builder import Builder
from convbench.networks.classes import with_classes
from convbench.networks.ops import Conv, Dense, Flatten, Input, MaxPool, Softmax, Subsample, same
from convbench.networks.zoo.names import ARCHITECTURES, Entry, added, architecture
from tests.networks.published.classic import D, vgg
from tests.networks.published.inception import inception_v3_body
from tests.networks.published.layers import dense
from tests.support.builders import graph

YES_OR_NO = ("cats_dogs_convnet", *(n for n in ARCHITECTURES if n.startswith("vgg16_cats_dogs")))


def test_vgg16_at_150_has_the_lectures_base_and_a_classifier_for_it():
    net, lecture = architecture("vgg16", input=(3, 150, 150), classes=10), graph("vgg16_cats_dogs")
    base = lecture.below("base")
    assert [n.output for n in net.nodes[1 : len(base) + 1]] == [n.output for n in base]
    assert sum(n.parameters for n in net.nodes[: len(base) + 1]) == 14_714_688
    assert net.parameters == 14_714_688 + dense(512 * 4 * 4, 4096, 4096, 10)
    assert net.parameters == vgg(*D) - dense(7 * 7 * 512, 4096, 4096, 1000) + dense(
        8192, 4096, 4096, 10
    )
    assert net.input == (3, 150, 150)


def test_resnet50_with_100_classes_loses_weights_of_its_last_layer_alone():
    net = architecture("resnet50", classes=100)
    assert net.parameters == 25_557_032 - dense(2048, 1000) + dense(2048, 100)
    assert {n.address for n in net if n not in graph("resnet50")} == {"fc", "softmax"}


def test_inception_v3_at_200_has_the_same_layers_on_smaller_grids():
    net, size = architecture("inception_v3", input=(3, 200, 200)), (3, 200, 200)
    assert net.parameters == graph("inception_v3").parameters
    assert [net[at].output[1] for at in ("mixed_35a.concat", "mixed_17a.concat")] == [22, 10]
    # The lectures' network has the same body, whose normalization has no scale.
    base = architecture("inception_v3_200", input=size).below("base")
    assert [n.output for n in base] == [net[n.address.removeprefix("base.")].output for n in base]
    assert sum(n.parameters for n in base) == inception_v3_body(norm=1)


def test_inception_v3_with_200_classes_scores_them_in_one_layer():
    net = architecture("inception_v3", classes=200)
    assert net.parameters == inception_v3_body(norm=2) + dense(2048, 200)


def test_auxiliary_classifiers_tell_the_same_classes_apart():
    net, own = architecture("googlenet_aux", classes=10), graph("googlenet_aux")
    changed = {n.address for n in net if n.op != own[n.address].op}
    assert changed == {"fc", "aux_4a.fc2", "aux_4d.fc2"}
    assert net.parameters == own.parameters - 3 * dense(1024, 1000) + 3 * dense(1024, 10)
    assert net.auxiliary == own.auxiliary
    assert [(h.output, h.weight) for h in net.heads] == [(h.output, h.weight) for h in own.heads]


def test_windows_of_a_fixed_size_hand_more_to_the_dense_layer():
    net = architecture("googlenet_aux", input=(3, 299, 299))
    pool = net["aux_4a.pool"].output
    assert pool == (512, 5, 5)  # (19 - 5) // 3 + 1
    assert net["aux_4a.fc1"].parameters == dense(128 * 5 * 5, 1024)
    assert net["fc"].parameters == dense(1024, 1000)


def test_what_is_frozen_stays_so():
    net = architecture("resnet50_cifar100_finetuned", input=(3, 48, 48), classes=7)
    own = graph("resnet50_cifar100_finetuned")
    assert [n.frozen for n in net] == [n.frozen for n in own]
    assert net.parameters == own.parameters - dense(256, 100) + dense(256, 7)
    assert net.buffers == own.buffers


def test_padding_is_computed_anew():
    net = architecture("resnet20_cifar_keras", input=(3, 17, 22))
    first = net["conv3_1.conv1"]
    assert first.output == (32, 9, 11)
    assert first.op.padding == (*same(17, 3, 2), *same(22, 3, 2)) == (1, 1, 0, 1)
    assert graph("resnet20_cifar_keras")["conv3_1.conv1"].op.padding == (0, 1, 0, 1)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_its_own_images_change_nothing_but_the_name(name):
    own = graph(name)
    same_size = architecture(name, input=own.input)
    assert same_size.name == f"{name}_{'x'.join(map(str, own.input))}"
    assert evolve(same_size, name=name) == own


@pytest.mark.parametrize("name", [n for n in ARCHITECTURES if n not in ("lenet5", *YES_OR_NO)])
def test_every_answer_has_the_classes_and_nothing_else_is_changed(name):
    net, own = architecture(name, classes=7), graph(name)
    assert {net[answer].output for answer in net.outputs} == {(7,)}
    changed = [n.address for n in net if n.op != own[n.address].op]
    assert len(changed) == len(net.outputs)
    assert {type(net[at].op) for at in changed} <= {Conv, Dense}
    assert [n.address for n in net] == [n.address for n in own]


def test_a_size_that_was_asked_for_is_forgotten_afterwards():
    with pytest.raises(ShapeMismatch):
        architecture("vgg16", input=(3, 20, 20))
    assert architecture("vgg16") == graph("vgg16")
    assert Builder("net", (1, 5, 5)).image == (1, 5, 5)


def test_a_network_for_other_images_does_not_go_by_the_papers_name():
    assert architecture("lenet5_keras", input=(1, 40, 36), classes=5).name == (
        "lenet5_keras_1x40x36_5_classes"
    )
    assert architecture("lenet5_keras", classes=5).name == "lenet5_keras_5_classes"


REFUSED = {
    "a shape of two": (
        ("vgg16", (150, 150), None),
        BadOption,
        "vgg16: input must be a shape (C, H, W) of positive whole numbers, but is '(150, 150)'",
    ),
    "a number": (("vgg16", 150, None), BadOption, "vgg16: input must be a shape (C, H, W)"),
    "nothing": (("vgg16", (3, 0, 150), None), BadOption, "but is '(3, 0, 150)'"),
    "no whole number": (("vgg16", (3, 150.0, 150), None), BadOption, "but is '(3, 150.0, 150)'"),
    "too small to pool": (
        ("vgg16", (3, 20, 20), None),
        ShapeMismatch,
        "vgg16.pool5: wants at least 2x2 positions for its kernel, but gets 1x1 with padding; "
        "choose images of another size than (3, 20, 20), such as its own (3, 224, 224)",
    ),
    "too small for a side head": (
        ("inception_v3_aux", (3, 200, 200), None),
        ShapeMismatch,
        "inception_v3_aux.aux.conv2.conv: wants at least 5x5 positions",
    ),
    "branches of two sizes": (
        ("bn_inception", (3, 240, 240), None),
        ShapeMismatch,
        "inception_4e.concat: wants two or more images of one size",
    ),
    "one class": (
        ("vgg16", None, 1),
        BadOption,
        "vgg16: classes must be a whole number of 2 or more, but is '1'",
    ),
    "half a class": (("vgg16", None, 2.5), BadOption, "but is '2.5'"),
    "fixed codes": (
        ("lenet5", None, 26),
        Unsupported,
        "lenet5 with 26 classes: its answer output is the distance to 10 fixed codes; "
        "leave classes out",
    ),
    **{
        name: (
            (name, None, 10),
            Unsupported,
            f"{name} with 10 classes: its answer sigmoid answers one yes-or-no question; "
            "leave classes out",
        )
        for name in YES_OR_NO
    },
}


@pytest.mark.parametrize(("asked", "error", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(asked, error, sentence):
    name, images, classes = asked
    with pytest.raises(error) as caught:
        architecture(name, input=images, classes=classes)
    assert sentence in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def net_of(*layers):
    net = Builder("net", (2, 8, 8))
    net.chain(net.input, *layers, ("softmax", Softmax()))
    return net.graph()


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        (
            (("pool", Subsample(8)), ("flatten", Flatten())),
            "its answer softmax comes from pool, whose Subsample has no width to change",
        ),
        (
            (("flatten", Flatten()),),
            f"its answer softmax comes from input, whose {Input.__name__} has no width to change",
        ),
        (
            (("conv", Conv(5, 1)), ("pool", MaxPool(4, stride=4)), ("flatten", Flatten())),
            "its answer softmax would have 12 values",
        ),
    ],
)
def test_scores_that_no_layer_of_their_own_makes_are_refused(layers, sentence):
    with pytest.raises(Unsupported, match=sentence):
        with_classes(net_of(*layers), 3)


def test_a_description_that_makes_its_builder_once_for_all_is_refused():
    made = graph("vgg16")
    refused = pytest.raises(Unsupported, match="the function that describes it made one of")
    with added({"made": Entry("made", lambda _: made)}), refused:
        architecture("made", input=(3, 64, 64))
