"""The ledger: what is the same however it is written, and each difference by its name."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from attrs import evolve

from convbench import architecture
from convbench.checks.explain.differences import Counts
from convbench.checks.explain.explain import nearer
from convbench.checks.explain.explanation import Explanation
from convbench.checks.explain.ledger import COUNTED, UNUSED, ledger
from convbench.frameworks.trace import Held, Step, described
from convbench.networks.builder import Builder
from convbench.networks.ops import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    MaxPool,
    Multiply,
    Pad,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Softmax,
)
from tests.support.random_graphs import CHANGES, changed, lines_of, random_graph, rebuilt, shuffled

SEEDS = range(20)


def differences(one, other):
    """The ledger of one graph against another, which has to close whatever it says."""
    found = ledger(described(one), described(other))
    assert found.closes
    return found


def kinds(found):
    return [entry.kind for entry in found.entries]


def network(*lines, image=(3, 8, 8)):
    """Layers one after the other, or on the inputs that they name, before a softmax."""
    net = Builder("net", image)
    x = net.input
    for at, op, *inputs in lines:
        x = net(at, op, *(inputs or [x]))
    net("softmax", Softmax(), x)
    return net.graph()


def test_answers_are_compared():
    def telling(*outputs, end=None):
        net = Builder("net", (3, 8, 8))
        x = net("relu", Relu(), net("conv", Conv(4, kernel=3, padding=1), net.input))
        x = net("flatten", Flatten(), net("pool", GlobalAvgPool(), x))
        net("softmax", Softmax(), net("fc", Dense(10), x))
        trace = described(net.graph())
        *steps, last = trace.steps
        places = [step.address for step in trace.steps]
        return evolve(
            trace,
            steps=(*steps, evolve(last, layer=end or last.layer)),
            outputs=tuple(places.index(name) for name in outputs),
        )

    def entries(theirs):
        found = ledger(telling("softmax"), theirs)
        assert found.closes
        return [(entry.kind, entry.text) for entry in found.entries]

    assert entries(telling("fc")) == entries(telling("softmax", "fc")) == []
    assert entries(telling("softmax", "relu")) == [("output extra", "ReLU")]
    assert entries(telling("relu")) == [
        ("output extra", "ReLU"),
        ("output missing", "dense layer"),
    ]
    sigmoid = [("activation", "sigmoid instead of softmax")]
    assert entries(telling("softmax", end=Sigmoid())) == sigmoid
    twice = telling("softmax")
    second = evolve(twice.steps[-1], address="again", inputs=(len(twice.steps) - 1,))
    twice = evolve(twice, steps=(*twice.steps, second), outputs=(len(twice.steps),))
    assert entries(twice) == [("layer extra", "softmax")]


def test_a_network_of_many_blocks_is_soon_held_against_one_of_none():
    """As many ways lead through residual blocks as two to the power of their number."""
    net = Builder("residual", (3, 16, 16))
    x = net("stem", Conv(8, kernel=3, stride=2, padding=1), net.input)
    for i in range(64):
        x = net(f"sum{i}", Add(), x, net(f"act{i}", Sigmoid(), x))
    x = net("last", Conv(8, kernel=3, padding=1), x)
    x = net("flatten", Flatten(), net("pool", GlobalAvgPool(), x))
    net("softmax", Softmax(), net("fc", Dense(10), x))
    plain = network(
        ("stem", Conv(8, kernel=3, padding=1)),
        ("last", Conv(8, kernel=3, padding=1)),
        ("pool", GlobalAvgPool()),
        ("flatten", Flatten()),
        ("fc", Dense(10)),
        image=(3, 16, 16),
    )
    assert not differences(plain, net.graph()).same


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_is_itself_in_whatever_order_it_is_written(seed):
    graph = random_graph(seed)
    assert differences(graph, shuffled(graph, seed)).entries == ()


@pytest.mark.parametrize(
    "name", ["inception_v3", "nasnet_mobile", "densenet121", "preact_resnet50"]
)
def test_a_paper_s_network_is_itself_in_whatever_order_it_is_written(name):
    graph = architecture(name)
    assert differences(graph, shuffled(graph, 1)).same


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.kind)
def test_one_change_is_one_entry_of_its_kind(change):
    made = 0
    for seed in SEEDS:
        graph = random_graph(seed)
        other = changed(graph, change, seed)
        if other is not None:
            found = differences(graph, shuffled(other, seed))
            assert kinds(found) == [change.kind], seed
            assert not found.same
            made += 1
    assert made > 5


def test_three_changes_at_once_are_all_named_more_often_than_not():
    outcomes = Counter()
    for seed in range(40):
        graph = other = random_graph(seed)
        names = []
        for change in Random(seed).sample(CHANGES, 3):
            made = None if other.auxiliary else changed(other, change, seed)
            if made is not None:
                other = made
                names.append(change.kind)
        outcomes[sorted(kinds(differences(graph, other))) == sorted(names)] += 1
    assert outcomes[True] > 30


END = [("pool", GlobalAvgPool()), ("flatten", Flatten()), ("fc", Dense(5))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            [("conv", Conv(4, kernel=3, stride=2, padding=1)), *END],
            [("pad", Pad(1)), ("conv", Conv(4, kernel=3, stride=2)), *END],
        ),
        (
            [("relu", Relu()), ("max", MaxPool(3, stride=2, padding=1)), *END],
            [("relu", Relu()), ("pad", Pad(1)), ("max", MaxPool(3, stride=2)), *END],
        ),
        (
            [("pool", GlobalAvgPool()), ("flatten", Flatten()), ("fc", Dense(5))],
            [("pool", GlobalAvgPool()), ("fc", Conv(5, kernel=1)), ("flatten", Flatten())],
        ),
        (
            [("flatten", Flatten()), ("fc", Dense(5))],
            [("fc", Conv(5, kernel=8)), ("flatten", Flatten())],
        ),
        (
            [*END],
            [
                ("pool", AvgPool(8, stride=1, count_padding=False)),
                ("flatten", Flatten()),
                ("fc", Dense(5)),
            ],
        ),
        (
            [
                ("a", Relu(), "input"),
                ("b", Sigmoid(), "input"),
                ("sum", Add(), "a", "b", "input"),
                *END,
            ],
            [
                ("a", Relu(), "input"),
                ("b", Sigmoid(), "input"),
                ("first", Add(), "input", "b"),
                ("sum", Add(), "first", "a"),
                *END,
            ],
        ),
        (
            [
                ("a", Relu(), "input"),
                ("b", Sigmoid(), "input"),
                ("all", Concat(), "a", "b", "input"),
                *END,
            ],
            [
                ("a", Relu(), "input"),
                ("b", Sigmoid(), "input"),
                ("two", Concat(), "a", "b"),
                ("all", Concat(), "two", "input"),
                *END,
            ],
        ),
    ],
    ids=["padding", "pooling", "scores", "dense", "mean", "sum", "concatenation"],
)
def test_two_ways_to_write_the_same_are_the_same(one, other):
    assert differences(network(*one), network(*other)).entries == ()


def test_a_value_times_its_own_sigmoid_is_silu():
    trace = described(network(("silu", Silu()), *END))
    images, silu, *rest = trace.steps
    gate = Step("gate", Sigmoid(), (0,), images.output)
    product = evolve(silu, layer=Multiply(), inputs=(0, 1))
    later = [evolve(step, inputs=tuple(i + 1 for i in step.inputs)) for step in rest]
    written_out = evolve(trace, steps=(images, gate, product, *later), outputs=(5,))
    assert ledger(trace, written_out).entries == ()


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        # Zeros win over negative values: before a ReLU padding is not the pool's own.
        (
            [("max", MaxPool(3, stride=2, padding=1)), *END],
            [("pad", Pad(1)), ("max", MaxPool(3, stride=2)), *END],
            ["layer extra", "padding"],
        ),
        (
            [("mean", AvgPool(3, stride=2, padding=1, count_padding=True)), *END],
            [("mean", AvgPool(3, stride=2, padding=1, count_padding=False)), *END],
            ["padding counted"],
        ),
        (
            [("conv", Conv(4, kernel=3, stride=2, padding=(0, 1, 0, 1))), *END],
            [("conv", Conv(4, kernel=3, stride=2, padding=1)), *END],
            ["padding"],
        ),
        (
            [("max", MaxPool(2, stride=2)), *END],
            [("max", MaxPool(2, stride=2, padding=(0, 1, 0, 1))), *END],
            ["padding"],
        ),
        (
            [("a", Relu(), "input"), ("b", Sigmoid(), "input"), ("x", Add(), "a", "b"), *END],
            [("a", Relu(), "input"), ("b", Sigmoid(), "a"), ("x", Add(), "a", "b"), *END],
            ["order of operations"],
        ),
    ],
)
def test_what_only_looks_the_same_is_told(one, other, kind):
    image = (3, 9, 9) if kind == ["padding"] and one[0][0] == "max" else (3, 8, 8)
    found = differences(network(*one, image=image), network(*other, image=image))
    assert kinds(found) == kind


def test_a_stride_that_moved_is_one_difference_with_the_operations_that_it_costs():
    found = differences(architecture("resnet50"), architecture("resnet50_v1_5"))
    assert kinds(found) == ["stride position"] * 3
    assert [entry.theirs for entry in found.entries] == [
        (f"conv{i}_1.conv1", f"conv{i}_1.conv2") for i in (3, 4, 5)
    ]
    # The first 1x1 runs on four times the positions: 3 x 256 x 128 x 28 x 28 for conv3_1.
    assert [entry.delta for entry in found.entries] == [Counts(macs=3 * 256 * 128 * 28 * 28)] * 3


def test_auxiliary_heads_are_one_difference_each():
    found = differences(architecture("googlenet"), architecture("googlenet_aux"))
    assert kinds(found) == ["auxiliary head added"] * 2
    back = differences(architecture("googlenet_aux"), architecture("googlenet"))
    assert kinds(back) == ["auxiliary head missing"] * 2
    assert [e.delta for e in back.entries] == [Counts() - e.delta for e in found.entries]


def test_blocks_that_are_missing_are_whole_blocks():
    (found,) = differences(architecture("resnet101"), architecture("resnet50")).entries
    assert found.kind == "layers missing"
    assert found.text == "51 convolutions, 51 batch norms, 51 ReLUs, 17 sums"
    assert (found.ours[0], found.ours[-1]) == ("conv4_2.conv1", "conv4_18.relu3")


def test_what_follows_from_a_difference_is_counted_with_it():
    one, other = (
        network(("a", Conv(n, kernel=3)), ("bn", BatchNorm(eps=0.1, decay=0.9)), *END)
        for n in (4, 6)
    )
    (entry,) = differences(one, other).entries
    assert (entry.kind, entry.theirs) == ("channels", ("a",))
    assert entry.text == "6 instead of 4; 2 layers behind it follow"
    assert entry.delta.parameters == 2 * (27 + 1) + 2 * 2 + 2 * 5  # conv, batch norm, dense layer


def test_another_image_is_told_with_all_that_follows():
    one, other = architecture("vgg16"), architecture("vgg16", input=(3, 192, 192))
    (entry,) = differences(one, other).entries
    assert (entry.kind, entry.text[:29]) == ("image", "3x192x192 instead of 3x224x22")
    assert entry.delta.parameters == 512 * 4096 * (36 - 49)


def test_statistics_that_a_framework_counts_are_an_entry_and_no_difference():
    trace = described(architecture("resnet18"))
    keras = evolve(trace, framework="keras", printed=trace.parameters + trace.buffers)
    found = ledger(trace, keras)
    assert kinds(found) == [COUNTED]
    assert found.entries[0].delta == Counts(trace.buffers)
    assert found.closes
    assert found.same


def test_arrays_that_no_step_uses_are_told():
    trace = described(architecture("lenet5_keras"))
    array = Held("spare/weight", "weight", (3, 4), trainable=True)
    spare = evolve(trace, unused=(array,), parameters=trace.parameters + 12)
    found = ledger(trace, evolve(spare, printed=spare.parameters))
    assert [(e.kind, e.theirs, e.delta) for e in found.entries] == [
        (UNUSED, ("spare",), Counts(12))
    ]
    assert found.closes
    assert not found.same


@pytest.mark.parametrize(
    ("change", "gap"),
    [
        ({"printed": 60_001, "parameters": 60_001}, Counts(parameters=1)),
        ({"buffers": 830}, Counts(buffers=-10)),
        ({"macs": 325_681}, Counts(macs=1)),
    ],
)
def test_a_ledger_that_does_not_close_says_by_how_much(change, gap):
    trace = described(architecture("lenet5"))
    found = ledger(trace, evolve(trace, **change))
    assert found.gap == gap
    assert not found.closes
    assert not found.same


def test_an_array_that_two_steps_share_counts_once():
    trace = described(network(("a", Conv(3, kernel=1)), ("b", Conv(3, kernel=1)), *END))
    one, other = trace.steps[1], trace.steps[2]
    steps = (*trace.steps[:2], Step("b", other.layer, (1,), other.output, one.tensors))
    shared = evolve(trace, steps=(*steps, *trace.steps[3:]), parameters=trace.parameters - 12)
    found = ledger(trace, evolve(shared, printed=shared.parameters))
    assert found.closes
    assert [(e.kind, e.delta) for e in found.entries] == [("shared weights", Counts(-12))]


def test_what_could_not_be_seen_proves_nothing():
    graph = architecture("lenet5")
    found = ledger(described(graph), described(graph))
    sure = Explanation("mine", "lenet5", "keras", found)
    doubtful = evolve(sure, doubts=("conv may change conv/kernel before it is used",))
    assert (sure.same, doubtful.same) == (True, False)
    assert sure.paragraph.startswith("mine is lenet5 as its paper describes it: 60,000 parameters")
    assert doubtful.paragraph.startswith("mine may be lenet5, but that is not proven: 60,000")
    assert doubtful.paragraph.endswith("Conv may change conv/kernel before it is used.")


def test_who_names_the_wrong_network_is_told_the_right_one():
    trace = described(architecture("resnet50_v1_5"))
    found = ledger(described(architecture("resnet50")), trace)
    assert nearer(trace, found, "resnet50") == "It is resnet50_v1_5."


def test_who_names_the_wrong_network_is_told_a_nearer_one():
    slim = described(
        rebuilt(
            architecture("inception_resnet_v2_slim"),
            [
                (at, Relu6() if at == "stem_1.relu" else op, inputs)
                for at, op, inputs in lines_of(architecture("inception_resnet_v2_slim"))
            ],
        )
    )
    named = ledger(described(architecture("inception_resnet_v2")), slim)
    said = nearer(slim, named, "inception_resnet_v2")
    assert said.startswith("It is nearer to inception_resnet_v2_slim, with one kind of differences")


def test_no_other_network_is_named_where_few_things_differ():
    graph = architecture("resnet18")
    wider = described(architecture("resnet18", classes=1001))
    found = ledger(described(graph), wider)
    assert len(found.entries) == 1
    assert nearer(wider, found, "resnet18") is None


def test_a_network_that_no_other_is_nearer_to_is_not_sent_away():
    trace = described(architecture("alexnet_bn"))
    found = ledger(described(architecture("alexnet_single")), trace)
    assert nearer(trace, found, "alexnet_bn") is None
    same = ledger(trace, trace)
    assert nearer(trace, same, "alexnet_bn") is None


@pytest.mark.parametrize(
    ("allowed", "accepted", "first"),
    [
        ((), False, "mine is not net as its paper describes it: "),
        (("epsilon",), False, "mine is not net as its paper describes it: "),
        (("epsilon", "channels"), True, "mine is net as its paper describes it, but for what is a"),
    ],
)
def test_what_is_allowed_is_told_last_and_marked(allowed, accepted, first):
    one, other = (
        network(("bn", BatchNorm(eps=eps, decay=0.9)), ("a", Conv(n, kernel=3)), *END)
        for eps, n in ((0.1, 4), (0.2, 6))
    )
    found = Explanation("mine", "net", "pytorch", differences(one, other), allowed=allowed)
    assert (found.accepted, found.same) == (accepted, False)
    assert found.paragraph.startswith(first)
    assert ("epsilon (allowed)" in found.text()) == bool(allowed)
    if allowed == ("epsilon",):
        assert found.paragraph.index("hannels: 6") < found.paragraph.index("epsilon: 0.2")


def test_padding_that_shifts_the_grid_does_not_answer_for_another_stride():
    def strided(stride, padding):
        return network(
            ("a", Conv(4, kernel=3, stride=stride, padding=1)),
            ("b", Conv(4, kernel=3, stride=2, padding=padding)),
            ("c", Conv(4, kernel=3, padding=1)),
            *END,
            image=(3, 16, 16),
        )

    found = differences(strided(2, 1), strided(1, (0, 1, 0, 1)))
    assert [(e.kind, e.delta.macs > 0) for e in found.entries] == [
        ("stride", True),
        ("padding", False),
    ]
    assert found.entries[1].text == "top 0 bottom 1 left 0 right 1 instead of 1"
