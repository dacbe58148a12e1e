"""
The metrics server: `/metrics`, geth's `/debug/metrics/prometheus`, and `/healthz`.

Serves on its own address and port. Reading never changes anything.
"""

from types import TracebackType
from typing import Self

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from metrics.collectors import PoolCollector, render_as_geth
from metrics.departures import DepartureCollector
from metrics.distributions import DistributionCollector
from metrics.execution import ExecutionCollector
from metrics.predictions import PredictionCollector
from metrics.sources import Sources


class MetricsServer:
    """An HTTP server over one registry; `async with` starts and stops it."""

    def __init__(self, sources: Sources, address: str, port: int) -> None:
        """`port` 0 takes any free port; see `port` after the start."""
        self._sources = sources
        self._address = address
        self._port = port
        self.registry = CollectorRegistry()
        self.registry.register(PoolCollector(sources))
        self.registry.register(DepartureCollector(sources.pool))
        self.registry.register(ExecutionCollector(sources.execution))
        self.registry.register(DistributionCollector(sources.distributions))
        self.registry.register(PredictionCollector(sources.access))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/debug/metrics/prometheus", self._geth_metrics)
        application.router.add_get("/healthz", self._health)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    @property
    def url(self) -> str:
        """Base address, with the real port."""
        return f"http://{self._address}:{self._port}"

    async def __aenter__(self) -> Self:
        """Raises OSError if the port is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._address, self._port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _metrics(self, _request: web.Request) -> web.Response:
        body = generate_latest(self.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _geth_metrics(self, _request: web.Request) -> web.Response:
        # Without a charset, as geth says it.
        body = render_as_geth(self._sources).encode()
        return web.Response(body=body, headers={"Content-Type": "text/plain"})

    async def _health(self, _request: web.Request) -> web.Response:
        health = self._sources.health()
        body = orjson.dumps({"healthy": health.healthy, **health.details})
        return web.Response(body=body, status=200 if health.healthy else 503, content_type="application/json")
