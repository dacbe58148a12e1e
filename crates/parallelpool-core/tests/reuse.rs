//! Records of earlier runs: applied where every condition holds, and without effect where one does not.

mod support;

use std::sync::Arc;

use parallelpool_core::block::BlockContext;
use parallelpool_core::chainspec::ChainSpec;
use parallelpool_core::evm::environment_reads as reads;
use parallelpool_core::execution::{BlockOutcome, ExecuteOptions, Mode, Techniques};
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::record::{AccessRecord, Void, pre_execute};
use parallelpool_core::state::Account;
use parallelpool_core::state::memory::MemoryState;
use parallelpool_core::tx::{RecoveredTransaction, SharedTransaction};
use support::tiny::{
    BENEFICIARY, ETHER, account, block, chain, contract, executor, rich, shared, transaction,
};

const CONTRACT: Address = Address::repeat_byte(0xc0);
const OTHER: Address = Address::repeat_byte(0xc1);
/// Adds one to slot 0 and leaves a log with nothing in it.
const COUNT: [u8; 13] = [0x5f, 0x54, 0x60, 0x01, 0x01, 0x5f, 0x55, 0x5f, 0x5f, 0xa0, 0x00, 0x00, 0x00];

fn spec() -> ChainSpec {
    chain("Cancun")
}

/// Four rich accounts, and a contract with this code and 100 wei.
fn state(code: &[u8]) -> MemoryState {
    let mut state = MemoryState::new();
    for index in 1..=4 {
        rich(&mut state, account(index));
    }
    contract(&mut state, CONTRACT, 100, code);
    state
}

fn call() -> RecoveredTransaction {
    transaction(account(1), 0, Some(CONTRACT), 0)
}

fn record(tx: &RecoveredTransaction, state: &MemoryState, block: &BlockContext) -> AccessRecord {
    let rules = spec().rules_in(block);
    pre_execute(tx, state, &rules, block).expect("memory state").expect("a valid transaction")
}

/// Executes with a record for the last transaction, made on `before`, and demands the serial result.
/// Returns it and whether the record was applied.
fn execute(
    sent: &[SharedTransaction],
    record: AccessRecord,
    state: &MemoryState,
    block: &BlockContext,
) -> (BlockOutcome, bool) {
    let serial = ExecuteOptions { mode: Mode::Serial, techniques: Techniques::NONE, ..Default::default() };
    let mut records = vec![None; sent.len() - 1];
    records.push(Some(Arc::new(record)));
    let executor = executor();
    let run = |options: &ExecuteOptions| {
        let mut outcome = executor.execute(&spec(), block, sent, state, options).expect("a valid block");
        let statistics = std::mem::take(&mut outcome.statistics);
        (outcome, statistics)
    };
    let (oracle, _) = run(&serial);
    let mut is_reused = None;
    for threads in [1, 2] {
        let parallel = ExecuteOptions {
            mode: Mode::Parallel,
            threads,
            recheck: true,
            records: records.clone(),
            ..Default::default()
        };
        let (outcome, statistics) = run(&parallel);
        assert_eq!(outcome, oracle);
        assert_eq!(statistics.executions_per_transaction.len(), sent.len());
        is_reused = Some(statistics.reused == 1);
        let off =
            ExecuteOptions { techniques: Techniques { reuse: false, ..Default::default() }, ..parallel };
        let (outcome, statistics) = run(&off);
        assert_eq!((outcome, statistics.reused), (oracle.clone(), 0));
    }
    (oracle, is_reused.expect("it ran"))
}

/// Whether a record made on `before` for `block` is applied behind `earlier` on `state` in `now`.
fn is_applied(
    tx: &RecoveredTransaction,
    before: (&MemoryState, &BlockContext),
    earlier: &[RecoveredTransaction],
    now: (&MemoryState, &BlockContext),
) -> bool {
    let sent = shared(earlier.iter().cloned().chain([tx.clone()]));
    execute(&sent, record(tx, before.0, before.1), now.0, now.1).1
}

#[test]
fn a_record_is_applied_when_nothing_has_changed() {
    let (state, block) = (state(&COUNT), block(&spec()));
    let sent = shared([call()]);
    let (outcome, is_reused) = execute(&sent, record(&call(), &state, &block), &state, &block);

    assert!(is_reused);
    assert_eq!(outcome.receipts[0].logs.len(), 1);
    assert_eq!(outcome.changes.accounts[&CONTRACT].storage[&U256::ZERO], U256::ONE);
}

