"""
Our daemon and a geth on one genesis, moved in step and compared after each step.

A step is one submission or one new head. It has ended when both answered and geth's background run has ended; then
content, counts, texts, nonces, and meters of both pools must be equal. What may differ is in `differences` and nowhere
else. Each block that geth follows must be VALID to it, so our state roots are compared too.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from config import NodeConfig
from config.schema import TxPoolConfig
from parallelpool.chain import Block, Header
from parallelpool.events import HeadChanged
from parallelpool.maintain import Maintenance
from parallelpool.node import Node
from parallelpool.node import running as our_node
from parallelpool.transaction import Transaction
from tests.factories import Key, decode
from tests.invariants import assert_pool
from tests.parallelpool.differential import geth as geths
from tests.parallelpool.differential.accounts import EVERYBODY, FLUSHER, GWEI, Draft, genesis
from tests.parallelpool.differential.differences import Answer, Difference, permitted, resettled, with_gaps
from tests.parallelpool.differential.geth import Geth
from tests.parallelpool.differential.price_heaps import GethPriceHeaps

METERS: Final = {
    "txpool_pending_discard": "pending_discard",
    "txpool_pending_replace": "pending_replace",
    "txpool_pending_ratelimit": "pending_ratelimit",
    "txpool_pending_nofunds": "pending_nofunds",
    "txpool_queued_discard": "queued_discard",
    "txpool_queued_replace": "queued_replace",
    "txpool_queued_ratelimit": "queued_ratelimit",
    "txpool_queued_nofunds": "queued_nofunds",
    "txpool_queued_eviction": "queued_eviction",
    "txpool_known": "known",
    "txpool_valid": "valid",
    "txpool_invalid": "invalid",
    "txpool_underpriced": "underpriced",
    "txpool_overflowed": "overflowed",
    "txpool_throttle": "throttled",
}
"""geth's meters and ours."""

GAUGES: Final = {"txpool_pending": "pending", "txpool_queued": "queued", "txpool_slots": "slots"}

STATELESS: Final = (
    "already known",
    "transaction type not supported",
    "oversized data",
    "max initcode size exceeded",
    "transaction gas limit too high",
    "exceeds block gas limit",
    "max priority fee per gas higher",
    "max fee per gas higher",
    "invalid sender",
    "nonce has max value",
    "intrinsic gas too low",
    "insufficient gas for floor data gas cost",
    "transaction gas price below minimum",
    "set code tx must have",
    "missing sidecar",
    "tx fee (",
    "only replay-protected",
    "rlp: ",
    "typed transaction too short",
)
"""Refusals after which geth starts no background run: its pool was never asked, or looked at the bytes alone."""

KEYS: Final = {"0x" + key.address.hex(): key for key in (*EVERYBODY, FLUSHER)}
"""Every account, as geth writes addresses inside transactions."""

SEEN: Final = [("txpool_content",), ("txpool_inspect",), ("txpool_status",)]


@dataclass
class Recalling:
    """The chain, for `Maintenance`, with the blocks that left it."""

    node: Node
    abandoned: dict[bytes, Block] = field(default_factory=dict)

    def head(self) -> Header:
        """The newest block."""
        return self.node.chain.head()

    async def block_by_hash(self, block_hash: bytes, /) -> Block | None:
        """A block, abandoned or not."""
        return self.abandoned.get(block_hash) or await self.node.chain.block_by_hash(block_hash)


