"""
The composition root: builds every part, starts them in order, stops them in reverse.

One TaskGroup owns every task. A stop by SIGINT or SIGTERM is orderly: no new requests, no new block, the pool
stays in its journal, the store is closed last. A task that fails ends the daemon with exit code 1.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog
import uvloop
from rich.console import Console

from config import NodeConfig
from metrics import MetricsServer
from metrics.sources import Distributions, Health, Sources
from parallelpool import __version__, banner, log
from parallelpool.access import AccessBook
from parallelpool.admission import Admission
from parallelpool.batching import Batches
from parallelpool.chain import CoreChain, EmbeddedChain, Workers
from parallelpool.embedded import open_chain
from parallelpool.engine import Lanes
from parallelpool.errors import JournalError, StartFailure
from parallelpool.events import EventBus
from parallelpool.execution import Executor, SelfCheck
from parallelpool.garbage import GarbageWatch
from parallelpool.ingress import Ingress
from parallelpool.lessons import TEMPLATES_FILE, Lessons
from parallelpool.maintain import Maintenance
from parallelpool.pool import TxPool
from parallelpool.producer import Producer, SealingPolicy
from rpc import Backend, RpcServer
from rpc.settings import settings_of

logger = structlog.get_logger("parallelpool.node")


def run(config: NodeConfig) -> int:
    """
    Runs the daemon until a signal stops it; returns the exit code.

    Raises ConfigurationError and StartFailure before anything is served.
    """
    log.set_up(config.log, config.verbosity)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(config))


async def _run(config: NodeConfig) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with running(config) as node:
            garbage = GarbageWatch()
            garbage.begin()
            watch = asyncio.create_task(garbage.run())
            node.show_banner(Console(highlight=False))
            await stop.wait()
            watch.cancel()
            logger.info("stopping")
    except (OSError, JournalError) as error:
        raise _start_failure(error) from error
    except ExceptionGroup as group:
        # The task group wraps what ends its block; one cause from outside is told as such.
        if len(group.exceptions) == 1 and isinstance(group.exceptions[0], OSError | JournalError):
            raise _start_failure(group.exceptions[0]) from group
        raise
    logger.info("stopped")
    return 0


def _start_failure(error: OSError | JournalError) -> StartFailure:
    if isinstance(error, OSError):
        return StartFailure(f"cannot listen: {error.strerror or error}")
    return StartFailure(str(error))


@dataclass(frozen=True, slots=True)
class Node:
    """A running daemon."""

    config: NodeConfig
    chain: EmbeddedChain
    ingress: Admission
    pool: TxPool
    batches: Batches
    executor: Executor
    producer: Producer
    events: EventBus
    server: RpcServer
    metrics: MetricsServer | None

    def show_banner(self, console: Console) -> None:
        """Prints where everything is."""
        addresses = {
            "HTTP": self.server.http_url,
            "WebSocket": self.server.websocket_url,
            "IPC": str(ipc_path) if (ipc_path := _ipc_path(self.config)) else None,
            "Metrics": f"{self.metrics.url}/metrics" if self.metrics else None,
        }
        facts = banner.StartFacts(
            version=__version__,
            chain_id=self.chain.chain_id,
            head=self.chain.head().number,
            sealing=_sealing_words(self.config),
            addresses={name: address for name, address in addresses.items() if address},
            data=str(self.config.datadir) if self.config.datadir else "in memory",
        )
        banner.show(facts, banner.funded(self.chain.core), console)


@asynccontextmanager
async def running(config: NodeConfig) -> AsyncIterator[Node]:
    """
    A daemon that serves while the block runs.

    Raises ConfigurationError, StartFailure, and OSError for an address that cannot be listened on. If a task
    of the daemon fails, the block is cancelled and its exception group comes out.
    """
    async with AsyncExitStack() as stack:
        lanes = Lanes()
        stack.callback(lanes.close)
        workers = Workers(config.execution.workers)
        core = await lanes.writer.run(open_chain, config, workers)
        stack.push_async_callback(lanes.writer.run, core.close)
        parts = _Parts(config, core, workers, lanes)
        await parts.lessons.load()
        stack.push_async_callback(parts.lessons.save)
        await stack.enter_async_context(parts.admission.serving())
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        for work in parts.services():
            stack.callback(tasks.create_task(work()).cancel)
        await stack.enter_async_context(parts.server.serving(tasks))
        metrics = None
        if config.metrics.enabled:
            sources = parts.sources()
            metrics = MetricsServer(sources, config.metrics.addr, config.metrics.port)
            await stack.enter_async_context(metrics)
        yield Node(
            config=config,
            chain=parts.chain,
            ingress=parts.admission,
            pool=parts.pool,
            batches=parts.batches,
            executor=parts.executor,
            producer=parts.producer,
            events=parts.events,
            server=parts.server,
            metrics=metrics,
        )


class _Parts:
    """Every part, built in the order of the walk."""

    def __init__(self, config: NodeConfig, core: CoreChain, workers: Workers, lanes: Lanes) -> None:
        self.events = EventBus()
        self.chain = EmbeddedChain(core, lanes, self.events)
        self.ingress = Ingress(
            workers, lanes.ingress, chain_id=core.chain_id, parallel_tx_type=self._parallel_tx_type
        )
        self.admission = Admission(config.txpool, self.chain, self.events, self.ingress, config.datadir)
        self.pool = self.admission.pool
        self.maintenance = Maintenance(
            self.chain, self.admission, self.events, rejournal_s=config.txpool.rejournal.total_seconds()
        )
        core.set_prediction_bounds(gas=config.parallel.preexecgas)
        self.access = AccessBook(
            self.chain, gas_limit=config.parallel.preexecgas, share=config.parallel.preexecshare
        )
        templates = config.datadir / TEMPLATES_FILE if config.datadir else None
        self.lessons = Lessons(self.chain, self.access.budget, templates)
        self.batches = Batches(
            self.chain,
            self.pool,
            self.access,
            lanes.planning,
            self.events,
            batch_size=config.parallel.batchsize,
            min_batch_size=config.parallel.minbatchsize,
            beneficiary=config.miner.etherbase,
            adaptive=config.parallel.adaptive,
        )
        self.executor = Executor(
            self.chain,
            config.execution.mode,
            SelfCheck(
                config.execution.selfcheck, config.execution.selfcheck_transfers, reproducers=config.datadir
            ),
        )
        self.producer = Producer(
            self.chain,
            self.batches,
            self.executor,
            self.events,
            _sealing_policy(config),
            executable=lambda: self.pool.stats()[0],
            best=self.pool.pending_best,
            settle=self.maintenance.settle,
        )
        backend = Backend(
            chain=self.chain,
            pool=self.pool,
            ingress=self.admission,
            batches=self.batches,
            producer=self.producer,
            events=self.events,
            listen=lambda listeners, idle_s: self.ingress.listen(listeners, idle_s=idle_s),
        )
        self.server = RpcServer(backend, settings_of(config, version=__version__, ipc_path=_ipc_path(config)))

    def services(self) -> list[Callable[[], Coroutine[None, None, None]]]:
        """What runs beside the servers, in the order of starting."""
        planning = partial(self.batches.run, self.events)
        ahead = partial(self.access.run, self.events, self.pool)
        learning = partial(self.lessons.run, self.events)
        return [self.admission.run, self.maintenance.run, ahead, learning, planning, self.producer.run]

    def sources(self) -> Sources:
        """What the metrics server reads."""
        admission = self.admission
        return Sources(
            self.pool,
            self.batches,
            self.executor,
            self.health,
            Distributions(
                admission.admission_seconds, self.ingress.recovered_at_once, lambda: admission.sync_seconds
            ),
            self.access,
        )

    def health(self) -> Health:
        """What `/healthz` says."""
        head = self.chain.head()
        pending, queued = self.pool.stats()
        facts: dict[str, object] = {
            "head": head.number,
            "headTime": head.timestamp,
            "pending": pending,
            "queued": queued,
        }
        failures = {
            "chain": self.producer.failure,
            "journal": self.admission.failure,
            "execution": self.executor.divergence,
        }
        facts.update({name: failure for name, failure in failures.items() if failure is not None})
        return Health(not any(failures.values()), facts)

    def _parallel_tx_type(self) -> int | None:
        head = self.chain.head()
        return self.chain.rules_at(head.number + 1, head.timestamp + 1).parallel_tx_type


def _sealing_policy(config: NodeConfig) -> SealingPolicy:
    period = config.dev.period.total_seconds()
    return SealingPolicy(
        mode="interval" if period else config.dev.mine,
        period_s=period,
        beneficiary=config.miner.etherbase,
        gas_limit=config.miner.gaslimit,
    )


def _sealing_words(config: NodeConfig) -> str:
    policy = _sealing_policy(config)
    match policy.mode:
        case "interval":
            return f"a block every {policy.period_s:g} s"
        case "instant":
            return "a block for each transaction"
        case "manual":
            return "manual (dev_mine, parallel_executeBatches)"
        case _:
            at_first = " (at first)" if config.parallel.adaptive else ""
            waiting = f"{config.parallel.batchsize}{at_first} executable transactions wait"
            return f"when {waiting}, or {policy.patience_s:g} s after the first"


def _ipc_path(config: NodeConfig) -> Path | None:
    return None if config.ipcdisable else config.ipcpath
