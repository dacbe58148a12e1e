"""Configuration: geth's flag names, TOML keys and environment variables in, frozen settings out."""

from config.load import load
from config.schema import NodeConfig

__all__ = ["NodeConfig", "load"]
