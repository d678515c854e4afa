"""The root of the project's family of errors; it lives in the lowest package so that every package can raise it."""


class SnnconvError(Exception):
    """Base of every error this project raises on purpose."""


class InputError(SnnconvError, ValueError):
    """Calibration data, test data or an input of the network has a wrong shape, type, device or value."""


class ConfigurationError(SnnconvError, ValueError):
    """A hyper-parameter or an option has a value that cannot work."""
