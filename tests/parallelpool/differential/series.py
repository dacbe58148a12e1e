"""
Random series of blocks to simulate, for `test_simulations`.

Codes are short programs over six accounts: logs, calls with value, delegations, self-destructs, creations, reverts with
and without a reason, hashes of blocks, what the environment says. Nothing asks for what no client sends, such as fields
of two types of transactions in one message.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Final

ACCOUNTS: Final = tuple(bytes([0xC0 + place]) + bytes(19) for place in range(6))

ENVIRONMENT: Final = (0x32, 0x33, 0x3A, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x4A)
"""ORIGIN to BLOBBASEFEE, but for those that take operands."""

INIT_CODES: Final = ("00", "5f5ffd", "60015f5fa1", "73" + ACCOUNTS[1].hex() + "ff", "fe")

PRECOMPILES: Final = tuple("0x" + f"{place:040x}" for place in (1, 2, 4, 9))


def hex_of(octets: bytes) -> str:
    """As JSON has it."""
    return "0x" + octets.hex()


def word(value: int) -> str:
    """32 bytes."""
    return "0x" + f"{value:064x}"


def push(value: int, size: int | None = None) -> bytes:
    """PUSH of a number."""
    octets = value.to_bytes(size or max(1, (value.bit_length() + 7) // 8), "big")
    return bytes([0x5F + len(octets)]) + octets


def account(random: Random) -> bytes:
    """PUSH of one of the accounts."""
    return push(int.from_bytes(random.choice(ACCOUNTS), "big"), 20)


# ------------------------------------------------------------------ code


def logs(random: Random) -> bytes:
    """A log of up to four topics."""
    topics = random.randrange(5)
    pushed = b"".join(push(random.randrange(1 << 40)) for _ in range(topics))
    return pushed + push(random.choice((0, 32, 64))) + push(0) + bytes([0xA0 + topics])


def pays(random: Random) -> bytes:
    """CALL or CALLCODE with a value that may be too high."""
    value, gas = push(random.choice((0, 1, 5, 10**6))), push(random.choice((5_000, 30_000, 100_000)))
    return push(0) * 4 + value + account(random) + gas + bytes([random.choice((0xF1, 0xF1, 0xF2)), 0x50])


def delegates(random: Random) -> bytes:
    """DELEGATECALL or STATICCALL."""
    return push(0) * 4 + account(random) + push(50_000) + bytes([random.choice((0xF4, 0xFA)), 0x50])


def asks_precompile(random: Random) -> bytes:
    """The first word of memory to a precompile."""
    target = push(random.choice((1, 2, 4)))
    return push(32) + push(0) + push(32) + push(0) + target + push(50_000) + b"\xfa\x50"


def creates(random: Random) -> bytes:
    """CREATE with value."""
    init = bytes.fromhex(random.choice(INIT_CODES))
    stored = b"\x7f" + init.ljust(32, b"\0") + b"\x5f\x52"
    return stored + push(len(init)) + b"\x5f" + push(random.choice((0, 3, 10**9))) + b"\xf0\x50"


def destroys(random: Random) -> bytes:
    """SELFDESTRUCT."""
    return account(random) + b"\xff"


def stores(random: Random) -> bytes:
    """What the environment says, the hash of a block before, or a number, to a slot."""
    what = random.randrange(3)
    if what == 0:
        value = bytes([random.choice(ENVIRONMENT)])
    elif what == 1:
        value = bytes([0x60, random.choice((1, 2, 3)), 0x43, 0x03, 0x40])
    else:
        value = push(random.randrange(3))
    return value + push(random.randrange(4)) + b"\x55"


def looks(random: Random) -> bytes:
    """BALANCE, EXTCODESIZE or EXTCODEHASH, returned or reverted with."""
    opcode = bytes([random.choice((0x31, 0x3B, 0x3F))])
    return account(random) + opcode + b"\x5f\x52\x60\x20\x5f" + bytes([random.choice((0xF3, 0xFD))])


def gives_reason(_random: Random) -> bytes:
    """Solidity's Error("bad")."""
    selector = b"\x7f" + bytes.fromhex("08c379a0").ljust(32, b"\0") + b"\x5f\x52"
    length = push(0x20) + push(4) + b"\x52" + push(3) + push(0x24) + b"\x52"
    return (
        selector
        + length
        + b"\x7f"
        + b"bad".ljust(32, b"\0")
        + push(0x44)
        + b"\x52"
        + push(0x64)
        + b"\x5f\xfd"
    )


