"""One module per JSON-RPC namespace (`eth` in several); each gives its part of the method table."""
