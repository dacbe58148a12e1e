"""The way of many single submissions: one list to decode, one group to admit, one sync, one answer each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from parallelpool import admission as admission_module
from parallelpool.admission import Admission
from parallelpool.engine import EngineBusy
from parallelpool.errors import AlreadyKnown, DecodeError, NotDurable, ReplacementUnderpriced
from parallelpool.events import EventBus
from parallelpool.journal import Disk
from parallelpool.transaction import Transaction
from tests.deadline import until
from tests.factories import ETHER, FakeChain, Key, decode, limits, raw_legacy
from tests.invariants import assert_pool

KEYS = [Key(secret) for secret in range(1, 41)]
GARBAGE = b"\x7f garbage"


class Unreadable:
    """Stands for a rejection of the decoder."""

    message = "typed transaction too short"
    kind = "too_short"


class GatedDecoder:
    """The engine's decoder behind a gate, with the lists that it was given."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.lists: list[list[bytes]] = []

    async def decode(self, raw: bytes, /) -> Transaction:
        return decode([raw])[0]

    async def decode_all(self, raw: Sequence[bytes], /) -> Sequence[Transaction | Unreadable]:
        self.lists.append(list(raw))
        await self.gate.wait()
        return [Unreadable() if item == GARBAGE else decode([item])[0] for item in raw]


@asynccontextmanager
async def serving(
    decoder: GatedDecoder, datadir: Path | None = None, disk: Disk | None = None
) -> AsyncIterator[Admission]:
    """Admission with its service running."""
    chain = FakeChain()
    chain.fund(*KEYS, balance=100 * ETHER)
    admission = Admission(limits(), chain, EventBus(), decoder, datadir)
    async with admission.serving(disk=disk):
        service = asyncio.create_task(admission.run())
        try:
            yield admission
        finally:
            service.cancel()
            await asyncio.wait([service])


def nothing(_: Transaction) -> None:
    """No objection."""


async def outcome(taken: asyncio.Future[Transaction]) -> Transaction | Exception:
    """What a caller gets."""
    try:
        return await taken
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        return error


async def test_what_comes_in_one_turn_is_one_list_and_one_sync(tmp_path: Path) -> None:
    """Forty callers in one turn: one engine call, one sync of the journal."""
    decoder = GatedDecoder()
    async with serving(decoder, tmp_path) as admission:
        statistics = admission.journal_statistics()
        assert statistics is not None
        taken = [admission.take(raw_legacy(key, 0), nothing) for key in KEYS]
        transactions = await asyncio.gather(*taken)
        after = admission.journal_statistics()
        assert_pool(admission.pool)

        assert [tx.sender for tx in transactions] == [key.address for key in KEYS]
        assert len(decoder.lists) == 1
        assert after is not None
        assert after.syncs - statistics.syncs == 1
        assert len(admission.pool) == len(KEYS)


async def test_what_comes_while_the_engine_is_busy_goes_out_together() -> None:
    """The first caller's list holds one, the next list all others."""
    decoder = GatedDecoder()
    async with serving(decoder) as admission:
        decoder.gate.clear()
        taken = [admission.take(raw_legacy(KEYS[0], 0), nothing)]
        await until(lambda: bool(decoder.lists))
        for key in KEYS[1:]:
            taken.append(admission.take(raw_legacy(key, 0), nothing))
            await asyncio.sleep(0)
        decoder.gate.set()
        await asyncio.gather(*taken)

        assert [len(each) for each in decoder.lists] == [1, len(KEYS) - 1]


