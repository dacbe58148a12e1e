"""Programs that use the daemon as its users do."""
