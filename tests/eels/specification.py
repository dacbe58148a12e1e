"""
Ethereum's executable specification as an executor of one block.

It shares nothing with the engine: another language, another EVM, other tries, other cryptography. A block goes in as
`random_blocks/export.rs` of the core writes it; what a header commits to, the receipts and the state come out.
"""

import importlib
from dataclasses import dataclass, fields
from types import ModuleType, SimpleNamespace
from typing import Any

from ethereum.crypto.hash import Hash32, keccak256
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes, Bytes20, Bytes32
from ethereum_types.numeric import U64, U256, Uint

FORKS = {
    "Frontier": "frontier",
    "Homestead": "homestead",
    "TangerineWhistle": "tangerine_whistle",
    "SpuriousDragon": "spurious_dragon",
    "Byzantium": "byzantium",
    # On mainnet both came at once, so the specification's Constantinople is what others call Petersburg.
    "Petersburg": "constantinople",
    "Istanbul": "istanbul",
    "Berlin": "berlin",
    "London": "london",
    "Paris": "paris",
    "Shanghai": "shanghai",
    "Cancun": "cancun",
    "Prague": "prague",
    "Osaka": "osaka",
}
"""Our name of each fork that the specification knows, and its own."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a block comes to. Hex strings throughout, so that it can be held against an exported one."""

    gas_used: str
    blob_gas_used: str
    bloom: str
    receipts_root: str
    receipts: tuple[str, ...]
    withdrawals_root: str | None
    requests: tuple[str, ...] | None
    state_root: str
    post: dict[str, dict[str, Any]]
    """By address: nonce, balance, codeHash, storage (slot -> value)."""


def execute(exported: dict[str, Any]) -> Verdict:
    """
    Executes an exported block on its state before it.

    Raises the specification's own exceptions where it holds the block to be invalid, KeyError for an unknown fork.
    """
    fork = Fork(FORKS[exported["fork"]])
    block = exported["block"]
    state = fork.state_of(exported["pre"], exported["codes"])
    environment = fork.environment(block, state)
    arguments: dict[str, Any] = {"transactions": tuple(map(fork.transaction, exported["transactions"]))}
    if block["withdrawals"] is not None:
        arguments["withdrawals"] = tuple(map(fork.withdrawal, block["withdrawals"]))
    elif "ommers" in fork.fork.apply_body.__annotations__:
        # Rewards look at these two fields only.
        arguments["ommers"] = tuple(
            SimpleNamespace(coinbase=fork.address(ommer["coinbase"]), number=_uint(ommer["number"]))
            for ommer in block["ommers"]
        )
    output = fork.fork.apply_body(environment, **arguments)
    return fork.verdict(output, state)


