"""Models of the built-in host."""

from .simvp_model import SimVP_Model

__all__ = ["SimVP_Model"]
