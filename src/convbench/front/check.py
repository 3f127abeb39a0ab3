"""`convbench.check`: the command `convbench check` for one network, as a function."""

from __future__ import annotations

from convbench.base.errors import Unsupported
from convbench.checks import structure
from convbench.checks.structure import CheckReport
from convbench.measure.run import ask_check
from convbench.measure.worker.launcher import Launcher
from convbench.networks.graph import Graph
from convbench.networks.zoo.names import architecture
from convbench.papers.sources import tables_folder
from convbench.papers.tables import read_table


def check(network: str | Graph, framework: str | None = None) -> CheckReport:
    """Checks a network against the tables printed in its paper.

    `network` is a name, or a graph with that name. With a framework, `pytorch` or `keras`, its
    model of the network is built in a worker process and checked as well; without one the table
    is compared with the arithmetic alone. The report's `proven` says whether all agrees.

    Raises UnknownName for a name that is not known, TableError for a graph that does not have the
    nodes of its table, Unsupported for a graph with a framework, FrameworkMissing, WorkerFailed.
    """
    if framework is None:
        graph = architecture(network) if isinstance(network, str) else network
        architecture(graph.name)  # refuses a graph for which there is no table
        return structure.check(graph, read_table(graph.name, tables_folder()), others=architecture)
    if isinstance(network, Graph):
        why = "a framework's model is made from the name of a network"
        raise Unsupported(f"check of a graph in {framework}", why, "give the name, or no framework")
    architecture(network)  # refuses an unknown name before a worker starts
    with Launcher(framework) as launcher, launcher.open(f"{framework} structure") as child:
        return ask_check(child, network, tables_folder())
