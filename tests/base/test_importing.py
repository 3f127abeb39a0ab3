"""A callable of one's own by its place: what is sent, what is refused, what is found again."""

from __future__ import annotations

import functools
import sys
import types

import pytest

from convbench.base.errors import Unsupported
from convbench.base.importing import Reference, refer, used_by


def make(width=1, *, depth=2):
    return ("made", width, depth)


class Maker:
    """A class with other ways to make one."""

    @classmethod
    def small(cls):
        return cls()

    def __call__(self):
        return self

    def __eq__(self, other):
        return type(self) is type(other)

    __hash__ = None


hidden = make
make_other = functools.wraps(make)(lambda: "other")
nameless = lambda: "made"  # noqa: E731  (it is what is refused)


def outer():
    def inner():
        return "made"

    class Inside:
        pass

    return inner, Inside, lambda: "made"


@pytest.mark.parametrize(
    ("given", "label", "made"),
    [
        (make, "make", ("made", 1, 2)),
        (f"{__name__}:make", "make", ("made", 1, 2)),
        (hidden, "make", ("made", 1, 2)),
        (functools.partial(make), "make()", ("made", 1, 2)),
        (functools.partial(make, 3, depth=[4]), "make(3, depth=[4])", ("made", 3, [4])),
        (functools.partial(functools.partial(make, 3), depth=5), "make(3, depth=5)", None),
        (Maker, "Maker", Maker()),
        (Maker.small, "Maker.small", Maker()),
        (f"{__name__}:Maker.small", "Maker.small", Maker()),
        (types.SimpleNamespace, "SimpleNamespace", types.SimpleNamespace()),
    ],
)
def test_what_is_sent_makes_the_same_elsewhere(given, label, made):
    reference = refer(given)
    assert reference.label == label
    assert reference.load()() == (("made", 3, 5) if made is None else made)


def test_a_label_stays_short():
    assert len(refer(functools.partial(make, "x" * 1000)).label) < 80


REFUSED = {
    "a lambda": (lambda: 1, "<lambda>: no other process can import it, because it is a lambda; "),
    "a lambda with a name": (nameless, "<lambda>: no other process can import it, because it is a"),
    "a lambda inside": (outer()[2], "because it is a lambda; define it at the top level of a mod"),
    "a local function": (outer()[0], "inner: no other process can import it, because it is defin"),
    "a local class": (outer()[1], "because it is defined inside outer; define it at the top level"),
    "bound to a lambda": (functools.partial(lambda x: x, 1), "because it is a lambda; define"),
    "another's name": (make_other, f"make: no other process can import it, because {__name__}.mak"),
    "a model": (Maker(), "an object of type Maker: a worker cannot make it anew; give the funct"),
    "a method of a model": (Maker().__call__, f"because {__name__}.Maker.__call__ is something el"),
    "a number": (3, "an object of type int: a worker cannot make it anew; give the function or"),
    "text without a colon": ("models.make", "'models.make': it is not of the form module:name; a"),
    "text that names nothing": ("models:", "'models:': it is not of the form module:name; as in"),
    "text that is code": ("models:make()", "it is not of the form module:name"),
    "arguments for here alone": (
        functools.partial(make, lambda: 1),
        "its arguments cannot be sent to another process: ",
    ),
}


@pytest.mark.parametrize(("given", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_no_other_process_finds_is_refused_with_what_to_do(given, sentence):
    with pytest.raises(Unsupported) as refused:
        refer(given)
    assert sentence in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_what_belongs_to_the_program_that_was_started_is_refused(monkeypatch):
    monkeypatch.setattr(make, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "make", make, raising=False)
    with pytest.raises(Unsupported, match="because it belongs to the program that was started"):
        refer(make)


class Unreadable:
    def __reduce__(self):
        return int, ("no number",)


LOST = {
    "no module": (Reference("nowhere.at_all", "make"), "import of nowhere.at_all: it fails with"),
    "no name": (Reference(__name__, "mak"), f"{__name__}:mak: there is no mak; did you mean make"),
    "no name like it": (Reference(__name__, "Maker.zzzz"), "there is no zzzz; give the name of a"),
    "no callable": (Reference(__name__, "LOST"), f"{__name__}:LOST: it is of type dict; give a"),
    "arguments": (
        refer(functools.partial(make, Unreadable())),
        "its bound arguments: they cannot be read in the worker: ValueError: invalid literal",
    ),
}


@pytest.mark.parametrize(("reference", "sentence"), LOST.values(), ids=LOST)
def test_what_a_worker_cannot_load_is_refused_in_one_sentence(reference, sentence):
    with pytest.raises(Unsupported) as refused:
        reference.load()
    assert sentence in str(refused.value)


def test_what_a_module_uses_is_seen_without_calling_anything(monkeypatch):
    module = types.ModuleType("mine")
    monkeypatch.setitem(sys.modules, "mine", module)
    module.functions, module.kind, module.call = functools, types.SimpleNamespace, pytest.raises
    module.value = Maker()
    assert used_by("mine") == {"functools", "types", "_pytest"}
    assert used_by("not.imported") == set()
