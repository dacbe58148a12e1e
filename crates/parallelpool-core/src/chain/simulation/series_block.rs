//! One block of a simulated series: its header as far as it is known before, its messages in order, what
//! surrounds them, and all that its header commits to afterwards.

use std::sync::Arc;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};

use super::overrides::overridden;
use super::series::{
    Planned, Series, SeriesBlock, SeriesEnd, SeriesRefusal, SimulatedBlock, SimulatedCall, Standing,
};
use super::{CallOutcome, CallRequest, in_words, named_type};
use crate::block::{BlockContext, Withdrawal};
use crate::block_access_list::{BlockAccessIndex, ListCourse};
use crate::block_codec::{Block, block_context};
use crate::chain::commitments::{commit_to_state, complete_header};
use crate::chain::{Chain, ChainBlock, SealedHeader};
use crate::chainspec::{Fork, Rules};
use crate::error::{CoreError, StateError};
use crate::evm::database::ViewDatabase;
use crate::evm::{CallOptions, Evm, Limit, TouchedAccount};
use crate::execution::{BlockOutcome, ExecuteError, ExecuteOptions};
use crate::header::{next_base_fee, next_excess_blob_gas};
use crate::ledger::Ledger;
use crate::primitives::{Address, B256, Bytecode, U256};
use crate::roots;
use crate::serial::{Caller, Job};
use crate::state::overlay::Overlay;
use crate::state::{Account, AccountAnswer, StateChanges, StateView};
use crate::system;
use crate::tx::{RecoveredTransaction, SharedTransaction};

type State = Overlay<Arc<dyn StateView>>;

/// What geth adds to the words of a failure for which it may itself be the reason.
const CAPPED: &str = " (gas limit was capped by the RPC server's global gas cap)";

impl Chain {
    /// Simulates the next block of a series; `standing` moves on by it.
    pub(super) fn simulate_block(
        &self,
        series: &Series,
        planned: &Planned<'_>,
        standing: &mut Standing,
    ) -> Result<SimulatedBlock, SeriesEnd> {
        let nothing = SeriesBlock::default();
        let wanted = planned.wanted.unwrap_or(&nothing);
        let (mut header, withdrawals) = self.series_header(series, planned, wanted, &standing.parent);
        let context = block_context(&header, &[], withdrawals.clone());
        let rules = self.spec.rules_in(&context);
        let Executed { mut outcome, transactions, calls, state } =
            self.execute_series_block(series, wanted, &rules, &context, standing)?;

        let trie = commit_to_state(&rules, &mut outcome, &standing.tries, &self.workers)?;
        let raw: Vec<_> = transactions.iter().map(|transaction| transaction.tx.raw.clone()).collect();
        header.transactions_root = roots::transactions_root(&raw);
        complete_header(&mut header, &outcome, trie.root);
        let block = Block::new(header, raw, Vec::new(), withdrawals);

        standing.tries.apply(trie);
        let (number, hash) = (block.header.number, block.hash);
        standing.state = Arc::new(After { state, number, hash });
        standing.parent = SealedHeader { hash, header: block.header.clone() };
        let raw = block.encode().into();
        Ok(SimulatedBlock { block: ChainBlock { block, transactions, raw }, calls })
    }

