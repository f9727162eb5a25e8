from .config_utils import load_config
from .parser import create_parser

__all__ = ["create_parser", "load_config"]