#[test]
fn a_slot_that_was_read_must_be_the_same() {
    let (state, block) = (state(&COUNT), block(&spec()));
    let earlier = transaction(account(2), 0, Some(CONTRACT), 0);

    assert!(!is_applied(&call(), (&state, &block), &[earlier], (&state, &block)));
    let unrelated = transaction(account(2), 0, Some(account(9)), 1);
    assert!(is_applied(&call(), (&state, &block), &[unrelated], (&state, &block)));
}

#[test]
fn an_observed_balance_must_be_the_same() {
    // SELFBALANCE PUSH0 SSTORE.
    let observer = state(&[0x47, 0x5f, 0x55, 0x00]);
    let block = block(&spec());
    let earlier = transaction(account(2), 0, Some(CONTRACT), 7);

    assert!(is_applied(&call(), (&observer, &block), &[], (&observer, &block)));
    assert!(!is_applied(&call(), (&observer, &block), std::slice::from_ref(&earlier), (&observer, &block)));
    // The same payment to one that does not look.
    let blind = state(&[0x5f, 0x5f, 0x55, 0x00]);
    assert!(is_applied(&call(), (&blind, &block), &[earlier], (&blind, &block)));
}

#[test]
fn money_that_left_must_still_be_there() {
    // Sends 60 of its 100 wei to 0x0909..: CALL(gas, 0x09.., 60, 0, 0, 0, 0).
    let mut code = vec![0x5f, 0x5f, 0x5f, 0x5f, 0x60, 60, 0x73];
    code.extend_from_slice(account(9).as_slice());
    code.extend_from_slice(&[0x5a, 0xf1, 0x00]);
    let payer = state(&code);
    let block = block(&spec());
    let earlier = transaction(account(2), 0, Some(CONTRACT), 0);
    let second = record(&call(), &payer, &block);
    let (outcome, is_reused) = execute(&shared([earlier, call()]), second, &payer, &block);

    assert!(!is_reused, "40 wei were left");
    assert_eq!(
        outcome.changes.accounts[&CONTRACT].after.map(|account| account.balance),
        Some(U256::from(40))
    );
}

#[test]
fn code_that_ran_must_be_the_same() {
    let (before, now) = (state(&COUNT), state(&[0x00]));
    let block = block(&spec());

    assert!(!is_applied(&call(), (&before, &block), &[], (&now, &block)));
}

#[test]
fn observed_emptiness_must_be_the_same() {
    // EXTCODEHASH of 0x0909.. into slot 0.
    let mut code = vec![0x73];
    code.extend_from_slice(account(9).as_slice());
    code.extend_from_slice(&[0x3f, 0x5f, 0x55, 0x00]);
    let observer = state(&code);
    let block = block(&spec());
    let funding = transaction(account(2), 0, Some(account(9)), 1);

    assert!(!is_applied(&call(), (&observer, &block), &[funding], (&observer, &block)));
}

#[test]
fn the_nonce_may_come_and_must_be_there() {
    let (state, block) = (state(&COUNT), block(&spec()));
    let second = RecoveredTransaction { tx: call().tx.clone(), sender: account(1) };
    let mut later = second;
    later.tx.nonce = 1;
    later.tx.hash = B256::repeat_byte(0x1a);
    let first = transaction(account(1), 0, Some(account(9)), 1);

    assert!(is_applied(&later, (&state, &block), &[first], (&state, &block)));
    let alone = shared([later.clone()]);
    let records = vec![Some(Arc::new(record(&later, &state, &block)))];
    let options = ExecuteOptions { mode: Mode::Parallel, records, ..Default::default() };
    let refused = executor().execute(&spec(), &block, &alone, &state, &options).expect_err("a gap");
    assert!(refused.to_string().contains("nonce too high"), "{refused}");
}

#[test]
fn funds_may_come_and_must_be_there() {
    let mut poor = state(&COUNT);
    // Not empty: whether an empty account is still there depends on who came first.
    poor.insert_account(account(1), Account { balance: U256::ONE, ..Account::default() }, None);
    let block = block(&spec());
    let funding = transaction(account(2), 0, Some(account(1)), ETHER.to::<u64>() / 2);

    assert!(is_applied(&call(), (&poor, &block), &[funding], (&poor, &block)));
    let records = vec![Some(Arc::new(record(&call(), &poor, &block)))];
    let options = ExecuteOptions { mode: Mode::Parallel, records, ..Default::default() };
    let refused =
        executor().execute(&spec(), &block, &shared([call()]), &poor, &options).expect_err("no funds");
    assert!(refused.to_string().contains("insufficient funds"), "{refused}");
}

