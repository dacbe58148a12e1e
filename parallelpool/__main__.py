"""`python -m parallelpool` and the console script: the one place where commands meet the programs they call."""

import os
import sys

from parallelpool import accuracy, bench, blockfiles, cli, explain, node, replay

PROGRAMS = cli.Programs(
    run=node.run,
    import_blocks=blockfiles.import_files,
    export_blocks=blockfiles.export_file,
    replay=replay.main,
    accuracy=accuracy.main,
    bench=bench.main,
    explain=explain.main,
)


def main() -> int:
    """The console script."""
    return cli.main(sys.argv[1:], os.environ, PROGRAMS)


if __name__ == "__main__":
    sys.exit(main())
