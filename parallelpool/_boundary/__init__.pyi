"""Parts of the stub of `parallelpool._core`, which re-exports them. For type checkers: nothing of it exists at runtime."""
