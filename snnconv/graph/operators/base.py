"""The contract of an operator: what it is to a spiking network, and how it acts on signals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from snnconv.graph.graph import Argument, Node, Ref
from snnconv.graph.reach import NotAProductError

#: Arguments by schema name, references replaced by values.
Arguments = Mapping[str, Any]
#: Which arguments carry signals; a list for an argument that is a list of tensors.
Carries = Mapping[str, bool | list[bool]]


class Role(Enum):
    """What an operation is to the spiking network."""

    FRONT = "in front"  # makes real inputs of whole numbers
    MASK = "mask"  # says of every sample which pairs of a softmax are there
    CONSTANT = "constant"  # computed from parameters and shapes only
    LINEAR = "linear"  # affine in its signals
    SELECTION = "selection"  # affine, every output element is one input element or a constant
    POOL = "pool"  # a maximum over signals: a gate
    PRODUCT = "product"  # two signals that are multiplied: linear in each by itself
    ACTIVATION = "activation"  # becomes a population of neurons
    READOUT = "readout"  # nothing spiking after it: runs on the decoded output
    ANALOG = "analog"  # weighted, and behind a readout: stays real-valued
    REFUSED = "refused"


class Spread(Enum):
    """How an affine operation connects input elements to output elements."""

    ELEMENTWISE = "elementwise"  # one to one, every element staying where it is
    ONE_TO_ONE = "one to one"  # every input element reaches at most one output element, and that no other input
    MANY_TO_ONE = "many to one"  # every input element reaches at most one output element
    ONE_TO_MANY = "one to many"


@dataclass(frozen=True)
class Classification:
    """The role of one operation, and for what is not affine the reason and what the user can do."""

    role: Role
    reason: str = ""
    remedy: str = ""


class Operator(ABC):
    """One operator of the vocabulary; everything the project knows about it stands in its class.

    An affine operator is f(x) = h(x) + f(0): ``homogeneous`` gives the arguments under which ``evaluate`` is h, and
    ``paths`` is h with every synaptic weight set to one, so that it counts the ways from an input to an output element.

    Several operands may carry signals. Of a sum or a concatenation h is linear in all of them together, and nothing
    more is to be said: ``reach`` is the union of what each operand reaches, where one that the source does not feed is
    an empty ``Reach``; ``mixed_axis`` is asked for the operand that the source feeds. A product of two signals is
    linear in each of them by itself (``BilinearOperator``), and a station, as a population is: an affine region ends at
    each operand, and another begins at the result, so that only ``evaluate`` and ``macs`` are asked of it. ``ends``
    names the arguments of a station at which regions end.
    """

    #: Names in ATen's operator library (or our own, for what a rewrite makes) that this class serves.
    names: ClassVar[tuple[str, ...]]
    #: Every element of the result is one function of the elements of all signal operands at its place.
    pointwise: ClassVar[bool] = False

    def __init__(self, op: str) -> None:
        self.op = op

    @property
    def weighted(self) -> bool:
        """Whether it multiplies and accumulates: its class says how often."""
        return type(self).macs is not Operator.macs

    @abstractmethod
    def classify(self, node: Node, carries: Carries) -> Classification:
        """Role of ``node``, of which at least one argument carries a signal."""

    @abstractmethod
    def evaluate(self, arguments: Arguments) -> Any:
        """The result for concrete arguments; they are not changed."""

    def ends(self, node: Node) -> tuple[str, ...]:
        """Names of the arguments of ``node``, a station, at which affine regions end."""
        return ("self",)

    def homogeneous(self, arguments: Arguments, carries: Carries) -> Arguments:
        """Arguments of the map without its offset: constants that are added become zero."""
        return arguments

    def paths(self, arguments: Arguments, carries: Carries) -> Any:
        """Number of weighted paths that end in each output element, for path counts in the arguments."""
        return self.evaluate(self.homogeneous(arguments, carries))

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        """How input elements map to output elements; what is not known to be simpler is one to many.

        ``before`` and ``after`` are the shapes of one signal operand and of the result, for one sample.
        """
        return Spread.ONE_TO_MANY

    def mixed_axis(self, carries: Carries) -> int | None:
        """The one axis of its signal, from the end, along which the operation mixes elements; ``None`` for any other.

        Where it mixes one axis, an element reaches only elements that differ from it along this axis. ``carries`` says
        which operand is meant, where several carry signals.
        """
        return None

    def reach(self, arguments: Arguments) -> Any:
        """Elements of the result that each neuron of a source reaches: a ``Reach``, which signal arguments are too.

        A list of them where the result is a list. Raises ``NotAProductError`` where the operation is not known to
        connect elements along each axis by itself.
        """
        raise NotAProductError

    def macs(self, arguments: Arguments, carries: Carries, result: Any) -> int:
        """Multiply-accumulate operations of one evaluation; 0 for what only moves or adds."""
        return 0

    def channel_axis(self, node: Node, axis: int | None, shape: tuple[int, ...]) -> int | None:
        """Axis of the result along which channels lie, given that of the first signal operand and its ``shape``.

        Operands of a sum have one layout, so the first speaks for all; an operator that mixes layouts says ``None``.
        """
        return axis


class SelectionOperator(Operator):
    """An operator whose every output element is one input element or a constant: it moves signals, unchanged."""

    def classify(self, node: Node, carries: Carries) -> Classification:
        return Classification(Role.SELECTION)

    def spread(self, node: Node, before: tuple[int, ...], after: tuple[int, ...]) -> Spread:
        return Spread.ONE_TO_ONE


def per_axis(argument: Any, axis: int) -> Any:
    """The entry for one axis of a size, stride or padding, of which one for all axes may be given by itself."""
    if not isinstance(argument, (list, tuple)):
        return argument
    return argument[axis] if len(argument) > 1 else argument[0]


#: Operators by name. The only way from a name in a file to code.
OPERATORS: dict[str, Operator] = {}


def register(operator: type[Operator]) -> type[Operator]:
    """Class decorator that adds an operator to the vocabulary."""
    for name in operator.names:
        OPERATORS[name] = operator(name)
    return operator


def carried(node: Node, signals: Set[str]) -> dict[str, bool | list[bool]]:
    """Which arguments of ``node`` carry one of ``signals``."""

    def carries(argument: Argument) -> bool:
        return isinstance(argument, Ref) and argument.name in signals

    return {
        key: [carries(item) for item in value] if isinstance(value, (list, tuple)) else carries(value)
        for key, value in node.arguments.items()
    }


def first_signal(node: Node, signals: Set[str]) -> str:
    """Name of the first argument of ``node`` that carries a signal."""
    return next(name for name in node.refs() if name in signals)
