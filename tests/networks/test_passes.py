"""The table of passes, and that whatever asks it agrees."""

from __future__ import annotations

from typing import get_args

from convbench.networks.passes import EVERYWHERE, PASSES, REPORTED, Pass
from convbench.networks.roofline import work
from convbench.networks.zoo.names import architecture


def test_every_pass_has_its_row():
    assert (*PASSES,) == get_args(Pass)


def test_the_orders_of_options_and_of_reports():
    assert EVERYWHERE == ("forward", "backward", "train_step")
    assert REPORTED == ("forward", "predict", "backward", "train_step")


def test_what_updates_weights_has_their_gradients():
    assert all(facts.goes_backward for facts in PASSES.values() if facts.trains)


def test_the_work_of_a_pass_follows_from_its_facts():
    graph = architecture("lenet5")
    works = {name: work(graph, name, 1, 4) for name in PASSES}
    assert works["predict"] == works["forward"] != works["backward"] != works["train_step"]
