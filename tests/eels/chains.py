"""
Random chains that go through all forks since the merge, made by the engine block by block.

Every third block or so a fork begins; blob parameters change twice after Osaka. Transactions are of every public type
and call random programs, precompiles and the system contracts.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from parallelpool.chain import BlockAttributes, CoreChain, Workers, dev_genesis
from parallelpool.transaction import Transaction, keccak256
from tests.eels.programs import PRECOMPILES, init_code, precompile_input, program
from tests.factories import CHAIN_ID, Key, Rlp, decode, rlp

SECONDS_PER_BLOCK = 12
FORK_TIMES = {
    "paris": 0,
    "shanghai": 36,
    "cancun": 72,
    "prague": 108,
    "osaka": 144,
    "bpo1": 180,
    "bpo2": 216,
}
"""Names of the forks as the specification has them, and when each begins."""
BLOCKS = 21

WITHDRAWAL_REQUESTS = bytes.fromhex("00000961Ef480Eb55e80D19ad83579A64c007002")
CONSOLIDATION_REQUESTS = bytes.fromhex("0000BBdDc7CE488642fb579F8B00f3a590007251")
BEACON_ROOTS = bytes.fromhex("000F3df6D732807Ef1319fB7B8bB8522d0Beac02")
BLOCK_HASHES = bytes.fromhex("0000F90827F1C53a10cb7A02335B175320002935")

GWEI = 10**9


def fork_at(timestamp: int) -> str:
    """The newest fork."""
    return [name for name, since in FORK_TIMES.items() if since <= timestamp][-1]


@dataclass
class RandomChain:
    """A chain in the making. The same seed makes the same chain."""

    seed: int
    genesis: dict[str, Any] = field(init=False)
    """geth's genesis document."""
    types: dict[int, int] = field(default_factory=dict)
    """Transactions in blocks, by type."""
    failed: int = 0
    requests: int = 0

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._keys = [Key(secret) for secret in range(1, 9)]
        self._addresses = [key.address for key in self._keys]
        self._addresses += [self._random.randbytes(20) for _ in range(2)]
        self._addresses += [self._random.choice(PRECOMPILES).to_bytes(20, "big") for _ in range(2)]
        self._contracts = [self._random.randbytes(20) for _ in range(6)]
        self._addresses += self._contracts
        self.genesis = self._document()

    def blocks(self) -> Iterator[bytes]:
        """RLP of each block, built serially on the engine's chain in memory."""
        chain = CoreChain.open(json.dumps(self.genesis).encode(), None, Workers(1))
        try:
            for number in range(1, BLOCKS + 1):
                attributes = self._attributes(chain, number)
                built = chain.build(attributes, self._candidates(chain, number), "serial")
                chain.commit(built)
                self._count(built)
                yield built.block.raw
        finally:
            chain.close()

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(dev_genesis())
        config = document["config"]
        del config["parallelTxType"]
        config["chainId"] = CHAIN_ID
        config |= {f"{name}Time": time for name, time in FORK_TIMES.items() if name != "paris"}
        alloc = {address: account for address, account in document["alloc"].items() if "code" in account}
        alloc |= {f"0x{key.address.hex()}": {"balance": hex(10**20)} for key in self._keys}
        for address in self._contracts:
            code = program(self._random, self._addresses)
            storage = {f"0x{slot:064x}": f"0x{self._random.randrange(1, 99):064x}" for slot in range(3)}
            account = {"balance": "0x2710", "nonce": "0x1", "code": f"0x{code.hex()}", "storage": storage}
            alloc[f"0x{address.hex()}"] = account
        # Small blocks, so that the base fee moves.
        return document | {"alloc": alloc, "gasLimit": hex(6_000_000), "timestamp": "0x0"}

    def _attributes(self, chain: CoreChain, number: int) -> BlockAttributes:
        random, parent, timestamp = self._random, chain.head(), number * SECONDS_PER_BLOCK
        step = parent.gas_limit // 1024 - 1
        withdrawals = None
        if fork_at(timestamp) != "paris":
            withdrawals = [
                (index, index, random.choice(self._addresses), random.randrange(3))
                for index in range(random.randrange(4))
            ]
        beacon_root = keccak256(number.to_bytes(8, "big")) if timestamp >= FORK_TIMES["cancun"] else None
        return BlockAttributes(
            timestamp=timestamp,
            beneficiary=random.choice([*self._addresses, bytes(19) + b"\xbe"]),
            prev_randao=random.randbytes(32),
            gas_limit=parent.gas_limit + random.randrange(-step, step),
            parent_beacon_block_root=beacon_root,
            withdrawals=withdrawals,
        )

    def _candidates(self, chain: CoreChain, number: int) -> list[Transaction]:
        nonces = {key.secret: chain.account(key.address).nonce for key in self._keys}
        base_fee = chain.next_base_fee() or 0
        raw = []
        for _ in range(self._random.randrange(2, 14)):
            key = self._random.choice(self._keys)
            raw.append(self._signed(key, nonces, base_fee, number))
        return decode(raw)

    def _signed(self, key: Key, nonces: dict[int, int], base_fee: int, number: int) -> bytes:
        random, fork = self._random, fork_at(number * SECONDS_PER_BLOCK)
        types = [0, 1, 2, 2]
        # Not just before Prague, where the specification takes what its parent has left over for zero.
        if number >= 6 and number != 8:
            types.append(3)
        if number >= 9:
            types += [4, 4]
        kind = random.choice(types)
        to, value, data = self._message(random, number)
        if kind in (3, 4) and not to:
            to = random.choice(self._contracts)
        nonce = nonces[key.secret]
        nonces[key.secret] += 1
        tip = random.randrange(3) * GWEI
        gas = random.choice([60_000, 200_000, 900_000])
        prices: list[Rlp] = [base_fee + tip] if kind < 2 else [tip, base_fee + tip + random.randrange(GWEI)]
        fields: list[Rlp] = [nonce, *prices, gas, to, value, data]
        if kind == 0:
            parity, r, s = key.sign(keccak256(rlp([*fields, CHAIN_ID, 0, 0])))
            return rlp([*fields, CHAIN_ID * 2 + 35 + parity, r, s])
        slots: list[Rlp] = [slot.to_bytes(32, "big") for slot in range(random.randrange(3))]
        accesses: list[Rlp] = [[random.choice(self._addresses), slots]] if random.random() < 0.5 else []
        fields = [CHAIN_ID, *fields, accesses]
        if kind == 3:
            hashes: list[Rlp] = [b"\x01" + random.randbytes(31) for _ in range(random.randrange(1, 5))]
            fields += [GWEI, hashes]
        if kind == 4:
            assert fork not in ("paris", "shanghai", "cancun")
            fields.append([self._authorization(key, nonces) for _ in range(random.randrange(1, 4))])
        prefix = bytes([kind])
        return prefix + rlp([*fields, *key.sign(keccak256(prefix + rlp(fields)))])

    def _message(self, random: Random, number: int) -> tuple[bytes, int, bytes]:
        draw = random.randrange(20)
        if draw < 3:
            return b"", random.choice([0, 5]), init_code(random, self._addresses)
        if draw < 6:
            return random.choice(self._addresses), random.choice([0, 1, GWEI]), b""
        if draw < 8:
            precompile = random.choice(PRECOMPILES)
            return precompile.to_bytes(20, "big"), 0, precompile_input(random, precompile)
        if draw == 8:
            return WITHDRAWAL_REQUESTS, random.choice([0, 1, 10]), random.randbytes(56)
        if draw == 9:
            return CONSOLIDATION_REQUESTS, random.choice([0, 1, 10]), random.randbytes(96)
        if draw == 10:
            time = SECONDS_PER_BLOCK * random.randrange(number + 1)
            return BEACON_ROOTS, 0, time.to_bytes(32, "big")
        if draw == 11:
            return BLOCK_HASHES, 0, random.randrange(number + 1).to_bytes(32, "big")
        return (
            random.choice(self._contracts),
            random.choice([0, 0, 7]),
            random.randbytes(random.randrange(70)),
        )

    def _authorization(self, sender: Key, nonces: dict[int, int]) -> Rlp:
        random = self._random
        authority = random.choice(self._keys)
        target = random.choice([*self._contracts, bytes(20), random.choice(self._addresses)])
        is_good = random.random() < 0.8
        nonce = nonces[authority.secret] if is_good else 77
        if is_good:
            nonces[authority.secret] += 1
        message: list[Rlp] = [random.choice([0, CHAIN_ID]), target, nonce]
        return [*message, *authority.sign(keccak256(b"\x05" + rlp(message)))]

    def _count(self, built: Any) -> None:
        for receipt in built.receipts:
            self.types[receipt.type] = self.types.get(receipt.type, 0) + 1
            self.failed += not receipt.success
        empty = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        self.requests += built.block.header.requests_hash not in (None, empty)
        for transaction, receipt in zip(built.block.transactions, built.receipts, strict=True):
            if receipt.contract_address is not None and receipt.success:
                self._contracts.append(receipt.contract_address)
                self._addresses.append(receipt.contract_address)
            assert transaction.type == receipt.type
