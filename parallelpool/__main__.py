"""`python -m parallelpool` and the console script: the one place where commands meet the programs they call."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from config import NodeConfig
from parallelpool import cli
from parallelpool.errors import StartFailure


def _run(settings: NodeConfig) -> int:
    raise StartFailure("the daemon is not linked into this build")


def _import(settings: NodeConfig, files: Sequence[Path]) -> int:
    raise StartFailure("import is not linked into this build")


def _export(settings: NodeConfig, file: Path, first: int | None, last: int | None) -> int:
    raise StartFailure("export is not linked into this build")


def _replay(
    *, paths: Sequence[Path], mode: cli.ReplayMode, threads: int, recheck: bool, as_json: bool
) -> int:
    raise StartFailure("replay is not linked into this build")


PROGRAMS = cli.Programs(run=_run, import_blocks=_import, export_blocks=_export, replay=_replay)


def main() -> int:
    """The console script."""
    return cli.main(sys.argv[1:], os.environ, PROGRAMS)


if __name__ == "__main__":
    sys.exit(main())