#[test]
fn gas_that_is_not_left_in_the_block_is_not_taken() {
    let (state, block) = (state(&COUNT), block(&spec()));
    let small = BlockContext { gas_limit: 199_999, ..block.clone() };
    let records = vec![Some(Arc::new(record(&call(), &state, &block)))];
    let options = ExecuteOptions { mode: Mode::Parallel, records, ..Default::default() };
    let refused =
        executor().execute(&spec(), &small, &shared([call()]), &state, &options).expect_err("no room");

    assert!(refused.to_string().contains("gas limit reached"), "{refused}");
}

/// What a record of a run of this opcode says about another block.
fn verdict_on(opcode: u8, change: impl Fn(&mut BlockContext)) -> Result<(), Void> {
    // The opcode's value into slot 0; BLOCKHASH and BLOBHASH take the number 6 first.
    let code = [0x60, 6, opcode, 0x5f, 0x55, 0x00];
    let state = state(&code);
    let old = block(&spec());
    let mut new = old.clone();
    change(&mut new);
    let record = record(&call(), &state, &old);
    let verdict = record.applied(&call(), &spec().rules_in(&new), &new).map(drop);
    let (_, is_reused) = execute(&shared([call()]), record, &state, &new);
    assert_eq!(is_reused, verdict.is_ok(), "opcode {opcode:#x}");
    verdict
}

#[test]
fn each_part_of_the_environment_that_was_read_must_be_the_same() {
    type Change = fn(&mut BlockContext);
    let cases: [(u8, u16, Change); 9] = [
        (0x42, reads::TIMESTAMP, |block| block.timestamp += 1),
        (0x43, reads::NUMBER, |block| block.number += 1),
        (0x44, reads::PREVRANDAO, |block| block.prev_randao = Some(B256::repeat_byte(1))),
        (0x41, reads::COINBASE, |block| block.beneficiary = account(0xbb)),
        (0x45, reads::GASLIMIT, |block| block.gas_limit += 1),
        (0x48, reads::BASEFEE, |block| block.base_fee = Some(11)),
        (0x3a, reads::GASPRICE, |block| block.base_fee = Some(9)),
        (0x4a, reads::BLOBBASEFEE, |block| block.excess_blob_gas = Some(500_000_000)),
        (0x40, reads::BLOCKHASH, |block| block.parent_hash = B256::repeat_byte(2)),
    ];
    for (opcode, bit, change) in cases {
        // A price of 13 is what the transaction offers whatever the base fee: GASPRICE needs a tip.
        let expected = if bit == reads::GASPRICE { Ok(()) } else { Err(Void::Environment(bit)) };
        assert_eq!(verdict_on(opcode, change), expected, "opcode {opcode:#x}");
        for (other, other_bit, _) in cases.iter().filter(|(_, other_bit, _)| *other_bit != bit) {
            // What ancestors there are to ask for follows from the number, prices from the base fee.
            let follows = (bit, *other_bit) == (reads::NUMBER, reads::BLOCKHASH)
                || (bit, *other_bit) == (reads::GASPRICE, reads::BASEFEE);
            if !follows {
                assert_eq!(verdict_on(*other, change), Ok(()), "{other:#x} does not look at {bit:#x}");
            }
        }
    }
}

#[test]
fn a_price_that_was_read_must_be_the_same() {
    // GASPRICE PUSH0 SSTORE.
    let state = state(&[0x3a, 0x5f, 0x55, 0x00]);
    let old = block(&spec());
    let new = BlockContext { base_fee: Some(11), ..old.clone() };
    let mut tx = call();
    tx.tx.tx_type = 2;
    tx.tx.chain_id = Some(1);
    tx.tx.max_fee_per_gas = U256::from(50);
    tx.tx.max_priority_fee_per_gas = U256::from(3);
    let record = record(&tx, &state, &old);

    let rules = spec().rules_in(&new);
    assert_eq!(record.applied(&tx, &rules, &new).map(drop), Err(Void::Environment(reads::GASPRICE)));
    assert!(!execute(&shared([tx]), record, &state, &new).1);
}

