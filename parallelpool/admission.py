"""
The one way into the pool, and the one place where pool, journal and news are kept in step.

The order is decide, append, sync, show: the pool decides at once, its changes go to the journal, and only when they
are synced are they acknowledged, published and answered. Without a journal the last three are immediate. Where the
journal cannot be written, what it lost is taken out of the pool again and everybody is told so.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

import structlog

from config.schema import TxPoolConfig
from parallelpool.distribution import LATENCY_BOUNDS_S, Distribution
from parallelpool.engine import EngineBusy
from parallelpool.errors import DecodeError, JournalError, NonceTooLow, NotDurable, PoolError, StartFailure
from parallelpool.events import (
    Departure,
    DropReason,
    EventBus,
    PoolEvent,
    TransactionAdmitted,
    TransactionDropped,
    TransactionsPromoted,
    TransactionsQueued,
)
from parallelpool.journal import Disk, Journal, JournalStatistics, Ticket
from parallelpool.journal_format import Added, JournalContent, JournalRecord, delete_journal, read_journal
from parallelpool.pool import Submission, TxPool
from parallelpool.primitives import Address, Nonce, TxHash
from parallelpool.transaction import PooledTransaction, Transaction
from parallelpool.validation import ChainState

log = structlog.get_logger("parallelpool.admission")

RESTORED_AT_ONCE = 2_000
"""Transactions that are decoded and admitted in one go after a restart; a sender's are never split."""


JUDGED_BY_THE_POOL: Final = frozenset(
    {"fee_cap_too_wide", "tip_cap_too_wide", "value_too_wide", "chain_id_too_wide", "invalid_signature"}
)
"""Kinds of bytes that geth decodes, since its integers have no bound, and refuses in the pool."""

NOBODY = Address(bytes(20))
"""Stands for the sender of what could not be decoded any more."""


TAKEN_AT_ONCE: Final = 256
"""Transactions that are decoded in one engine call and admitted in one piece: some milliseconds of either."""

MOST_WAITING: Final = 65_536
"""Transactions that may wait to be decoded; whoever comes then is told to come back."""

Check: TypeAlias = Callable[[Transaction], Exception | None]
"""What the caller of `take` has against a decoded transaction."""


class Rejection(Protocol):
    """Bytes that are no transaction; `_core.DecodeRejection` is one."""

    @property
    def message(self) -> str: ...
    @property
    def kind(self) -> str: ...


class Decoder(Protocol):
    """`parallelpool.ingress.Ingress`, as far as this module asks."""

    async def decode(self, raw: bytes, /) -> Transaction: ...
    async def decode_all(self, raw: Sequence[bytes], /) -> Sequence[Transaction | Rejection]: ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """Bytes on their way in, and who waits for the answer."""

    raw: bytes
    check: Check
    taken: asyncio.Future[Transaction]


