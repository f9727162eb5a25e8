"""Building blocks of the built-in SimVP: one file per translator."""

from .autoencoder import Decoder, Encoder
from .translators import build_translator, list_translators

__all__ = ["Decoder", "Encoder", "build_translator", "list_translators"]
