from .parser import create_parser

__all__ = ["create_parser"]
