"""What there is to run: modes where they are offered and change something, and nowhere else."""

from __future__ import annotations

import re

import pytest

from convbench.architectures import architecture
from convbench.cases import Case, cases
from convbench.errors import ConvbenchError
from convbench.frameworks import FRAMEWORKS
from convbench.modes import MODES, concerns, variant
from tests import fakes

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
        *("lenet5-tests.fakes", "lenet5-tests.fakes-any")
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


def test_every_mode_that_a_framework_offers_is_explained():
    assert {mode for known in FRAMEWORKS.values() for mode in known.modes} == set(MODES)


def test_a_variant_is_named_by_its_mode_unless_that_is_the_default():
    assert variant("keras", "default") == "keras"
    assert variant("keras", "native_groups") == "keras native_groups"
