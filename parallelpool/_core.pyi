"""
The native engine: the one door between Python and Rust.

Across it go `bytes` of checked length (hashes 32, addresses 20, slots 32), `int`, `str`, tuples and frozen
objects. Lists come in and out whole: the failure of one item is a value in the result, an exception
means that the call as a whole did nothing. Work above a tenth of a millisecond releases the GIL.

Amounts are wei, gas is gas, times are seconds since 1970 unless the name says otherwise.

The parts stand in `parallelpool/_boundary/`, one file for each concept.
"""

from typing import Final

from parallelpool._boundary.accuracy import Accuracy, BlockAccuracy
from parallelpool._boundary.batches import (
    AccessSet,
    AdaptiveSize,
    Batch,
    BatchBuilder,
    BatchPlan,
    BatchVerification,
    find_conflicts,
    plan_batches,
    verify_batch,
)
from parallelpool._boundary.benching import (
    bench_batching,
    bench_conditions,
    bench_export,
    bench_load,
    bench_run,
    bench_state_root,
    bench_transfers,
    bench_workloads,
)
from parallelpool._boundary.blocks import (
    Block,
    BlockAttributes,
    BuiltBlock,
    ExecutionStatistics,
    Header,
    LeftOut,
    Log,
    Ommer,
    Receipt,
    Withdrawal,
)
from parallelpool._boundary.chain import (
    Account,
    Chain,
    block_hash,
    dev_genesis,
    split_blocks,
)
from parallelpool._boundary.errors import (
    BlockRefused,
    CoreAborted,
    CoreDivergence,
    CoreError,
    CoreInternalError,
    CoreInvalidArgument,
    GenesisError,
    StateUnavailable,
    StorageFailure,
    StoreRefused,
    error_kinds,
)
from parallelpool._boundary.intake import Intake, IntakeNews, Submissions
from parallelpool._boundary.log_writing import LogWriter, Written
from parallelpool._boundary.pool_order import (
    BestFirst,
    PriceOrder,
)
from parallelpool._boundary.predictions import PredictionStatistics
from parallelpool._boundary.replaying import (
    Analysis,
    ModelAnalysis,
    Parallelism,
    ReplayBlock,
    ReplayVerdict,
    analyse,
    replay,
    replay_compare,
)
from parallelpool._boundary.simulation import (
    CallOutcome,
    CallRequest,
    SimulatedBlock,
    SimulatedCall,
)
from parallelpool._boundary.tracing import Cancellation
from parallelpool._boundary.transactions import (
    Authorization,
    DecodeRejection,
    Rules,
    Transaction,
    Workers,
    decode_transactions,
)

__all__ = [
    "AccessSet",
    "Account",
    "Accuracy",
    "AdaptiveSize",
    "Analysis",
    "Authorization",
    "Batch",
    "BatchBuilder",
    "BatchPlan",
    "BatchVerification",
    "BestFirst",
    "Block",
    "BlockAccuracy",
    "BlockAttributes",
    "BlockRefused",
    "BuiltBlock",
    "CallOutcome",
    "CallRequest",
    "Cancellation",
    "Chain",
    "CoreAborted",
    "CoreDivergence",
    "CoreError",
    "CoreInternalError",
    "CoreInvalidArgument",
    "DecodeRejection",
    "ExecutionStatistics",
    "GenesisError",
    "Header",
    "Intake",
    "IntakeNews",
    "LeftOut",
    "Log",
    "LogWriter",
    "ModelAnalysis",
    "Ommer",
    "Parallelism",
    "PredictionStatistics",
    "PriceOrder",
    "Receipt",
    "ReplayBlock",
    "ReplayVerdict",
    "Rules",
    "SimulatedBlock",
    "SimulatedCall",
    "StateUnavailable",
    "StorageFailure",
    "StoreRefused",
    "Submissions",
    "Transaction",
    "Withdrawal",
    "Workers",
    "Written",
    "__version__",
    "_panic",
    "_spin",
    "analyse",
    "bench_batching",
    "bench_conditions",
    "bench_export",
    "bench_load",
    "bench_run",
    "bench_state_root",
    "bench_transfers",
    "bench_workloads",
    "block_hash",
    "decode_transactions",
    "dev_genesis",
    "error_kinds",
    "find_conflicts",
    "keccak256",
    "plan_batches",
    "replay",
    "replay_compare",
    "split_blocks",
    "verify_batch",
]

__version__: Final[str]
"""Version of the native module; equal to `parallelpool.__version__` or the import fails."""

def keccak256(data: bytes, /) -> bytes:
    """Keccak-256, 32 bytes."""

def _panic(message: str, /) -> None:
    """Panics inside the engine (test of the boundary)."""

def _spin(workers: Workers, milliseconds: int, /) -> None:
    """Keeps the engine busy through the ordinary seam (test that Python goes on meanwhile)."""
