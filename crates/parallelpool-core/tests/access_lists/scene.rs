//! A random block, its serial execution and its list.

use std::sync::Arc;

use parallelpool_core::block_access_list::BlockAccessList;
use parallelpool_core::execution::{BlockOutcome, ExecuteError, ExecuteOptions, Mode};
use parallelpool_core::executor::Executor;
use parallelpool_core::primitives::{Address, U256};
use parallelpool_core::state::{AccountChange, StateChanges};
use parallelpool_core::system::{BEACON_ROOTS_CONTRACT, HISTORY_STORAGE_CONTRACT};
use parallelpool_core::tx::SharedTransaction;
use parallelpool_core::workers::Workers;

use crate::world::World;

pub(crate) struct Scene {
    pub(crate) world: World,
    /// Those of the candidates that are valid, in order.
    pub(crate) transactions: Vec<SharedTransaction>,
    /// Their serial execution, with everything kept.
    pub(crate) outcome: BlockOutcome,
    pub(crate) list: Arc<BlockAccessList>,
    executor: Executor,
}

impl Scene {
    /// The scene of a seed. Three in four states lack the empty account that only blocks executed
    /// in order can deal with.
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        if !seed.is_multiple_of(4) {
            let gone = AccountChange { after: None, storage_cleared: false, storage: Default::default() };
            let accounts = [(Address::repeat_byte(0xee), gone)].into();
            world.state.apply(&StateChanges { accounts, ..StateChanges::default() });
        }
        let executor = Executor::new(Arc::new(Workers::new(2).expect("threads start")));
        let mut scene = Self {
            world,
            transactions: Vec::new(),
            outcome: BlockOutcome::default(),
            list: Arc::default(),
            executor,
        };
        let World { spec, block, limits, candidates, state, .. } = &scene.world;
        let serial = ExecuteOptions { mode: Mode::Serial, ..ExecuteOptions::default() };
        let built = scene.executor.build(spec, block, limits, candidates, state, &serial);
        let included = built.expect("memory never fails").included;
        scene.transactions = included.iter().map(|index| candidates[*index].clone()).collect();
        let keeping = ExecuteOptions {
            keep_transaction_changes: true,
            keep_touched: true,
            produce_access_list: true,
            ..serial
        };
        scene.outcome = scene.execute(&keeping).expect("what was built is valid");
        scene.list = scene.outcome.access_list.clone().expect("it was asked for");
        scene
    }

    pub(crate) fn execute(&self, options: &ExecuteOptions) -> Result<BlockOutcome, ExecuteError> {
        let World { spec, block, state, .. } = &self.world;
        self.executor.execute(spec, block, &self.transactions, state, options)
    }

    /// The same block, made from all candidates.
    pub(crate) fn build(&self) -> BlockOutcome {
        let World { spec, block, limits, candidates, state, .. } = &self.world;
        let options = ExecuteOptions { produce_access_list: true, ..ExecuteOptions::default() };
        let built = self.executor.build(spec, block, limits, candidates, state, &options);
        built.expect("memory never fails").outcome
    }

    pub(crate) fn with_list(&self, list: Arc<BlockAccessList>) -> ExecuteOptions {
        ExecuteOptions { access_list: Some(list), ..ExecuteOptions::default() }
    }

    /// The index of the transactions' successors.
    pub(crate) fn last_index(&self) -> u32 {
        u32::try_from(self.transactions.len()).expect("few") + 1
    }

    /// The first index that touches an account, or a slot of it.
    pub(crate) fn first_touch(&self, address: Address, slot: Option<U256>) -> u32 {
        if [BEACON_ROOTS_CONTRACT, HISTORY_STORAGE_CONTRACT].contains(&address) {
            return 0;
        }
        let by_fee = slot.is_none() && address == self.world.block.beneficiary;
        let touches = |touched: &[parallelpool_core::evm::TouchedAccount]| {
            let mut of_account = touched.iter().filter(|account| account.address == address);
            of_account.any(|account| slot.is_none_or(|slot| account.slots.contains(&slot)))
        };
        let position = match by_fee {
            true => (!self.transactions.is_empty()).then_some(0),
            false => self.outcome.transaction_touched.iter().position(|touched| touches(touched)),
        };
        position.map_or(self.last_index(), |at| u32::try_from(at).expect("few") + 1)
    }
}
