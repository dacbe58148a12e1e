//! `parallelpool._core`: the binding. Conversion and nothing else.
//!
//! Every call that works for more than a tenth of a millisecond goes through [`detach`], which
//! releases the GIL, catches panics and turns errors into Python exceptions. The documented
//! boundary is `parallelpool/_core.pyi`.

// What Python can reach is exported by the module below, which this lint cannot see.
#![allow(unreachable_pub)]

use pyo3::prelude::*;

mod access_lists;
mod accuracy;
mod analysis;
mod bench;
mod blocks;
mod builder;
mod chain;
mod convert;
mod detach;
mod error;
mod genesis;
mod hints;
mod intake;
mod log_writer;
mod pool_order;
mod predictions;
mod produce;
mod replay;
mod rules;
mod series;
mod simulation;
mod tracing;
mod transaction;
mod verify;
mod workers;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule(gil_used = true)]
mod _core {
    use super::*;

    #[pymodule_export]
    use crate::accuracy::{PyAccuracy, PyBlockAccuracy};
    #[pymodule_export]
    use crate::analysis::{PyAnalysis, PyModelAnalysis, PyParallelism, analyse};
    #[pymodule_export]
    use crate::bench::{
        bench_batching, bench_conditions, bench_export, bench_load, bench_run, bench_state_root,
        bench_transfers, bench_workloads,
    };
    #[pymodule_export]
    use crate::blocks::{PyBlock, PyExecutionStatistics, PyHeader, PyLog, PyOmmer, PyReceipt, PyWithdrawal};
    #[pymodule_export]
    use crate::builder::{PyAdaptiveSize, PyBatchBuilder};
    #[pymodule_export]
    use crate::chain::{PyAccount, PyChain};
    #[pymodule_export]
    use crate::error::{
        BlockRefused, CoreAborted, CoreDivergence, CoreError, CoreInternalError, CoreInvalidArgument,
        GenesisError, StateUnavailable, StorageFailure, StoreRefused, error_kinds,
    };
    #[pymodule_export]
    use crate::genesis::{block_hash, dev_genesis, split_blocks};
    #[pymodule_export]
    use crate::hints::{PyAccessSet, PyBatch, PyBatchPlan, find_conflicts, plan_batches};
    #[pymodule_export]
    use crate::intake::{PyIntake, PyIntakeNews, PySubmissions};
    #[pymodule_export]
    use crate::log_writer::{PyLogWriter, PyWritten};
    #[pymodule_export]
    use crate::pool_order::{PyBestFirst, PyPriceOrder};
    #[pymodule_export]
    use crate::predictions::PyPredictionStatistics;
    #[pymodule_export]
    use crate::produce::{PyBlockAttributes, PyBuiltBlock, PyLeftOut};
    #[pymodule_export]
    use crate::replay::{PyReplayBlock, PyReplayVerdict, replay_block, replay_compare};
    #[pymodule_export]
    use crate::rules::PyRules;
    #[pymodule_export]
    use crate::series::{PySimulatedBlock, PySimulatedCall};
    #[pymodule_export]
    use crate::simulation::{PyCallOutcome, PyCallRequest};
    #[pymodule_export]
    use crate::tracing::PyCancellation;
    #[pymodule_export]
    use crate::transaction::{PyAuthorization, PyDecodeRejection, PyTransaction, decode_transactions};
    #[pymodule_export]
    use crate::verify::{PyBatchVerification, verify_batch};
    #[pymodule_export]
    use crate::workers::{PyWorkers, keccak256, panic_inside, spin};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
