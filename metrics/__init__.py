"""Metrics: what the daemon measures about itself, read at scrape time, served over HTTP."""

from metrics.exporter import MetricsServer

__all__ = ["MetricsServer"]
