"""
Random bytecode that means nothing and does a lot.

Pieces leave the stack as they found it or richer, so most programs run to an end of their own; bytes without any
sense come in between. Another generator than the core's: its programs were written, these are drawn.
"""

from random import Random

from tests.factories import Key

PRECOMPILES = [*range(1, 18), 0x100]
"""Addresses of precompiles up to Osaka. Before its fork each is an ordinary account."""

_UNARY = [0x15, 0x19, 0x31, 0x35, 0x3B, 0x3F, 0x40, 0x49, 0x51, 0x54, 0x5C, 0x1E]
_BINARY = [*range(0x01, 0x08), 0x0A, 0x0B, *range(0x10, 0x15), *range(0x16, 0x19), *range(0x1A, 0x1E)]
_ENVIRONMENT = [0x30, 0x32, 0x33, 0x34, 0x36, 0x38, 0x3A, 0x3D, *range(0x41, 0x49), 0x4A, 0x58, 0x59, 0x5A]
_CALLS = [0xF1, 0xF1, 0xF2, 0xF4, 0xFA]


def push(value: int | bytes) -> bytes:
    """The shortest push of a number, or a push of these bytes."""
    data = value if isinstance(value, bytes) else value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes([0x5F + len(data)]) + data


def program(random: Random, addresses: list[bytes], *, pieces: int = 12) -> bytes:
    """Runtime code that looks at, calls, pays and creates whatever it likes; 20-byte addresses to choose from."""
    return b"".join(_piece(random, addresses) for _ in range(random.randrange(1, pieces))) + _end(
        random, addresses
    )


def init_code(random: Random, addresses: list[bytes]) -> bytes:
    """Code of a creation: does something, then returns a program as a rule."""
    runtime = program(random, addresses, pieces=6)
    work = b"".join(_piece(random, addresses) for _ in range(random.randrange(3)))
    if random.random() < 0.1:
        return work + runtime
    return work + into_memory(runtime) + push(len(runtime)) + push(0) + b"\xf3"


def into_memory(data: bytes) -> bytes:
    """Writes bytes to memory from 0 on."""
    code = b""
    for offset in range(0, len(data), 32):
        code += push(data[offset : offset + 32].ljust(32, b"\0")) + push(offset) + b"\x52"
    return code


def precompile_input(random: Random, address: int) -> bytes:
    """What the precompile may take for good."""
    word = random.randbytes
    if address == 1:
        digest = word(32)
        parity, r, s = Key(random.randrange(1, 1_000)).sign(digest)
        return digest + (27 + parity).to_bytes(32, "big") + r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if address == 5:
        lengths = [random.randrange(34) for _ in range(3)]
        return b"".join(each.to_bytes(32, "big") for each in lengths) + word(sum(lengths))
    if address in (6, 7):
        one, two = (1).to_bytes(32, "big"), (2).to_bytes(32, "big")
        return one + two + (one + two if address == 6 else word(32))
    if address == 9:
        return random.randrange(20).to_bytes(4, "big") + word(208) + bytes([random.randrange(3)])
    if address == 10:
        # The commitment to zero, opened at any point.
        infinity = b"\xc0" + bytes(47)
        versioned = bytes.fromhex("010657f37554c781402a22917dee2f75def7ab966d7b770905398eba3c444014")
        return versioned + b"\0" + word(31) + bytes(32) + infinity + infinity
    if address in (11, 13):
        return bytes(256 if address == 11 else 512)
    if address == 16:
        return bytes(17) + word(47)
    return b"" if address in (8, 12, 14, 15) else word(random.randrange(200))


def _piece(random: Random, addresses: list[bytes]) -> bytes:
    draw = random.randrange(100)
    if draw < 14:
        return _number(random, addresses) + push(random.randrange(6)) + b"\x55"
    if draw < 26:
        return _number(random, addresses) + _number(random, addresses) + bytes([random.choice(_BINARY)])
    if draw < 40:
        return (
            _number(random, addresses) + bytes([random.choice(_UNARY)]) + push(random.randrange(6)) + b"\x55"
        )
    if draw < 50:
        return bytes([random.choice(_ENVIRONMENT)]) + push(random.randrange(6)) + b"\x55"
    if draw < 66:
        return _call(random, addresses)
    if draw < 72:
        code = init_code(random, addresses)[:300]
        salt, kind = (push(random.randrange(3)), b"\xf5") if random.random() < 0.6 else (b"", b"\xf0")
        made = into_memory(code) + salt + push(len(code)) + push(0) + push(random.randrange(2)) + kind
        return made + push(random.randrange(6)) + b"\x55"
    if draw < 80:
        topics = random.randrange(5)
        words = b"".join(_number(random, addresses) for _ in range(topics))
        return words + push(random.randrange(70)) + push(random.randrange(40)) + bytes([0xA0 + topics])
    if draw < 86:
        return _copy(random, addresses)
    if draw < 90:
        return _number(random, addresses) + push(random.randrange(3)) + b"\x5d"
    if draw < 94:
        # Jumps over what must not run.
        return push(1) + b"\x58\x60\x06\x01\x57\xfe\x5b"
    if draw < 98:
        return push(random.randrange(64)) + push(random.randrange(64)) + b"\x20"
    return random.randbytes(random.randrange(4))


def _number(random: Random, addresses: list[bytes]) -> bytes:
    draw = random.randrange(5)
    if draw == 0:
        return push(random.choice(addresses))
    if draw == 1:
        return push(random.randbytes(random.randrange(1, 33)))
    if draw == 2:
        return push(2 ** random.randrange(257) - 1)
    return push(random.randrange(300))


def _call(random: Random, addresses: list[bytes]) -> bytes:
    kind = random.choice(_CALLS)
    if random.random() < 0.4:
        number = random.choice(PRECOMPILES)
        data, target = precompile_input(random, number), number.to_bytes(20, "big")
    else:
        data, target = random.randbytes(random.choice([0, 32, 70])), random.choice(addresses)
    value = push(random.choice([0, 0, 1, 1_000])) if kind in (0xF1, 0xF2) else b""
    gas = push(random.choice([0, 30_000, 100_000])) if random.random() < 0.5 else b"\x5a"
    area = push(64) + push(random.choice([0, 256])) + push(len(data)) + push(0)
    result = push(random.randrange(6)) + b"\x55"
    return into_memory(data) + area + value + push(target) + gas + bytes([kind]) + result


def _copy(random: Random, addresses: list[bytes]) -> bytes:
    kind = random.choice([0x37, 0x39, 0x3C, 0x3E, 0x5E])
    target = push(random.choice(addresses)) if kind == 0x3C else b""
    length = 0 if kind == 0x3E else random.randrange(70)
    return (
        push(length)
        + push(random.randrange(40) if length else 0)
        + push(random.randrange(90))
        + target
        + bytes([kind])
    )


def _end(random: Random, addresses: list[bytes]) -> bytes:
    draw = random.randrange(20)
    if draw < 10:
        return b"\x00"
    if draw < 14:
        return push(random.randrange(70)) + push(0) + b"\xf3"
    if draw < 16:
        return push(random.randrange(70)) + push(0) + b"\xfd"
    if draw < 18:
        return push(random.choice(addresses)) + b"\xff"
    return b"\xfe" if draw == 18 else b""