@dataclass(slots=True)
class RestoreReport:
    """What became of the journal's content at start."""

    read: int = 0
    """Transactions that were in the pool."""
    restored: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason -> transactions."""
    damaged_bytes: int = 0
    """Bytes of the journal that belong to no whole record."""


class Admission:
    """Owns the pool and its journal. Touched from the event loop only."""

    def __init__(
        self,
        limits: TxPoolConfig,
        chain: ChainState,
        events: EventBus,
        ingress: Decoder,
        datadir: Path | None,
    ) -> None:
        """An empty pool on the head of `chain`. Without `datadir` or without `limits.journal` nothing is kept."""
        self.pool = TxPool(limits, chain, self._publish)
        """For reading, and for `maintain`."""
        self._limits = limits
        self._chain = chain
        self._events = events
        self._ingress = ingress
        self._path = datadir / limits.journal if datadir is not None and limits.journal else None
        self._journal: Journal | None = None
        self._staged: deque[tuple[Ticket, PoolEvent]] = deque()
        self._is_restoring = False
        self.admission_seconds = Distribution(LATENCY_BOUNDS_S)
        """From a decoded transaction to its answer, of all that were submitted."""
        self._arrivals: deque[Arrival] = deque()
        self._arrived = asyncio.Event()

    @asynccontextmanager
    async def serving(self, *, disk: Disk | None = None) -> AsyncIterator[RestoreReport]:
        """
        Takes transactions while the block runs; what the pool then holds is there again at the next start.

        Raises StartFailure if the journal cannot be read or begun.
        """
        if self._path is None:
            yield RestoreReport()
            return
        durability = self._limits.durability
        given_up: RestoreReport | None = None
        try:
            content = read_journal(self._path)
            if durability == "none":
                given_up = await self._give_up_journal(self._path, content)
            else:
                self._journal = Journal.open(self._path, is_buffered=durability == "buffered", disk=disk)
        except JournalError as error:
            raise StartFailure(str(error)) from error
        if (journal := self._journal) is None:
            yield given_up or RestoreReport()
            return
        journal.follow(on_durable=self._release, on_failure=self._revoke)
        try:
            report = await self._restore(content)
            _tell_restored(report)
            yield report
        finally:
            try:
                await journal.close()
            except JournalError as error:
                log.error("pool could not be kept", error=str(error))

    async def _give_up_journal(self, path: Path, content: JournalContent) -> RestoreReport:
        """Takes over what an earlier run kept; from now on nothing is. Raises JournalError."""
        report = await self._restore(content)
        _tell_restored(report)
        delete_journal(path)
        return report

    # -- in

    async def decode(self, raw: bytes, /) -> Transaction:
        """As `Ingress.decode`."""
        return await self._ingress.decode(raw)

    def take(self, raw: bytes, check: Check, /) -> asyncio.Future[Transaction]:
        """
        The transaction, once it is in the pool and synced.

        What comes in one turn of the event loop, or while the engine is busy, is decoded as one list, admitted as one
        group and synced together. The future's exception is DecodeError, what `check` gives, or a PoolError. Raises
        EngineBusy where too many wait already. Served by `run`.
        """
        if len(self._arrivals) >= MOST_WAITING:
            raise EngineBusy("too many transactions wait to be decoded")
        taken: asyncio.Future[Transaction] = asyncio.get_running_loop().create_future()
        self._arrivals.append(Arrival(raw, check, taken))
        self._arrived.set()
        return taken

    async def run(self) -> None:
        """Serves `take` until cancelled; callers that still wait then are cancelled too."""
        try:
            async with asyncio.TaskGroup() as answers:
                while True:
                    await self._arrived.wait()
                    group = [self._arrivals.popleft() for _ in range(min(TAKEN_AT_ONCE, len(self._arrivals)))]
                    if not self._arrivals:
                        self._arrived.clear()
                    await self._serve(group, answers)
        finally:
            for arrival in self._arrivals:
                arrival.taken.cancel()
            self._arrivals.clear()

    async def _serve(self, group: Sequence[Arrival], answers: asyncio.TaskGroup) -> None:
        """Decodes and admits; who has to wait for the journal is answered by a task of `answers`."""
        try:
            decoded = await self._ingress.decode_all([arrival.raw for arrival in group])
        except BaseException:
            for arrival in group:
                arrival.taken.cancel()
            raise
        admissible: list[tuple[asyncio.Future[Transaction], Transaction]] = []
        for arrival, tx in zip(group, decoded, strict=True):
            if arrival.taken.done():
                continue  # its caller has gone
            if isinstance(checked := self._checked(tx, arrival.check), Transaction):
                admissible.append((arrival.taken, checked))
            else:
                arrival.taken.set_exception(checked)
        if not admissible:
            return
        # The pool decides in the task's first step, which is before the next group's, as tasks begin in order.
        answers.create_task(self._admit(admissible))

    def _checked(self, tx: Transaction | Rejection, check: Check) -> Transaction | Exception:
        """What may go to the pool, or why it does not get there."""
        if isinstance(tx, Transaction):
            return check(tx) or tx
        if tx.kind in JUDGED_BY_THE_POOL:
            self.pool.count_invalid()
        return DecodeError(tx.message, tx.kind)

    async def _admit(self, admissible: Sequence[tuple[asyncio.Future[Transaction], Transaction]]) -> None:
        try:
            answers = await self.submit_all([tx for _, tx in admissible], local=True)
        except BaseException:
            for taken, _ in admissible:
                taken.cancel()
            raise
        _answer(admissible, answers)

    async def take_all(
        self, decoded: Sequence[Transaction | Rejection], check: Check, /
    ) -> Sequence[Exception | None]:
        """
        As `take` for each of what was decoded already, admitted as one group and synced together.

        `None` where the transaction is in the pool and synced, else why it is not. The pool has decided when this
        waits for the first time; a caller who goes then changes nothing any more.
        """
        checked = [self._checked(tx, check) for tx in decoded]
        admissible = [tx for tx in checked if isinstance(tx, Transaction)]
        answers = iter(await self.submit_all(admissible, local=True) if admissible else ())
        return [next(answers) if isinstance(tx, Transaction) else tx for tx in checked]

    async def submit_all(self, transactions: Sequence[Transaction], *, local: bool) -> list[PoolError | None]:
        """
        Admits each transaction or says why not; returns when the answers may be given.

        `None` means that it is in the pool and synced. NotDurable says that the journal could not be written.
        """
        began = time.perf_counter()
        answers = await self._decide(transactions, local=local)
        self.admission_seconds.observe(time.perf_counter() - began, len(transactions))
        return answers

    async def _decide(self, transactions: Sequence[Transaction], *, local: bool) -> list[PoolError | None]:
        journal = self._journal
        if journal is None:
            return self.pool.add(transactions, local=local)
        if journal.failure is not None:
            return [NotDurable(str(journal.failure))] * len(transactions)
        answers = self.pool.add(transactions, local=local, held=True)
        try:
            # Also for refusals: `already known` may speak of a transaction that is not synced yet.
            await journal.durable(journal.append(()))
        except JournalError as error:
            return [NotDurable(str(error)) if answer is None else answer for answer in answers]
        return answers

    async def synced(self) -> None:
        """Returns when all that has happened so far holds for good, or the journal is known to have lost it."""
        if self._journal is not None:
            with suppress(JournalError):
                await self._journal.durable(self._journal.append(()))

    async def submit(self, transaction: Transaction, /, *, local: bool = True) -> None:
        """Returns when the transaction is in the pool and synced. Raises PoolError."""
        (answer,) = await self.submit_all([transaction], local=local)
        if answer is not None:
            raise answer

    # -- news on their way out

    def _publish(self, event: PoolEvent) -> None:
        """Where the pool's news go first."""
        if self._is_restoring:
            return
        if self._journal is None:
            self._events.publish(event)
            return
        ticket = self._journal.append(_records(event))
        if self._journal.failure is None:
            self._staged.append((ticket, event))
        else:
            self._tell(event)

    def _release(self, ticket: Ticket) -> None:
        """All up to `ticket` is synced."""
        while self._staged and self._staged[0][0] <= ticket:
            _, event = self._staged.popleft()
            if isinstance(event, TransactionAdmitted):
                self.pool.acknowledge([event.pooled.hash])
            self._tell(event)

    def _revoke(self, error: JournalError) -> None:
        """What is staged was lost: takes the new transactions out, and tells what is true all the same."""
        log.error("journal of the pool failed", error=str(error))
        lost, self._staged = self._staged, deque()
        admitted = [event.pooled.hash for _, event in lost if isinstance(event, TransactionAdmitted)]
        self.pool.revoke(admitted, str(error))
        for _, event in lost:
            if (true_part := self._still_true(event)) is not None:
                self._tell(true_part)

    def _still_true(self, event: PoolEvent) -> PoolEvent | None:
        pool = self.pool
        match event:
            case TransactionAdmitted(pooled):
                return event if pooled.hash in pool else None
            case TransactionDropped(departure):
                return event if departure.hash not in pool else None
            case TransactionsPromoted(transactions):
                left = tuple(tx for tx in transactions if self._stands(tx, "pending"))
                return TransactionsPromoted(left) if left else None
            case TransactionsQueued(transactions):
                left = tuple(tx for tx in transactions if self._stands(tx, "queued"))
                return TransactionsQueued(left) if left else None

    def _stands(self, tx: Transaction, place: Literal["pending", "queued"]) -> bool:
        placement = self.pool.placement(tx.hash)
        return placement is not None and placement[0] == place

    def _tell(self, event: PoolEvent) -> None:
        if isinstance(event, TransactionDropped) and event.departure.reason is DropReason.NOT_DURABLE:
            return  # nobody was told that it came
        self._events.publish(event)

    # -- the journal

    @property
    def failure(self) -> str | None:
        """Why the pool takes nothing in now: the journal cannot be written."""
        failure = None if self._journal is None else self._journal.failure
        return None if failure is None else str(failure)

    def journal_statistics(self) -> JournalStatistics | None:
        """Figures of the journal; `None` without one."""
        return None if self._journal is None else self._journal.statistics()

    @property
    def sync_seconds(self) -> Distribution | None:
        """How long the journal's syncs took; `None` without one."""
        return None if self._journal is None else self._journal.sync_seconds

    def wants_compaction(self) -> bool:
        """Whether `compact` is due for the size of the journal, or to get over a failure."""
        return self._journal is not None and self._journal.wants_compaction()

    def sync(self) -> None:
        """To be called once a second: syncs what `buffered` has left to the system."""
        if self._journal is not None:
            self._journal.sync()

    async def compact(self) -> None:
        """Rewrites the journal to what the pool holds and remembers. Raises JournalError; nothing is lost then."""
        if self._journal is not None:
            was_failed = self._journal.failure is not None
            await self._journal.compact(self._state)
            if was_failed and self._journal.failure is None:
                log.info("journal of the pool is whole again")

    def _state(self) -> Iterator[JournalRecord]:
        """What the pool holds and remembers now; read by a thread, so only references are taken here."""
        return _as_records(self.pool.everything(), self.pool.departures())

    async def _restore(self, content: JournalContent) -> RestoreReport:
        """Fills the empty pool with what it held; what is not accepted any more leaves and says why."""
        report = RestoreReport(read=len(content.pooled), damaged_bytes=content.damaged_bytes)
        self.pool.remember(content.departed.values())
        self._is_restoring = True
        try:
            by_sender = await self._decoded(content, report)
            waiting: list[Submission] = []
            for submissions in by_sender.values():
                waiting.extend(submissions)
                if len(waiting) >= RESTORED_AT_ONCE:
                    self._readmit(waiting, report)
                    waiting = []
                    log.info("restoring pool", transactions=report.restored, of=report.read)
                    await asyncio.sleep(0)
            self._readmit(waiting, report)
        finally:
            self._is_restoring = False
        try:
            await self.compact()
        except JournalError as error:
            # The old files stay, and the new log is behind them: nothing is lost but the room.
            log.error("journal of the pool could not be rewritten", error=str(error))
        return report

    async def _decoded(self, content: JournalContent, report: RestoreReport) -> dict[bytes, list[Submission]]:
        """The journal's transactions by sender, in the order of arrival."""
        by_sender: dict[bytes, list[Submission]] = {}
        entries = list(content.pooled.items())
        for start in range(0, len(entries), RESTORED_AT_ONCE):
            chunk = entries[start : start + RESTORED_AT_ONCE]
            decoded = await self._ingress.decode_all([added.raw for _, added in chunk])
            for place, ((tx_hash, added), tx) in enumerate(zip(chunk, decoded, strict=True), start):
                if isinstance(tx, Transaction):
                    submission = Submission(tx, added.is_local, added.received_at, arrival=place)
                    by_sender.setdefault(tx.sender, []).append(submission)
                else:
                    departure = Departure(
                        tx_hash,
                        NOBODY,
                        Nonce(0),
                        DropReason.REFUSED_AT_RESTART,
                        time.time(),
                        detail=tx.message,
                    )
                    self._leave(departure, report)
        return by_sender

    def _readmit(self, submissions: Sequence[Submission], report: RestoreReport) -> None:
        for submission, answer in zip(submissions, self.pool.restore(submissions), strict=True):
            if answer is None:
                report.restored += 1
            else:
                self._leave(self._refused(submission.transaction, answer), report)

    def _leave(self, departure: Departure, report: RestoreReport) -> None:
        self.pool.remember([departure])
        report.dropped[departure.detail or departure.reason.value] += 1

    def _refused(self, tx: Transaction, refusal: PoolError) -> Departure:
        """Why a transaction of before the restart is not in the pool any more."""
        location = self._chain.transaction_location(tx.hash)
        if location is not None:
            reason, detail = DropReason.MINED, ""
        elif isinstance(refusal, NonceTooLow):
            reason, detail = DropReason.SUPERSEDED, ""
        else:
            reason, detail = DropReason.REFUSED_AT_RESTART, str(refusal)
        return Departure(
            TxHash(tx.hash),
            Address(tx.sender),
            Nonce(tx.nonce),
            reason,
            time.time(),
            block_number=None if location is None else location[0],
            detail=detail,
        )


