"""Neurons of other libraries, a module each; the library itself is loaded when one of its neurons is adapted."""
