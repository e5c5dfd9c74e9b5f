"""The version of the Python files, which the C extension has to share."""

__version__ = "0.1.0"
