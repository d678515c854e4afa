"""The vocabulary: one class an operator, found by name in ``OPERATORS``; importing a module here registers it."""

from snnconv.graph.operators import activation as activation
from snnconv.graph.operators import affine as affine
from snnconv.graph.operators import arithmetic as arithmetic
from snnconv.graph.operators import constant as constant
from snnconv.graph.operators import diagonals as diagonals
from snnconv.graph.operators import indexing as indexing
from snnconv.graph.operators import interpolation as interpolation
from snnconv.graph.operators import pieces as pieces
from snnconv.graph.operators import pooling as pooling
from snnconv.graph.operators import quantize_input as quantize_input
from snnconv.graph.operators import readout as readout
from snnconv.graph.operators import scattering as scattering
from snnconv.graph.operators import shape as shape
from snnconv.graph.operators import windows as windows
from snnconv.graph.operators.activation_function import ACTIVATION_FUNCTIONS as ACTIVATION_FUNCTIONS
from snnconv.graph.operators.activation_function import ActivationFunction as ActivationFunction
from snnconv.graph.operators.activation_function import PiecewiseLinear as PiecewiseLinear
from snnconv.graph.operators.activation_function import register_activation_function as register_activation_function
from snnconv.graph.operators.base import OPERATORS as OPERATORS
from snnconv.graph.operators.base import Classification as Classification
from snnconv.graph.operators.base import Operator as Operator
from snnconv.graph.operators.base import Role as Role
from snnconv.graph.operators.base import Spread as Spread
from snnconv.graph.operators.base import carried as carried
from snnconv.graph.operators.base import first_signal as first_signal
