//! One scenario, executed in several ways and compared: built, imported and refused.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parallelpool_core::error::CoreError;
use parallelpool_core::execution::{BuildOutcome, ExecuteError, ExecuteOptions, ExecutionStatistics};

use crate::scenario::Scenario;
use crate::support::agreement::{Case, Difference, Engine, Task, compare_ways, compare_with};
use crate::support::ways::Way;
use crate::world::World;

/// What the comparison of one world gave.
#[derive(Debug)]
pub(crate) struct Comparison {
    /// The serially built block, changes of each transaction kept.
    pub(crate) oracle: BuildOutcome,
    pub(crate) differences: Vec<Difference>,
    pub(crate) statistics: Vec<ExecutionStatistics>,
}

/// Executes a scenario and compares. `None` where it cannot be executed serially: without its system
/// contracts no block can.
pub(crate) fn compare(engine: &dyn Engine, scenario: &Scenario, world: &World) -> Option<Comparison> {
    let engine = Guarded(engine);
    let [building, importing, refusing] = scenario.ways();
    let candidates = Case {
        spec: &world.spec,
        block: &world.block,
        transactions: &world.candidates,
        state: &world.state,
        task: Task::Build(&world.limits),
        seed: scenario.seed,
        pauses: scenario.pauses(),
    };
    let built = compare_ways(&engine, &candidates, building.into_iter());
    let oracle = built.oracle.ok()?;
    let included: Vec<_> =
        oracle.included.iter().map(|index| Arc::clone(&world.candidates[*index])).collect();
    let block = Case { transactions: &included, task: Task::Import, ..candidates };
    let as_import = BuildOutcome {
        included: (0..included.len()).collect(),
        left_out: Vec::new(),
        outcome: oracle.outcome.clone(),
    };
    let imported = compare_with(&engine, &block, Ok(as_import), importing.into_iter());
    let mut comparison = Comparison { oracle, differences: built.differences, statistics: built.statistics };
    comparison.differences.extend(imported.differences);
    comparison.statistics.extend(imported.statistics);
    comparison.refuse(&engine, Case { task: Task::Import, ..candidates }, refusing);
    Some(comparison)
}

impl Comparison {
    /// A given block with an invalid transaction is refused for the same one and the same reason.
    fn refuse(&mut self, engine: &dyn Engine, block: Case<'_>, ways: Vec<Way>) {
        if self.oracle.left_out.is_empty() {
            return;
        }
        let refused = compare_ways(engine, &block, ways.into_iter());
        self.differences.extend(refused.differences);
        // The size limit binds builders only; a block that broke it is refused elsewhere.
        let Some(only_too_long) = refused.oracle.is_ok().then(|| has_only_too_long(&self.oracle)) else {
            return;
        };
        if !only_too_long {
            let words = "the block of all candidates is valid though some were left out".into();
            self.differences.push(Difference { way: Way::SerialSeparately, words });
        }
    }
}

fn has_only_too_long(built: &BuildOutcome) -> bool {
    use parallelpool_core::block::InvalidTransaction::BlockSizeLimit;
    built.left_out.iter().any(|left_out| left_out.reason == BlockSizeLimit)
}

/// Turns a panic of the engine into a result that differs.
struct Guarded<'a>(&'a dyn Engine);

impl Engine for Guarded<'_> {
    fn run(&self, case: &Case<'_>, options: &ExecuteOptions) -> Result<BuildOutcome, ExecuteError> {
        catch_unwind(AssertUnwindSafe(|| self.0.run(case, options))).unwrap_or_else(|cause| {
            Err(CoreError::InvalidArgument(format!("panic: {}", words(&*cause))).into())
        })
    }
}

fn words(cause: &(dyn Any + Send)) -> &str {
    cause
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| cause.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}