def _tell_restored(report: RestoreReport) -> None:
    if report.damaged_bytes:
        # A torn end is nothing that was answered; damage before it may be.
        log.warning("journal of the pool is torn or damaged", damaged_bytes=report.damaged_bytes)
    if report.read or report.damaged_bytes:
        log.info("pool restored", transactions=report.restored, dropped=dict(report.dropped))


def _answer(
    admissible: Sequence[tuple[asyncio.Future[Transaction], Transaction]], answers: Sequence[PoolError | None]
) -> None:
    for (taken, tx), refusal in zip(admissible, answers, strict=True):
        if taken.done():
            continue  # its caller has gone meanwhile; the pool has it all the same
        if refusal is None:
            taken.set_result(tx)
        else:
            taken.set_exception(refusal)


def _as_records(
    pooled: Sequence[PooledTransaction], departures: Sequence[Departure]
) -> Iterator[JournalRecord]:
    """In order of arrival, then of departure."""
    for each in sorted(pooled, key=lambda each: each.arrival):
        yield _added(each)
    yield from departures


def _added(pooled: PooledTransaction) -> Added:
    return Added(pooled.transaction.raw, pooled.is_local, pooled.received_at)


def _records(event: PoolEvent) -> Sequence[JournalRecord]:
    """What the journal must know of an event."""
    match event:
        case TransactionAdmitted(pooled):
            return (_added(pooled),)
        case TransactionDropped(departure):
            return (departure,)
        case _:
            return ()