@dataclass
class Pair:
    """Both nodes. `submit`, `seal` and `reorganize` are the steps."""

    node: Node
    geth: Geth
    session: aiohttp.ClientSession
    met: Counter[Difference] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    """Beginnings of the answers, for what a stream must have brought about."""
    blocks: list[Block] = field(default_factory=list)
    """The canonical chain above the genesis."""
    offsets: Counter[str] = field(default_factory=Counter)
    """geth's meter less ours, where a permitted difference moved them apart."""

    runs: int = 0
    """Background runs of geth's pool that the steps so far must bring about: each waits for its own."""
    marks: int = 0

    # -- steps

    async def submit(self, raw: bytes) -> Answer:
        """Sends the same bytes to both; answers, and afterwards pools, must be equal. Returns our answer."""
        message = _message("eth_sendRawTransaction", "0x" + raw.hex())
        ours = Answer.of(await self._post(self.node.server.http_url, message))
        theirs = Answer.of(await self._post(self.geth.url, message))
        if theirs.text is None or not theirs.text.startswith(STATELESS):
            self.runs += 1
        self.answers[(ours.text or "pooled").split(":")[0]] += 1
        if ours != theirs:
            await self._allow(ours, theirs)
        await self.compare()
        return ours

    async def _allow(self, ours: Answer, theirs: Answer) -> None:
        await self.geth.meters_after(self.runs)
        is_in_geth = False
        if theirs.tx_hash is not None:
            is_in_geth = theirs.tx_hash in str(await self._post(self.geth.url, _message("txpool_content")))
        difference = permitted(ours, theirs, is_in_geth=is_in_geth)
        assert difference is not None, f"ours: {ours}\ngeth: {theirs}"
        self.met[difference] += 1
        for meter in difference.moves:
            self.offsets[meter] += difference.moves[meter]

    async def seal(self) -> Block:
        """A block of our producer's making from our pool becomes the head of both."""
        block = await self._seal()
        await self.compare()
        return block

    async def _seal(self) -> Block:
        header = await self.node.producer.seal()
        block = await self._block(header.number)
        self.blocks.append(block)
        await self._lead_geth([block])
        await self.geth.meters_after(self.runs)
        return block

    async def reorganize(self, branch: Sequence[Sequence[Transaction]], *, depth: int) -> None:
        """The newest `depth` blocks give way to a branch with these transactions, as far as they can run there."""
        removed, self.blocks = self.blocks[-depth:], self.blocks[:-depth]
        core = self.node.chain.core
        core.revert_to(removed[0].header.number - 1)
        added: list[Block] = []
        for transactions in branch:
            candidates = [self._mark(), *transactions]
            built = core.build(self.node.producer.attributes(core.head()), candidates, "auto")
            core.commit(built)
            added.append(built.block)
        self.blocks.extend(added)
        abandoned = {block.header.hash: block for block in removed}
        change = HeadChanged(
            added=tuple(block.header for block in added), removed=tuple(block.header for block in removed)
        )
        maintenance = Maintenance(
            Recalling(self.node, abandoned), self.node.ingress, self.node.events, rejournal_s=3_600.0
        )
        await maintenance.move(change)
        # For the readers of heads; the node's own maintenance could not read blocks that are gone.
        self.node.events.publish(replace(change, removed=()))
        await self._lead_geth(added)
        await self.geth.meters_after(self.runs)
        await self._settle()
        await self.compare()

    def _mark(self) -> Transaction:
        """A transaction of its own for each block of a branch, or it might be the block that it replaces."""
        self.marks += 1
        account = self.node.chain.core.account(FLUSHER.address)
        (mark,) = decode([Draft(FLUSHER, account.nonce, value=self.marks, cap=100 * GWEI).raw])
        return mark

    async def _settle(self) -> None:
        """
        Brings both pools together again where a reorg has left gaps in geth's: fills them and seals a block.

        Until then they must hold the same transactions, and ours must have them where they belong. The block is
        needed because a filler sets geth's virtual nonce behind itself, below what is pending after it.
        """
        while gaps := await self._gaps():
            self.met[Difference.GAP_IN_PENDING] += len(gaps)
            for name in gaps:
                await self._fill(KEYS[name.lower()])
            await self._seal()

    async def _gaps(self) -> Sequence[str]:
        """Accounts whose pending transactions have gaps in geth's pool."""
        ours, theirs = [
            (await self._post(url, _message("txpool_content")))["result"]
            for url in (self.node.server.http_url, self.geth.url)
        ]
        accounts = self.node.chain.accounts([key.address for key in KEYS.values()])
        nonces = {name: account.nonce for name, account in zip(KEYS, accounts, strict=True)}
        settled = resettled(theirs, nonces)
        assert ours == settled, _apart(ours, settled)
        return with_gaps(theirs, settled)

    async def _fill(self, key: Key) -> None:
        """Fills the account's first gap."""
        draft = Draft(key, self.node.pool.nonce(key.address), tip=5 * GWEI, cap=50 * GWEI, value=0)
        message = _message("eth_sendRawTransaction", "0x" + draft.raw.hex())
        ours, theirs = [await self._post(url, message) for url in (self.node.server.http_url, self.geth.url)]
        assert ours == theirs, (ours, theirs)
        assert "result" in ours, f"a gap cannot be filled: {ours}"
        self.runs += 1
        await self.geth.meters_after(self.runs)

    # -- comparing

    async def compare(self) -> None:
        """Both pools, as their readers see them and by their meters, once geth's background run has ended."""
        meters = await self.geth.meters_after(self.runs)
        assert_pool(self.node.pool)
        nonces = [("eth_getTransactionCount", name, "pending") for name in KEYS]
        questions = [_message(*question, index=index) for index, question in enumerate([*SEEN, *nonces])]
        ours = await self._post(self.node.server.http_url, questions)
        theirs = await self._post(self.geth.url, questions)
        for question, our, their in zip(questions, ours, theirs, strict=True):
            # As text, for the order of keys is part of the answer.
            if json.dumps(our) != json.dumps(their):
                raise AssertionError(f"{question['method']}{question['params']}\n{_apart(our, their)}")
        self._compare_meters(meters)

    def _compare_meters(self, theirs: Mapping[str, int]) -> None:
        statistics = self.node.pool.statistics()
        ours = {name: getattr(statistics.meters, meter) for name, meter in METERS.items()}
        ours |= {name: getattr(statistics, gauge) for name, gauge in GAUGES.items()}
        expected = {name: theirs[name] - self.offsets[name] for name in ours}
        assert ours == expected, _apart(ours, expected)

    # -- heads

    async def _block(self, number: int) -> Block:
        block = await self.node.chain.block_by_number(number)
        assert block is not None
        return block

    async def _lead_geth(self, blocks: Sequence[Block]) -> None:
        """Gives geth the blocks and makes the last one its head."""
        for block in blocks:
            status = await self.geth.engine(
                "engine_newPayloadV4", _payload(block), [], "0x" + bytes(32).hex(), []
            )
            assert status["status"] == "VALID", status
        head = "0x" + blocks[-1].header.hash.hex()
        zero = "0x" + bytes(32).hex()
        state = {"headBlockHash": head, "safeBlockHash": zero, "finalizedBlockHash": zero}
        updated = await self.geth.engine("engine_forkchoiceUpdatedV3", state, None)
        assert updated["payloadStatus"]["status"] == "VALID", updated
        self.runs += 1

    async def _post(self, url: str | None, message: object) -> Any:
        assert url is not None
        async with self.session.post(url, data=json.dumps(message), headers=JSON_HEADERS) as response:
            return json.loads(await response.read())