async def test_a_list_has_a_greatest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty in lists of at most sixteen, in order."""
    monkeypatch.setattr(admission_module, "TAKEN_AT_ONCE", 16)
    decoder = GatedDecoder()
    async with serving(decoder) as admission:
        await asyncio.gather(*(admission.take(raw_legacy(key, 0), nothing) for key in KEYS))

        assert [len(each) for each in decoder.lists] == [16, 16, 8]
        assert [raw for each in decoder.lists for raw in each] == [raw_legacy(key, 0) for key in KEYS]


@pytest.mark.parametrize("is_durable", [True, False])
async def test_each_caller_gets_his_own_answer(tmp_path: Path, is_durable: bool) -> None:
    """Bytes that are none, an objection, a duplicate, too low a bump: the neighbours are admitted."""
    objection = ValueError("too dear")
    async with serving(GatedDecoder(), tmp_path if is_durable else None) as admission:
        outcomes = await asyncio.gather(
            *map(
                outcome,
                [
                    admission.take(raw_legacy(KEYS[0], 0, price=5), nothing),
                    admission.take(GARBAGE, nothing),
                    admission.take(raw_legacy(KEYS[1], 0), lambda _: objection),
                    admission.take(raw_legacy(KEYS[0], 0, price=5), nothing),
                    admission.take(raw_legacy(KEYS[0], 0, price=6, value=1), nothing),
                    admission.take(raw_legacy(KEYS[2], 0), nothing),
                ],
            )
        )
        refused = await outcome(admission.take(raw_legacy(KEYS[0], 0, price=5, value=7), nothing))
        assert_pool(admission.pool)

        assert isinstance(outcomes[1], DecodeError)
        assert outcomes[2] is objection
        assert isinstance(outcomes[3], AlreadyKnown)
        assert isinstance(outcomes[4], Transaction)
        assert isinstance(outcomes[0], Transaction)
        assert isinstance(outcomes[5], Transaction)
        assert isinstance(refused, ReplacementUnderpriced)
        assert len(admission.pool) == 2


async def test_who_has_gone_before_admission_is_passed_over() -> None:
    """A caller whose time is up while the engine is busy leaves nothing behind; his neighbour is served."""
    decoder = GatedDecoder()
    async with serving(decoder) as admission:
        decoder.gate.clear()
        gone = admission.take(raw_legacy(KEYS[0], 0), nothing)
        stays = admission.take(raw_legacy(KEYS[1], 0), nothing)
        await until(lambda: bool(decoder.lists))
        gone.cancel()
        decoder.gate.set()

        assert (await stays).sender == KEYS[1].address
        assert len(admission.pool) == 1


async def test_too_many_that_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: above the greatest number callers are told at once."""
    monkeypatch.setattr(admission_module, "MOST_WAITING", 3)
    async with serving(GatedDecoder()) as admission:
        taken = [admission.take(raw_legacy(key, 0), nothing) for key in KEYS[:3]]
        with pytest.raises(EngineBusy):
            admission.take(raw_legacy(KEYS[3], 0), nothing)
        await asyncio.gather(*taken)

        assert (await admission.take(raw_legacy(KEYS[3], 0), nothing)).nonce == 0


async def test_callers_that_wait_when_the_service_ends_are_cancelled() -> None:
    """Those in the engine, and those behind them."""
    decoder = GatedDecoder()
    async with serving(decoder) as admission:
        decoder.gate.clear()
        taken = [admission.take(raw_legacy(KEYS[0], 0), nothing)]
        await until(lambda: bool(decoder.lists))
        taken.append(admission.take(raw_legacy(KEYS[1], 0), nothing))

    assert all(each.cancelled() for each in taken)


async def test_a_group_that_cannot_be_synced_is_told_so(tmp_path: Path) -> None:
    """Every caller of the group gets the failure, and nothing of it is pooled."""
    is_broken = False

    def sync(file: int) -> None:
        if is_broken:
            raise OSError(28, "No space left on device")

    async with serving(GatedDecoder(), tmp_path, Disk(sync=sync)) as admission:
        is_broken = True
        outcomes = await asyncio.gather(
            *(outcome(admission.take(raw_legacy(key, 0), nothing)) for key in KEYS[:5])
        )
        assert_pool(admission.pool)
        is_broken = False

        assert all(isinstance(each, NotDurable) for each in outcomes)
        assert len(admission.pool) == 0
