"""How instruction data lies in files: containers, shapes, and the way back."""

from .layout import JSON, BadRow, Fields, Layout, Shape

__all__ = ["JSON", "BadRow", "Fields", "Layout", "Shape"]