JSON_HEADERS: Final = {"Content-Type": "application/json"}


def _message(method: str, *params: object, index: int = 0) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": index, "method": method, "params": params}


def _apart(ours: Any, theirs: Any) -> str:
    """Where two JSON answers differ, one line each."""
    lines = list(_walk("", ours, theirs))
    return "\n".join(lines[:40]) if lines else f"only in the order of keys: {ours} {theirs}"


def _walk(path: str, ours: Any, theirs: Any) -> Sequence[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        lines: list[str] = []
        for name in sorted(ours.keys() | theirs.keys()):
            lines += _walk(f"{path}/{name}", ours.get(name), theirs.get(name))
        return lines
    return [] if ours == theirs else [f"{path}: ours {ours}, geth {theirs}"]


def _payload(block: Block) -> dict[str, Any]:
    """The block as the engine API has it (from Prague on)."""
    header = block.header
    assert header.base_fee_per_gas is not None
    return {
        "parentHash": "0x" + header.parent_hash.hex(),
        "feeRecipient": "0x" + header.beneficiary.hex(),
        "stateRoot": "0x" + header.state_root.hex(),
        "receiptsRoot": "0x" + header.receipts_root.hex(),
        "logsBloom": "0x" + header.logs_bloom.hex(),
        "prevRandao": "0x" + header.mix_hash.hex(),
        "blockNumber": hex(header.number),
        "gasLimit": hex(header.gas_limit),
        "gasUsed": hex(header.gas_used),
        "timestamp": hex(header.timestamp),
        "extraData": "0x" + header.extra_data.hex(),
        "baseFeePerGas": hex(header.base_fee_per_gas),
        "blockHash": "0x" + header.hash.hex(),
        "transactions": ["0x" + tx.raw.hex() for tx in block.transactions],
        "withdrawals": [],
        "blobGasUsed": hex(header.blob_gas_used or 0),
        "excessBlobGas": hex(header.excess_blob_gas or 0),
    }


@asynccontextmanager
async def pair(folder: Path, *, gas_limit: int = 30_000_000, **limits: int) -> AsyncIterator[Pair]:
    """Both nodes with the same limits, for the length of a block."""
    document = genesis(gas_limit=gas_limit)
    genesis_file = folder / "genesis.json"
    genesis_file.write_text(json.dumps(document))
    config = NodeConfig(genesis=genesis_file, ipcdisable=True, txpool=TxPoolConfig(**limits))  # type: ignore[arg-type]
    config = replace(
        config,
        dev=replace(config.dev, enabled=True, mine="manual"),
        miner=replace(config.miner, gaslimit=gas_limit),
        http=replace(config.http, port=0),
        ws=replace(config.ws, enabled=True, port=0),
        metrics=replace(config.metrics, enabled=False),
    )
    flags = [word for name, limit in limits.items() for word in (f"--txpool.{name}", str(limit))]
    async with (
        aiohttp.ClientSession() as session,
        geths.running(folder / "geth", document, *flags, session=session) as geth,
        our_node(config) as node,
    ):
        # Nothing is pooled yet, so the order can be exchanged. It has no base fee: geth learns one at its first head.
        index = node.pool._holdings.index
        index.prices = GethPriceHeaps(index)
        yield Pair(node, geth, session)
