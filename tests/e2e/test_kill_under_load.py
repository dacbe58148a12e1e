"""
`kill -9` in the middle of everything: sealing, replacement, eviction, limits and rewriting of the journal at once.

Afterwards every acknowledged transaction is mined, pooled, or has a record that says why it left; and what was known to
have left is not back.
"""

import asyncio
import json
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp
import pytest

from tests.e2e import daemon as daemons
from tests.e2e.daemon import Daemon
from tests.e2e.signing import CHAIN_ID, GWEI, accounts, hash_of, newcomer
from tests.factories import Key, raw_legacy

FLAGS: Final = (
    *("--dev.period", "150ms", "--txpool.rejournal", "1s"),
    *("--txpool.globalslots", "24", "--txpool.accountslots", "4"),
    *("--txpool.globalqueue", "12", "--txpool.accountqueue", "6"),
)
"""Blocks all the time, and limits that are met all the time."""

BATCH: Final = 12
"""Submissions in one request."""

TARGET: Final = bytes.fromhex(newcomer("takes under load").address[2:])


@dataclass
class Story:
    """What the outside knows, over all lives of the daemon."""

    random: Random
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Hash -> sender, of all that were answered with their hash."""
    gone: set[str] = field(default_factory=set)
    """Hashes that the daemon said have left the pool, mined or dropped."""
    mined: set[str] = field(default_factory=set)
    read_to: int = -1
    """Newest block that was read."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Of departures, for what the load must have brought about."""


class Client:
    """One sender's load: a batch of submissions after the other, and questions about earlier ones."""

    def __init__(self, session: aiohttp.ClientSession, url: str, index: int, story: Story) -> None:
        self._session = session
        self._url = url
        self._address = accounts()[index].address
        self._key = Key(int.from_bytes(bytes(accounts()[index].key), "big"))
        self._story = story

    async def run(self) -> None:
        """Until the daemon is gone."""
        while True:
            nonce = int(await self._call("eth_getTransactionCount", self._address, "pending"), 16)
            await self._submit([self._draft(nonce) for _ in range(BATCH)])
            await self._ask()

    def _draft(self, nonce: int) -> str:
        """Next ones, replacements, gapped ones; cheap and dear."""
        random = self._story.random
        place = random.choice((0, 0, 0, 1, 1, 2, 3, -1, -1, -2, 5, 7))
        price = random.choice((2, 3, 4, 6, 9)) * GWEI + random.randrange(GWEI)
        raw = raw_legacy(
            self._key, max(0, nonce + place), price=price, gas=21_000, value=1, to=TARGET, chain_id=CHAIN_ID
        )
        return "0x" + raw.hex()

    async def _submit(self, raws: list[str]) -> None:
        batch = [_message("eth_sendRawTransaction", raw, index=index) for index, raw in enumerate(raws)]
        for raw, answer in zip(raws, await self._post(batch), strict=True):
            if "result" in answer:
                assert answer["result"] == hash_of(raw)
                self._story.acknowledged[answer["result"]] = self._address

    async def _ask(self) -> None:
        """What became of some of this sender's: a departure that is told holds for good."""
        story = self._story
        own = [tx for tx, sender in story.acknowledged.items() if sender == self._address][-40:]
        asked = story.random.sample(own, min(len(own), 8))
        batch = [_message("parallel_status", {"hash": tx}, index=index) for index, tx in enumerate(asked)]
        if not batch:
            return
        for tx, answer in zip(asked, await self._post(batch), strict=True):
            if answer["result"]["status"] in ("mined", "dropped"):
                story.gone.add(tx)

    async def _call(self, method: str, *params: object) -> Any:
        return (await self._post(_message(method, *params)))["result"]

    async def _post(self, message: object) -> Any:
        headers = {"Content-Type": "application/json"}
        async with self._session.post(self._url, data=json.dumps(message), headers=headers) as response:
            return json.loads(await response.read())


def _message(method: str, *params: object, index: int = 0) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": index, "method": method, "params": params}


async def load(node: Daemon, story: Story, acknowledgements: int) -> None:
    """All senders at once; the daemon is killed as soon as it has given so many more acknowledgements."""
    enough = len(story.acknowledged) + acknowledgements
    async with aiohttp.ClientSession() as session:
        clients = [Client(session, node.http_url, index, story) for index in range(len(accounts()))]
        tasks = [asyncio.create_task(client.run()) for client in clients]
        async with asyncio.timeout(120):
            while len(story.acknowledged) < enough:
                assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
                await asyncio.sleep(0.001)
        node.process.send_signal(signal.SIGKILL)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, aiohttp.ClientError | ConnectionError) for end in ended), ended


def check(node: Daemon, story: Story) -> None:
    """After a start, with blocks being made meanwhile: the pool is read before the chain."""
    content = node.call("txpool_content")
    pooled = {tx["hash"] for side in content.values() for txs in side.values() for tx in txs.values()}
    back = pooled & story.gone
    assert not back, [node.call("parallel_status", {"hash": tx}) for tx in back]
    head = node.number("eth_blockNumber")
    for number in range(story.read_to + 1, head + 1):
        story.mined.update(node.call("eth_getBlockByNumber", hex(number), False)["transactions"])
    story.read_to = head
    story.gone |= story.mined
    for tx in story.acknowledged:
        if tx in pooled or tx in story.gone:
            continue
        status = node.call("parallel_status", {"hash": tx})
        assert status["status"] in ("dropped", "mined"), status
        story.reasons[status.get("reason") or status["status"]] += 1
        story.gone.add(tx)
    assert node.number("eth_getBalance", "0x" + TARGET.hex(), hex(head)) == len(story.mined)


def survive(folder: Path, kills: int, seed: int, *flags: str) -> Story:
    """One data directory through so many lives."""
    story = Story(Random(seed))
    for _ in range(kills):
        node = daemons.start(folder / "data", *FLAGS, *flags)
        try:
            check(node, story)
            asyncio.run(load(node, story, story.random.randrange(20, 150)))
            assert node.stop(signal.SIGKILL) == -signal.SIGKILL
        finally:
            node.process.kill()
            node.stop()
    with daemons.running(folder / "data", *FLAGS, *flags) as node:
        check(node, story)
    return story


def was_met(story: Story) -> set[str]:
    """Kinds of departures that the load has brought about."""
    return set(story.reasons)


@pytest.mark.timeout(2_400)
def test_kills_under_load_lose_nothing_and_bring_nothing_back(tmp_path: Path) -> None:
    """Fifty lives of one chain."""
    story = survive(tmp_path, 50, seed=1)

    assert len(story.mined) > 100
    assert {"replaced", "evicted by a better paying transaction"} <= was_met(story)


@pytest.mark.timeout(600)
def test_a_buffered_journal_survives_kills_too(tmp_path: Path) -> None:
    """Without a sync the records are with the system, which outlives the daemon."""
    story = survive(tmp_path, 5, 2, "--txpool.durability", "buffered")

    assert len(story.mined) > 5


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_many_kills_under_load_lose_nothing_and_bring_nothing_back(tmp_path: Path) -> None:
    """A hundred lives of one chain."""
    survive(tmp_path, 100, seed=3)
