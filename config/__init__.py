"""Configuration: geth's flag names, TOML keys and environment variables in, frozen settings out."""
