"""The vocabulary: one class an operator, found by name in ``OPERATORS``; importing a module here registers it."""

from snnconv.operators import activation as activation
from snnconv.operators import affine as affine
from snnconv.operators import arithmetic as arithmetic
from snnconv.operators import constant as constant
from snnconv.operators import grid as grid
from snnconv.operators import pieces as pieces
from snnconv.operators import pooling as pooling
from snnconv.operators import readout as readout
from snnconv.operators import shape as shape
from snnconv.operators.activation_function import ACTIVATION_FUNCTIONS as ACTIVATION_FUNCTIONS
from snnconv.operators.activation_function import ActivationFunction as ActivationFunction
from snnconv.operators.activation_function import PiecewiseLinear as PiecewiseLinear
from snnconv.operators.activation_function import register_activation_function as register_activation_function
from snnconv.operators.operator import OPERATORS as OPERATORS
from snnconv.operators.operator import Classification as Classification
from snnconv.operators.operator import Operator as Operator
from snnconv.operators.operator import Role as Role
from snnconv.operators.operator import Spread as Spread
from snnconv.operators.operator import carried as carried
from snnconv.operators.operator import first_signal as first_signal
