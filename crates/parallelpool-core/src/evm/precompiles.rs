//! The precompiles of a block, and what a simulation makes of them.
//!
//! A simulated state may take the place of a precompile, or have it answer at another address
//! (geth's `movePrecompileToAddress`). Blocks know nothing of that: for them this is one look at an
//! empty option.

use std::collections::HashMap;

use revm::context_interface::{Cfg, ContextTr};
use revm::handler::{EthPrecompiles, PrecompileProvider};
use revm::interpreter::{CallInputs, InterpreterResult};
use revm::primitives::AddressSet;
use revm::primitives::hardfork::SpecId;

use crate::primitives::Address;

/// Which precompile answers at an address; `None`: none any more.
pub(crate) type MovedPrecompiles = HashMap<Address, Option<Address>>;

/// The precompiles of a fork, some of them elsewhere.
#[derive(Debug)]
pub(crate) struct Precompiles {
    of_fork: EthPrecompiles,
    moved: Option<Box<MovedPrecompiles>>,
}

impl Precompiles {
    pub(super) fn new(spec: SpecId) -> Self {
        Self { of_fork: EthPrecompiles::new(spec), moved: None }
    }

    /// From now on these addresses answer otherwise. What is warm stays as the fork has it.
    pub(super) fn set_moved(&mut self, moved: MovedPrecompiles) {
        self.moved = (!moved.is_empty()).then(|| Box::new(moved));
    }

    /// Which precompile answers at an address, and why it fails on this input, in its own words. It is run once
    /// more for that.
    pub(super) fn failure(&self, address: &Address, input: &[u8], gas: u64) -> Option<(Address, String)> {
        let moved = self.moved.as_ref().and_then(|moved| moved.get(address));
        let origin = moved.map_or(Some(*address), |origin| *origin)?;
        let output = self.of_fork.precompiles.get(&origin)?.execute(input, gas, 0).ok()?;
        output.halt_reason().map(|reason| (origin, reason.to_string()))
    }

    /// The addresses that are warm for every transaction.
    pub(super) fn warm(&self) -> &AddressSet {
        self.of_fork.warm_addresses()
    }
}

impl<C: ContextTr<Cfg: Cfg<Spec = SpecId>>> PrecompileProvider<C> for Precompiles {
    type Output = InterpreterResult;

    fn set_spec(&mut self, spec: SpecId) -> bool {
        PrecompileProvider::<C>::set_spec(&mut self.of_fork, spec)
    }

    fn run(&mut self, context: &mut C, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        let moved = self.moved.as_ref().and_then(|moved| moved.get(&inputs.bytecode_address));
        match moved {
            None => self.of_fork.run(context, inputs),
            Some(None) => Ok(None),
            Some(Some(origin)) => {
                let inputs = CallInputs { bytecode_address: *origin, ..inputs.clone() };
                self.of_fork.run(context, &inputs)
            }
        }
    }

    fn warm_addresses(&self) -> &AddressSet {
        self.warm()
    }
}
