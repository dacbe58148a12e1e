"""Blocks of this engine, executed by the executable specification of Ethereum (EELS, `ethereum-execution`)."""