def fails(random: Random) -> bytes:
    """REVERT, INVALID, or too few words on the stack."""
    return bytes.fromhex(random.choice(("5f5ffd", "fe", "5001")))


PIECES: Final[tuple[Callable[[Random], bytes], ...]] = (
    logs,
    logs,
    pays,
    pays,
    delegates,
    asks_precompile,
    creates,
    destroys,
    stores,
    stores,
    looks,
    gives_reason,
    fails,
)


def code(random: Random) -> str:
    """A program of up to six pieces."""
    return hex_of(b"".join(random.choice(PIECES)(random) for _ in range(random.randint(1, 6))))


# ------------------------------------------------------------------ requests


def state_overrides(random: Random) -> dict[str, Any]:
    """Some of the accounts, and rarely a precompile."""
    overrides: dict[str, Any] = {}
    for owner in ACCOUNTS:
        if random.random() < 0.6:
            override: dict[str, Any] = {}
            if random.random() < 0.8:
                override["balance"] = hex(random.choice((0, 1, 10**3, 10**18, 10**20)))
            if random.random() < 0.6:
                override["code"] = code(random)
            if random.random() < 0.1:
                override["nonce"] = hex(random.choice((0, 1, 5)))
            if random.random() < 0.2:
                slots = {word(random.randrange(4)): word(random.randrange(3))}
                override[random.choice(("state", "stateDiff"))] = slots
            overrides[hex_of(owner)] = override
    if random.random() < 0.12:
        moved = {"movePrecompileToAddress": random.choice((hex_of(ACCOUNTS[5]), PRECOMPILES[0]))}
        overrides[random.choice(PRECOMPILES)] = random.choice(
            ({"code": code(random)}, {"balance": "0x5"}, moved)
        )
    return overrides


def message(random: Random) -> dict[str, Any]:
    """
    A call or a creation, most of them without fees.

    Of gas it has far too little or plenty: geth's words for the end of it depend on what it looked at first.
    """
    call: dict[str, Any] = {}
    if random.random() < 0.9:
        call["from"] = hex_of(random.choice(ACCOUNTS))
    if random.random() < 0.85:
        call["to"] = random.choice((*map(hex_of, ACCOUNTS), random.choice(PRECOMPILES)))
        if random.random() < 0.3:
            call["input"] = hex_of(random.randbytes(random.randrange(70)))
    else:
        call["input"] = code(random)
    if random.random() < 0.3:
        call["value"] = hex(random.choice((0, 1, 1_000)))
    if random.random() < 0.3:
        call["gas"] = hex(random.choice((20_000, 10**6)))
    if random.random() < 0.1:
        call["gasPrice"] = hex(random.choice((0, 1)))
    elif random.random() < 0.2:
        call["maxFeePerGas"] = hex(random.choice((0, 10)))
    if random.random() < 0.05:
        call["nonce"] = hex(random.choice((0, 1, 7)))
    if random.random() < 0.08 and "gasPrice" not in call:
        call["accessList"] = [{"address": hex_of(ACCOUNTS[2]), "storageKeys": [word(1)]}]
    return call


def block(random: Random) -> dict[str, Any]:
    """A block of up to three messages."""
    overrides: dict[str, Any] = {}
    for name, values in (
        ("gasLimit", (10**6, 10**8)),
        ("baseFeePerGas", (0, 1, 10)),
        ("blobBaseFee", (0, 1, 99)),
        ("difficulty", (5,)),
    ):
        if random.random() < 0.15:
            overrides[name] = hex(random.choice(values))
    if random.random() < 0.2:
        overrides["feeRecipient"] = hex_of(random.choice(ACCOUNTS))
    if random.random() < 0.2:
        overrides["prevRandao"] = word(random.randrange(99))
    if random.random() < 0.1:
        overrides["withdrawals"] = [
            {"index": "0x1", "validatorIndex": "0x2", "address": hex_of(ACCOUNTS[1]), "amount": "0x64"}
        ]
    return {
        "blockOverrides": overrides,
        "stateOverrides": state_overrides(random),
        "calls": [message(random) for _ in range(random.randrange(4))],
    }


def series(seed: int) -> dict[str, Any]:
    """Parameters of `eth_simulateV1`; the same for the same seed."""
    random = Random(seed)
    options: dict[str, Any] = {"blockStateCalls": [block(random) for _ in range(random.randint(1, 3))]}
    if random.random() < 0.6:
        options["traceTransfers"] = True
    if random.random() < 0.2:
        options["validation"] = True
    if random.random() < 0.3:
        options["returnFullTransactions"] = True
    return options