class Fork:
    """The specification's modules of one fork."""

    def __init__(self, name: str) -> None:
        def module(path: str) -> ModuleType:
            return importlib.import_module(f"ethereum.forks.{name}{path}")

        self.fork = module(".fork")
        self.vm = module(".vm")
        self.state = module(".state")
        self.trie = module(".trie")
        self.blocks = module(".blocks")
        self.transactions = module(".transactions")
        self.accounts = module(".fork_types")
        self.bloom = module(".bloom")

    def address(self, text: str) -> Any:
        return self.accounts.Address(_bytes(text))

    def state_of(self, accounts: dict[str, dict[str, Any]], codes: dict[str, str]) -> Any:
        state = self.state.State()
        for text, account in accounts.items():
            address = self.address(text)
            code = Bytes(_bytes(codes.get(account["codeHash"], "0x")))
            balance = U256(int(account["balance"], 16))
            self.state.set_account(
                state, address, self.accounts.Account(_uint(account["nonce"]), balance, code)
            )
            for slot, value in account["storage"].items():
                self.state.set_storage(state, address, Bytes32(_bytes(slot)), U256(int(value, 16)))
        return state

    def state_of_genesis(self, alloc: dict[str, dict[str, Any]]) -> Any:
        """The state of a genesis document's `alloc` as geth writes it."""
        accounts, codes = {}, {}
        for address, account in alloc.items():
            code = account.get("code", "0x")
            code_hash = _hex(keccak256(_bytes(code)))
            codes[code_hash] = code
            accounts[address] = {
                "nonce": hex(_any_base(account.get("nonce", "0x0"))),
                "balance": hex(_any_base(account["balance"])),
                "codeHash": code_hash,
                "storage": account.get("storage", {}),
            }
        return self.state_of(accounts, codes)

    def taken_over(self, state: Any) -> Any:
        """The same state in the types of this fork; `state` is of another."""
        mine = self.state.State()
        for address, account in state._main_trie._data.items():
            if account is not None:
                kind = self.accounts.Account
                self.state.set_account(mine, address, kind(account.nonce, account.balance, account.code))
        for address, storage in state._storage_tries.items():
            for slot, value in storage._data.items():
                self.state.set_storage(mine, address, slot, value)
        return mine

    def environment(self, block: dict[str, Any], state: Any) -> Any:
        known = {
            "chain_id": U64(int(block["chainId"], 16)),
            "state": state,
            "block_gas_limit": _uint(block["gasLimit"]),
            "block_hashes": [Hash32(_bytes(each)) for each in block["blockHashes"]],
            "coinbase": self.address(block["coinbase"]),
            "number": _uint(block["number"]),
            "time": U256(int(block["timestamp"], 16)),
            "difficulty": _uint(block["difficulty"]),
            "base_fee_per_gas": block["baseFee"] and _uint(block["baseFee"]),
            "prev_randao": block["prevRandao"] and Bytes32(_bytes(block["prevRandao"])),
            "excess_blob_gas": block["excessBlobGas"] and U64(int(block["excessBlobGas"], 16)),
            "parent_beacon_block_root": block["parentBeaconBlockRoot"]
            and Hash32(_bytes(block["parentBeaconBlockRoot"])),
        }
        kind = self.vm.BlockEnvironment
        return kind(**{field.name: known[field.name] for field in fields(kind)})

    def transaction(self, text: str) -> Any:
        raw = _bytes(text)
        if raw[0] < 0xC0:
            return Bytes(raw)
        kind = getattr(self.transactions, "LegacyTransaction", None) or self.transactions.Transaction
        return rlp.decode_to(kind, raw)

    def withdrawal(self, withdrawal: dict[str, str]) -> Any:
        return self.blocks.Withdrawal(
            index=U64(int(withdrawal["index"], 16)),
            validator_index=U64(int(withdrawal["validatorIndex"], 16)),
            address=self.address(withdrawal["address"]),
            amount=U256(int(withdrawal["amount"], 16)),
        )

    def verdict(self, output: Any, state: Any) -> Verdict:
        has_withdrawals = hasattr(output, "withdrawals_trie")
        return Verdict(
            gas_used=hex(output.block_gas_used),
            blob_gas_used=hex(getattr(output, "blob_gas_used", 0)),
            bloom=_hex(self.bloom.logs_bloom(output.block_logs)),
            receipts_root=_hex(self.trie.root(output.receipts_trie)),
            receipts=tuple(self._receipts(output)),
            withdrawals_root=_hex(self.trie.root(output.withdrawals_trie)) if has_withdrawals else None,
            requests=tuple(map(_hex, output.requests)) if hasattr(output, "requests") else None,
            state_root=_hex(self.state.state_root(state)),
            post=self._dump(state),
        )

    def _receipts(self, output: Any) -> list[str]:
        receipts = [self.trie.trie_get(output.receipts_trie, key) for key in output.receipt_keys]
        return [_hex(each if isinstance(each, bytes) else rlp.encode(each)) for each in receipts]

    def _dump(self, state: Any) -> dict[str, dict[str, Any]]:
        # The state's parts are private, and the specification has no other way to list them.
        accounts: dict[Bytes20, Any] = state._main_trie._data
        storage: dict[Bytes20, Any] = state._storage_tries
        return {
            _hex(address): {
                "nonce": hex(account.nonce),
                "balance": hex(account.balance),
                "codeHash": _hex(keccak256(account.code)),
                "storage": {
                    _hex(slot): f"0x{int(value):064x}"
                    for slot, value in (storage[address]._data.items() if address in storage else ())
                },
            }
            for address, account in accounts.items()
            if account is not None
        }


def _any_base(number: str | int) -> int:
    return number if isinstance(number, int) else int(number, 0)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _hex(data: bytes) -> str:
    return "0x" + bytes(data).hex()


def _uint(text: str) -> Uint:
    return Uint(int(text, 16))
