"""What there is to run: modes where they are offered and change something, and nowhere else."""

from __future__ import annotations

import re

import pytest

from convbench.base.errors import ConvbenchError
from convbench.frameworks.modes import MODES, concerns, variant
from convbench.frameworks.registry import FRAMEWORKS
from convbench.front.cases import Case, Timed, cases, compared, shuffled, timed
from convbench.networks.zoo.names import architecture
from tests.support import fakes

BOTH = ("default", "native_groups")


def ids(*chosen):
    return [case.id for case in cases(*chosen)]


def test_by_default_each_architecture_is_one_case_in_each_framework():
    found = cases(("lenet5", "vgg16"), ("pytorch", "keras"), ("default",))
    assert [case.id for case in found] == [
        *("lenet5-pytorch", "lenet5-keras", "vgg16-pytorch", "vgg16-keras")
    ]
    assert found[0] == Case("lenet5", "pytorch", "default")


def test_a_mode_adjoins_the_default_where_it_is_offered_and_changes_something():
    assert ids(("lenet5", "alexnet"), ("pytorch", "keras"), BOTH) == [
        *("lenet5-pytorch", "lenet5-keras"),
        *("alexnet-pytorch", "alexnet-keras", "alexnet-keras-native_groups"),
    ]
    assert ids(("alexnet",), ("pytorch", "keras"), BOTH[1:]) == ["alexnet-keras-native_groups"]


def test_what_a_module_of_the_users_own_offers_is_for_it_to_say():
    assert ids(("lenet5",), (fakes.NAME,), ("default", "any")) == [
        *("lenet5-tests.support.fakes", "lenet5-tests.support.fakes-any")
    ]


WRONG = {
    "misspelt": (
        (("alexnet",), ("keras",), ("native_group",)),
        "unknown mode 'native_group'; did you mean native_groups?",
    ),
    "of another framework": (
        (("alexnet",), ("pytorch",), BOTH),
        "mode native_groups: pytorch cannot run in it; choose keras",
    ),
    "for other networks": (
        (("lenet5", "mobilenet"), ("pytorch", "keras"), ("native_groups",)),
        "mode native_groups: it changes none of the networks that were chosen; "
        "choose others, such as resnext50_32x4d",
    ),
}


def test_a_mode_that_changes_nothing_is_left_out_beside_others():
    found = cases(("lenet5",), ("pytorch", "keras"), BOTH)
    assert [case.id for case in found] == ["lenet5-pytorch", "lenet5-keras"]


@pytest.mark.parametrize(("chosen", "sentence"), WRONG.values(), ids=WRONG)
def test_a_mode_that_nothing_can_be_run_in_is_refused(chosen, sentence):
    with pytest.raises(ConvbenchError, match=f"^{re.escape(sentence)}$"):
        cases(*chosen)


@pytest.mark.parametrize(
    ("name", "grouped"), [("alexnet", True), ("vgg16", False), ("mobilenet", False)]
)
def test_groups_are_native_where_there_are_groups_of_several_maps(name, grouped):
    assert concerns("native_groups", architecture(name)) == grouped
    assert concerns("default", architecture(name))


def test_several_modes_at_once_are_one_whatever_their_order():
    chosen = ("pytorch",), ("channels_last+compiled", "compiled+channels_last")
    assert ids(("lenet5",), *chosen) == ["lenet5-pytorch-compiled+channels_last"]
    assert ids(("lenet5",), ("keras",), ("compiled+native_groups", "compiled")) == [
        "lenet5-keras-compiled"
    ], "without groups there is nothing for the second to change"


def test_a_precision_is_a_case_of_its_own_and_parity_looks_at_none_of_them():
    found = cases(("lenet5",), ("pytorch", "keras"), ("default",), ("float32", "bfloat16"))
    assert [case.variant for case in found] == [
        *("pytorch", "pytorch bfloat16", "keras", "keras bfloat16")
    ]
    assert [case.id for case in found][1] == "lenet5-pytorch-bfloat16"
    ((one, other),) = compared(found)
    assert (one.variant, other.variant) == ("pytorch", "keras")


def test_every_mode_that_a_framework_offers_is_explained():
    assert {mode for known in FRAMEWORKS.values() for mode in known.modes} == set(MODES)


def test_a_variant_is_named_by_its_mode_unless_that_is_the_default():
    assert variant("keras", "default") == "keras"
    assert variant("keras", "native_groups") == "keras native_groups"


CASES = cases(("lenet5", "vgg16", "zfnet"), ("pytorch", "keras"), ("default",))


def test_a_test_is_named_by_its_batch_and_process_where_there_are_several():
    one = CASES[:1]
    assert timed(one, "forward", (None,), 1) == {"lenet5-pytorch": Timed(one[0])}
    assert [*timed(one, "forward", (1, 8), 2)] == [
        *("lenet5-pytorch-batch1-process1", "lenet5-pytorch-batch1-process2"),
        *("lenet5-pytorch-batch8-process1", "lenet5-pytorch-batch8-process2"),
    ]
    assert timed(one, "forward", (1, 8), 1)["lenet5-pytorch-batch8"] == Timed(one[0], 8, 1)


def test_a_pass_is_timed_where_the_framework_has_it_and_the_mode_knows_it():
    chosen = cases(("lenet5",), ("pytorch", "keras"), ("default", "eager"))
    assert [*timed(chosen, "predict", (None,), 1)] == ["lenet5-keras"]
    assert len(timed(chosen, "forward", (None,), 1)) == 3


def blocks(seed, processes=20):
    items = [(what, "forward") for what in timed(CASES, "forward", (1, 8), processes).values()]
    ordered = shuffled(items, lambda item: item, seed)
    assert sorted(map(repr, ordered)) == sorted(map(repr, items)), "each once"
    size = len(items) // processes
    return [[what for what, _ in ordered[i : i + size]] for i in range(0, len(items), size)]


def test_each_block_has_one_process_of_each_task():
    for process, block in enumerate(blocks(1), start=1):
        assert {what.process for what in block} == {process}


def test_the_sides_of_a_ratio_are_neighbours_and_neither_is_always_the_first():
    pairs = [block[i : i + 2] for block in blocks(1) for i in range(0, len(block), 2)]
    for one, other in pairs:
        assert (one.case.architecture, one.batch) == (other.case.architecture, other.batch)
    first = sum(one.case.framework == "pytorch" for one, _ in pairs)
    assert 0.35 < first / len(pairs) < 0.65


def test_the_order_is_by_chance_and_the_same_for_the_same_seed():
    assert blocks(1) == blocks(1) != blocks(2)
    orders = {tuple(what.case.id for what in block) for block in blocks(1)}
    assert len(orders) > 10
