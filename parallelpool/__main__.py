"""`python -m parallelpool` and the console script: the one place where commands meet the programs they call."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from parallelpool import blockfiles, cli, node, replay


def _replay(
    *, paths: Sequence[Path], mode: cli.ReplayMode, threads: int, recheck: bool, as_json: bool
) -> int:
    return replay.main(replay.ReplayOptions(paths, mode, threads, recheck, as_json))


PROGRAMS = cli.Programs(
    run=node.run,
    import_blocks=blockfiles.import_files,
    export_blocks=blockfiles.export_file,
    replay=_replay,
)


def main() -> int:
    """The console script."""
    return cli.main(sys.argv[1:], os.environ, PROGRAMS)


if __name__ == "__main__":
    sys.exit(main())