/// A type 2 transaction with room for other base fees.
fn flexible() -> RecoveredTransaction {
    let mut tx = call();
    tx.tx.tx_type = 2;
    tx.tx.chain_id = Some(1);
    tx.tx.max_fee_per_gas = U256::from(50);
    tx.tx.max_priority_fee_per_gas = U256::from(3);
    tx
}

#[test]
fn fees_are_computed_anew_under_another_base_fee() {
    let state = state(&COUNT);
    let old = block(&spec());
    let new = BlockContext { base_fee: Some(17), ..old.clone() };
    let (outcome, is_reused) =
        execute(&shared([flexible()]), record(&flexible(), &state, &old), &state, &new);
    let gas = U256::from(outcome.gas_used);

    assert!(is_reused);
    assert_eq!(outcome.receipts[0].effective_gas_price, 20);
    let spent = ETHER - outcome.changes.accounts[&account(1)].after.expect("it exists").balance;
    assert_eq!(spent, gas * U256::from(20));
    let earned = outcome.changes.accounts[&BENEFICIARY].after.expect("it exists").balance;
    assert_eq!(earned, gas * U256::from(3));
}

#[test]
fn a_fee_cap_below_the_base_fee_is_no_offer() {
    let state = state(&COUNT);
    let old = block(&spec());
    let new = BlockContext { base_fee: Some(51), ..old.clone() };
    let record = record(&flexible(), &state, &old);

    assert_eq!(record.applied(&flexible(), &spec().rules_in(&new), &new).map(drop), Err(Void::Fee));
}

#[test]
fn a_look_at_the_prepaid_balance_binds_the_price() {
    // CALLER BALANCE PUSH0 SSTORE.
    let state = state(&[0x33, 0x31, 0x5f, 0x55, 0x00]);
    let old = block(&spec());
    let new = BlockContext { base_fee: Some(11), ..old.clone() };
    let record = record(&flexible(), &state, &old);

    assert_eq!(record.applied(&flexible(), &spec().rules_in(&new), &new).map(drop), Err(Void::Price));
    assert!(!execute(&shared([flexible()]), record.clone(), &state, &new).1);
    assert!(execute(&shared([flexible()]), record, &state, &old).1);
}

#[test]
fn whoever_touches_a_beneficiary_runs_again() {
    // BALANCE of 0xc1c1.., which is warm where it is the beneficiary.
    let mut code = vec![0x73];
    code.extend_from_slice(OTHER.as_slice());
    code.extend_from_slice(&[0x31, 0x50, 0x00]);
    let state = state(&code);
    let plain = block(&spec());
    let warm = BlockContext { beneficiary: OTHER, ..plain.clone() };
    for (old, new) in [(&plain, &warm), (&warm, &plain), (&warm, &warm)] {
        let record = record(&call(), &state, old);
        assert_eq!(record.applied(&call(), &spec().rules_in(new), new).map(drop), Err(Void::Beneficiary));
        assert!(!execute(&shared([call()]), record, &state, new).1);
    }
}

#[test]
fn other_rules_and_other_transactions_are_other_cases() {
    let (state, block) = (state(&COUNT), block(&spec()));
    let record = record(&call(), &state, &block);
    let older = chain("Shanghai").rules_in(&block);
    let mut other = call();
    other.tx.hash = B256::repeat_byte(0x77);

    assert_eq!(record.applied(&call(), &older, &block).map(drop), Err(Void::Rules));
    assert_eq!(record.applied(&other, &spec().rules_in(&block), &block).map(drop), Err(Void::Transaction));
}

#[test]
fn what_could_never_be_applied_is_not_recorded() {
    let (state, block) = (state(&COUNT), block(&spec()));
    let rules = spec().rules_in(&block);
    let mut without_gas = call();
    without_gas.tx.gas_limit = 20_000;
    let homestead = chain("Homestead");
    let old = support::tiny::block(&homestead);

    assert!(pre_execute(&without_gas, &state, &rules, &block).expect("memory state").is_none());
    let early = pre_execute(&call(), &state, &homestead.rules_in(&old), &old).expect("memory state");
    assert!(early.is_none());
    assert!(record(&call(), &state, &block).result().is_some_and(|result| result.success));
}