    /// Overrides, what precedes the messages, these, and what follows them.
    fn execute_series_block(
        &self,
        series: &Series,
        wanted: &SeriesBlock,
        rules: &Rules,
        context: &BlockContext,
        standing: &mut Standing,
    ) -> Result<Executed, SeriesEnd> {
        let options =
            ExecuteOptions { produce_access_list: rules.fork >= Fork::Amsterdam, ..Default::default() };
        let job = Job { rules, block: context, transactions: &[], caller: Caller::Import, options: &options };
        let parent = standing.state.clone();
        let mut list = ListCourse::new(&job, &*parent, &self.workers).map_err(listing)?;

        let (mut state, moved) = overridden(parent.clone(), &wanted.state_overrides, rules)?;
        let mut touched = list.is_on().then(Vec::new);
        system::before_transactions(&self.spec, rules, context, &mut state, &mut touched)?;
        let changes_before = state.clone().into_changes()?;
        list.surroundings(0, &*parent, &changes_before, &touched.unwrap_or_default()).map_err(listing)?;
        let before = list.is_on().then(|| state.clone());

        let mut evm = Evm::new(rules, context, ViewDatabase(state));
        evm.move_precompiles(moved);
        // From Amsterdam on the protocol itself tells them.
        evm.trace_logs(series.tells_moves && rules.fork < Fork::Amsterdam);
        evm.record_touched(list.is_on());
        evm.set_limit(Limit { deadline: standing.deadline, ..Limit::default() });
        let options = CallOptions {
            check_nonce: series.validate,
            check_base_fee: series.validate,
            shows_base_fee: true,
            blob_base_fee: wanted.overrides.blob_base_fee,
            ..CallOptions::CALL
        };
        let ledger = Ledger::new(rules, context, None);
        let mut run = Run { chain: self, rules, context, options, evm, ledger, done: Done::default() };
        for request in &wanted.calls {
            run.call(request, standing)?;
        }
        let Run { evm, ledger, done: Done { transactions, calls, changes, mut touched }, .. } = run;
        let mut state = evm.into_db().0;
        if let Some(before) = before {
            list.transactions(&before, &changes, &mut touched).map_err(listing)?;
        }

        let (gas_used, blob_gas_used, bloom) = (ledger.gas_used(), ledger.blob_gas_used(), ledger.bloom());
        let (receipts, _) = ledger.into_receipts();
        let mut after = Overlay::new(&state);
        let mut touched = list.is_on().then(Vec::new);
        let requests =
            system::after_transactions(&self.spec, rules, context, &receipts, &mut after, &mut touched)?;
        let changes_after = after.into_changes()?;
        let last = BlockAccessIndex::try_from(calls.len() + 1).expect("there are few messages");
        list.surroundings(last, &state, &changes_after, &touched.unwrap_or_default()).map_err(listing)?;
        state.apply(&changes_after);
        let outcome = BlockOutcome {
            receipts,
            gas_used,
            blob_gas_used,
            bloom,
            requests,
            changes: state.clone().into_changes()?,
            transaction_changes: changes,
            changes_before,
            access_list: list.finish().map_err(listing)?,
            ..BlockOutcome::default()
        };
        Ok(Executed { outcome, transactions, calls, state })
    }

    /// What is known of the header before its messages ran. Beneficiary and gas limit are those of the
    /// block before unless they are overridden.
    fn series_header(
        &self,
        series: &Series,
        planned: &Planned<'_>,
        wanted: &SeriesBlock,
        parent: &SealedHeader,
    ) -> (Header, Option<Vec<Withdrawal>>) {
        let (above, overrides) = (&parent.header, &wanted.overrides);
        let (number, timestamp) = (planned.number, planned.timestamp);
        let fork = self.spec.fork_at(number, timestamp);
        let merged = fork >= Fork::Paris || (above.number > 0 && above.difficulty.is_zero());
        let withdrawals = (fork >= Fork::Shanghai).then(|| wanted.withdrawals.clone().unwrap_or_default());
        // Who need not pay for gas could not afford a base fee that nobody asked for.
        let base_fee = if series.validate { next_base_fee(&self.spec, above, timestamp) } else { Some(0) };
        let base_fee = base_fee.filter(|_| fork >= Fork::London);
        let header = Header {
            parent_hash: parent.hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: overrides.fee_recipient.unwrap_or(above.beneficiary),
            difficulty: if merged { U256::ZERO } else { overrides.difficulty.unwrap_or(above.difficulty) },
            number,
            gas_limit: overrides.gas_limit.unwrap_or(above.gas_limit),
            timestamp,
            mix_hash: overrides.prev_randao.unwrap_or_default(),
            base_fee_per_gas: overrides.base_fee.or(base_fee),
            withdrawals_root: withdrawals.as_deref().map(roots::withdrawals_root),
            blob_gas_used: (fork >= Fork::Cancun).then_some(0),
            excess_blob_gas: next_excess_blob_gas(&self.spec, above, timestamp),
            parent_beacon_block_root: (fork >= Fork::Cancun)
                .then(|| wanted.parent_beacon_block_root.unwrap_or_default()),
            block_access_list_hash: (fork >= Fork::Amsterdam).then_some(B256::ZERO),
            slot_number: above.slot_number.map(|slot| slot.saturating_add(1)),
            ..Header::default()
        };
        (header, withdrawals)
    }
}

fn listing(error: ExecuteError) -> CoreError {
    match error {
        ExecuteError::Core(error) => error,
        other => unreachable!("no list was given: {other}"),
    }
}

