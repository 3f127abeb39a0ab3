"""`convbench explain`: whether somebody's model is the paper's network, and where it is not."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from convbench.base.errors import BadOption
from convbench.checks.explain.explain import explain
from convbench.checks.explain.loading import contained, load_model
from convbench.front.cli.shared import DIFFERS, OK, print_json
from convbench.networks.ops import Shape
from convbench.networks.zoo.names import architecture


def add_arguments(parser: Any) -> None:
    """The arguments of the command."""
    parser.add_argument(
        "model",
        metavar="MODULE:CALLABLE",
        help="what returns the model when called without arguments, or is one",
    )
    parser.add_argument("--as", dest="as_", metavar="NAME", required=True, help="an architecture")
    parser.add_argument(
        "--input", metavar="C,H,W", help="images of both (default: the model's, the paper's)"
    )
    parser.add_argument("--classes", metavar="N", help="classes that the paper's is given")
    parser.add_argument(
        "--allow",
        metavar="KINDS",
        default="",
        help="differences that do not matter: epsilon,momentum",
    )


def run(options: argparse.Namespace) -> int:
    """Prints paragraph and ledger; 1 if the model is another network than what is allowed."""
    image = None if options.input is None else _shape(options.input)
    classes = None if options.classes is None else _number("--classes", options.classes)
    graph = architecture(options.as_, input=image, classes=classes)
    allow = [kind.strip() for kind in options.allow.split(",") if kind.strip()]
    with quietly(), contained(options.model):
        model = load_model(options.model)
        found = explain(model, graph, input=image, name=options.model, allow=allow)
    if options.format == "json":
        print_json(found.as_json())
    else:
        print(found.text(options.format))
    return OK if found.accepted else DIFFERS


TENSORFLOW = re.compile(rb"(WARNING: All log|To enable the following|[IW]\d{4} |\d{4}-.*: [IW] )")
"""How lines begin that TensorFlow writes when it is imported, whatever it is told."""


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Leaves out of the standard error what TensorFlow says of itself, and nothing else."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            for line in said:
                if not TENSORFLOW.match(line):
                    os.write(2, line)


def _shape(text: str) -> Shape:
    sizes = tuple(_number("--input", part, TRIPLE) for part in text.split(","))
    if len(sizes) != 3:
        raise BadOption("--input", TRIPLE, text)
    return sizes


TRIPLE = "three numbers C,H,W of 1 or more, as in 3,224,224"


def _number(option: str, text: str, wanted: str = "a whole number of 1 or more") -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise BadOption(option, wanted, text)
    return int(text)
