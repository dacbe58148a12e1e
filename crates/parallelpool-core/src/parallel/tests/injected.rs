//! An executor that errs: whoever compares with serial execution finds it, and says where.

use super::*;
use crate::faults::Fault;

/// Calls to the counter, and transfers.
fn transactions() -> Vec<SharedTransaction> {
    let mut all = dependent_chain(8);
    all.extend(
        (0..8).map(|index| transaction(account(index), 1, Address::repeat_byte(0x60 + index as u8), 5)),
    );
    all
}

fn erring(fault: Fault) -> ExecuteOptions {
    ExecuteOptions { fault: Some(fault), ..ExecuteOptions::default() }
}

fn execute(options: &ExecuteOptions, threads: usize) -> Result<JobOutcome, ExecuteError> {
    let (rules, block, state, transactions) = (rules(), block(), state(), transactions());
    run(&Workers::new(threads).expect("threads"), &job(&rules, &block, &transactions, options), &state)
}

fn serially(options: &ExecuteOptions) -> Result<JobOutcome, ExecuteError> {
    let (rules, block, state, transactions) = (rules(), block(), state(), transactions());
    serial::run(&job(&rules, &block, &transactions, options), &state)
}

fn divergence(outcome: Result<JobOutcome, ExecuteError>) -> String {
    match outcome {
        Err(ExecuteError::Core(CoreError::Divergence(words))) => words,
        other => panic!("not a divergence: {other:?}"),
    }
}

#[test]
fn each_fault_spoils_what_it_is_named_after_and_nothing_serial() {
    let sound = serially(&ExecuteOptions::default()).expect("serial");
    for (_, fault) in Fault::ALL {
        let serial =
            serially(&ExecuteOptions { techniques: Techniques::NONE, ..erring(fault) }).expect("serial");
        assert_equal(&serial, &sound);
        for threads in [1, 2, 8] {
            let wrong = execute(&erring(fault), threads).expect("nobody compares");
            let accounts = wrong.changes != sound.changes;
            let receipts = wrong.ledger.receipts() != sound.ledger.receipts();

            assert_eq!((accounts, receipts), (fault != Fault::Receipt, fault == Fault::Receipt), "{fault:?}");
        }
    }
}

#[test]
fn a_second_run_of_each_transaction_finds_every_fault() {
    for (name, fault) in Fault::ALL {
        let options = ExecuteOptions { recheck: true, ..erring(fault) };
        let words = divergence(execute(&options, 2));

        assert!(words.starts_with("transaction "), "{name}: {words}");
    }
}

#[test]
fn the_sample_looks_at_the_transfers_of_serial_execution_too() {
    let options = ExecuteOptions { check_transfers: 1, ..ExecuteOptions::default() };
    let statistics = serially(&options).expect("serial").statistics;
    assert_eq!((statistics.transfers, statistics.checked_transfers), (8, 8));

    let unchecked = serially(&erring(Fault::TransferFee)).expect("nobody looks");
    assert_ne!(unchecked.changes, serially(&options).expect("serial").changes);
    let words = divergence(serially(&ExecuteOptions { check_transfers: 1, ..erring(Fault::TransferFee) }));
    assert!(words.contains("without the EVM") && words.contains("fee: 63001"), "{words}");
}

#[test]
fn the_sample_of_transfers_finds_a_wrong_fee_and_looks_at_nothing_else() {
    let unchecked = execute(&erring(Fault::TransferFee), 2).expect("nobody looks");
    assert_eq!(unchecked.statistics.checked_transfers, 0);
    for (name, fault) in Fault::ALL {
        let options = ExecuteOptions { check_transfers: 1, ..erring(fault) };
        let outcome = execute(&options, 2);
        if fault == Fault::TransferFee {
            let words = divergence(outcome);
            assert!(words.starts_with("transaction 8 [0x"), "{words}");
            assert!(words.contains("outcome: parallel") && words.contains("fee: 63001"), "{words}");
        } else {
            assert_eq!(
                outcome.expect("transfers are as they should be").statistics.checked_transfers,
                8,
                "{name}"
            );
        }
    }
}