/// A block of a series without its roots.
struct Executed {
    outcome: BlockOutcome,
    transactions: Vec<SharedTransaction>,
    calls: Vec<SimulatedCall>,
    state: State,
}

/// The messages of one block.
struct Run<'a> {
    chain: &'a Chain,
    rules: &'a Rules,
    context: &'a BlockContext,
    options: CallOptions,
    evm: Evm<ViewDatabase<State>>,
    ledger: Ledger,
    done: Done,
}

/// What the messages came to, one entry each.
#[derive(Default)]
struct Done {
    transactions: Vec<SharedTransaction>,
    calls: Vec<SimulatedCall>,
    changes: Vec<StateChanges>,
    touched: Vec<Vec<TouchedAccount>>,
}

impl Run<'_> {
    fn call(&mut self, request: &CallRequest, standing: &mut Standing) -> Result<(), SeriesEnd> {
        let left = self.context.gas_limit.saturating_sub(self.ledger.gas_used());
        let wanted = request.gas.unwrap_or(left);
        if wanted > left {
            return Err(SeriesRefusal::block_gas(left, wanted).into());
        }
        if let Some(words) = &request.contradiction {
            return Err(CoreError::InvalidArgument(words.clone()).into());
        }
        let gas = wanted.min(standing.budget);
        let account = self.evm.db_mut().0.account(&request.sender)?;
        let next = account.map_or(0, |account| account.nonce);
        let nonce = request.nonce.unwrap_or(next);
        // Where nonces are free they are told as the caller has them, and the message runs at the next one.
        let runs_at = if self.options.check_nonce { nonce } else { next };
        let tx_type = self.chain.spec.parallel_tx_type;
        let message = request.as_transaction(self.rules, tx_type, runs_at, gas);
        let execution = match self.evm.call(&message, &self.options) {
            Err(StateError::Interrupted) => {
                let words = format!("timeout = {}", in_words(standing.limits.timeout));
                return Err(SeriesRefusal::aborted(&words).into());
            }
            run => run?,
        };
        let mut result =
            execution.outcome.map_err(|reason| SeriesRefusal::invalid(&named_type(reason, &message), gas))?;
        let logs = self.evm.take_numbered_logs(&mut result);
        let peak_gas = self.evm.peak_gas();
        standing.budget = standing.budget.saturating_sub(result.gas_used);

        let state = &mut self.evm.db_mut().0;
        let mut own = Overlay::new(&*state);
        own.write(&execution.writes, execution.codes)?;
        if !result.beneficiary_destroyed {
            own.credit(self.context.beneficiary, result.fee, self.rules.spec_id)?;
        }
        if runs_at == u64::MAX && request.to.is_some() {
            begin_anew(&mut own, request.sender)?;
        }
        let changes = own.into_changes()?;
        state.apply(&changes);

        let mut outcome = CallOutcome::of(result.clone());
        if gas < wanted && !outcome.success && !outcome.reverted {
            outcome.error = outcome.error.map(|words| words + CAPPED);
        }
        let tx = request.as_unsigned(self.rules, tx_type, nonce, gas);
        if tx.tx_type != 3 {
            result.blob_gas_used = 0;
        }
        let transaction = Arc::new(RecoveredTransaction { tx, sender: request.sender });
        self.ledger.push(&transaction, result);
        self.done.transactions.push(transaction);
        self.done.calls.push(SimulatedCall { outcome, peak_gas, logs });
        self.done.changes.push(changes);
        self.done.touched.push(execution.touched);
        Ok(())
    }
}

/// geth's nonces begin anew after the greatest, where nobody checks them.
fn begin_anew<V: StateView>(state: &mut Overlay<V>, sender: Address) -> Result<(), StateError> {
    if let Some(account) = state.account(&sender)? {
        state.set_account(sender, Some(Account { nonce: 0, ..account }));
    }
    Ok(())
}

/// The state after a simulated block, which knows the block's hash.
#[derive(Debug)]
struct After {
    state: State,
    number: u64,
    hash: B256,
}

impl StateView for After {
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        self.state.account(address)
    }

    fn accounts(&self, addresses: &[Address], put: &mut dyn FnMut(usize, AccountAnswer)) {
        self.state.accounts(addresses, put);
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        self.state.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        self.state.has_storage(address)
    }

    fn code(&self, code_hash: &B256) -> Result<Bytecode, StateError> {
        self.state.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        if number == self.number { Ok(self.hash) } else { self.state.block_hash(number) }
    }
}
