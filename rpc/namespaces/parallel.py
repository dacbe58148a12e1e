"""
`parallel_`: tags, batches and what came of them.

One table over the parts of the namespace. Public methods are for everybody; those that change how blocks are made
are for operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpc.backend import Backend
from rpc.errors import Json
from rpc.method import Method, MethodTable
from rpc.namespaces.parallel_audit import AuditMethods
from rpc.namespaces.parallel_batch_request import BatchRequest, batch_request, batch_size
from rpc.namespaces.parallel_blocks import BlockMethods
from rpc.namespaces.parallel_conflicts import ConflictMethods
from rpc.namespaces.parallel_status import Status, status_request
from rpc.namespaces.parallel_tagging import TAG_SIGNATURE, Tagger
from rpc.namespaces.parallel_verdict import Verdicts, subject
from rpc.parameters import Fields, list_of, optional, required
from rpc.quantities import address, boolean, data, hash32, to_data, to_quantity

if TYPE_CHECKING:
    from rpc.backend import Execution
    from rpc.caller import Caller
    from rpc.namespaces.eth import EthMethods
    from rpc.offers import Offers


class ExecuteRequest:
    """What to execute, and whether to store it."""

    __slots__ = ("batch_ids", "compare", "dry_run")

    def __init__(self, value: Json) -> None:
        """Raises Unfit."""
        fields = Fields(value, "ExecuteRequest")
        self.batch_ids = fields.take("batchIds", list_of(hash32, "[]common.Hash"))
        self.dry_run = fields.take("dryRun", boolean) or False
        self.compare = fields.take("compare", boolean) or False
        fields.refuse_others()


class ParallelMethods:
    """The namespace."""

    def __init__(self, backend: Backend, eth: EthMethods, offers: Offers) -> None:
        self._backend = backend
        self._offers = offers
        self._tagger = Tagger(backend, eth.calls, eth.fees)
        self._status = Status(backend)
        self._verdicts = Verdicts(backend)
        self._blocks = BlockMethods(backend)
        self._conflicts = ConflictMethods(backend)
        self._audit = AuditMethods(backend)

    def table(self) -> MethodTable:
        """Rows of the method table."""
        return {
            **self._blocks.table(),
            **self._conflicts.table(),
            **self._audit.table(),
            "parallel_tagTransaction": Method(self._tagger.tag_transaction, TAG_SIGNATURE),
            "parallel_status": Method(self._status.status, optional(status_request)),
            "parallel_setBatchSize": Method(self.set_batch_size, required(batch_size), is_operator=True),
            "parallel_getBatches": Method(self.get_batches, optional(batch_request), wants_caller=True),
            "parallel_executeBatches": Method(
                self.execute_batches, optional(ExecuteRequest), is_operator=True, outlives_caller=True
            ),
            "parallel_isParallelizable": Method(self._verdicts.is_parallelizable, required(subject)),
            "parallel_batchStatistics": Method(self.batch_statistics),
            "parallel_analyzeTransactionData": Method(
                self._verdicts.analyze_transaction_data, required(data) + optional(address)
            ),
        }

    def set_batch_size(self, transactions: int) -> Json:
        """How many transactions close a batch from now on."""
        self._backend.batches.set_batch_size(transactions)
        return True

    async def get_batches(self, caller: Caller, request: BatchRequest | None) -> Json:
        """The batches on offer: a look, which takes nothing away from anybody."""
        return await self._offers.get(caller, request or batch_request({}))

    async def execute_batches(self, request: ExecuteRequest | None) -> Json:
        """Executes batches as the next block; `dryRun` stores nothing, `compare` runs serially too."""
        request = request or ExecuteRequest(None)
        execution = await self._backend.producer.execute_batches(
            request.batch_ids, dry_run=request.dry_run, compare=request.compare
        )
        return execution_view(execution)

    async def batch_statistics(self) -> Json:
        """Figures of the batches on offer, of what was produced, and of the last execution."""
        await self._backend.batches.current()
        figures, produced = self._backend.batches.figures(), self._backend.producer.statistics()
        last = produced.last_execution
        return {
            "batchSize": to_quantity(figures.batch_size),
            "batches": to_quantity(figures.batches),
            "parallelBatches": to_quantity(figures.parallel_batches),
            "parallelizable": to_quantity(figures.parallelizable),
            "sequential": to_quantity(figures.sequential),
            "unknown": to_quantity(figures.unknown),
            "largestBatch": to_quantity(figures.largest_batch),
            "blocks": to_quantity(produced.blocks),
            "totalProcessed": to_quantity(produced.total_processed),
            "successfullyBatched": to_quantity(produced.successfully_batched),
            "lastExecution": execution_view(last) if last is not None else None,
        }


def execution_view(execution: Execution) -> dict[str, Json]:
    """An execution as JSON; times are milliseconds."""
    view: dict[str, Json] = {
        "blockHash": to_data(execution.block_hash) if execution.block_hash is not None else None,
        "hashes": [to_data(tx_hash) for tx_hash in execution.hashes],
        "leftOut": [{"hash": to_data(tx_hash), "reason": reason} for tx_hash, reason in execution.left_out],
        "gasUsed": to_quantity(execution.gas_used),
        "stateRoot": to_data(execution.state_root),
        "parallelMs": round(execution.parallel_ns / 1e6, 3),
    }
    if execution.serial_ns is not None and execution.serial_state_root is not None:
        view["serialStateRoot"] = to_data(execution.serial_state_root)
        view["serialMs"] = round(execution.serial_ns / 1e6, 3)
    view["conflicts"] = to_quantity(execution.conflicts)
    view["executions"] = to_quantity(execution.executions)
    return view
