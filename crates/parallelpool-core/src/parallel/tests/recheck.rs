//! The re-check sees every kind of difference and names it.

use super::*;
use crate::parallel::recheck::Shadow;

/// What the re-check says about the first transaction of a chain after `tamper` changed it.
fn verdict_on(tamper: impl FnOnce(&mut TxExecution)) -> Result<(), CoreError> {
    let (rules, block, state, transactions) = (rules(), block(), state(), dependent_chain(2));
    let options = ExecuteOptions { recheck: true, ..ExecuteOptions::default() };
    let job = job(&rules, &block, &transactions, &options);
    let mut evm = Evm::new(&rules, &block, crate::evm::database::ViewDatabase(&state));
    let mut execution = evm.execute(&transactions[0]).expect("memory state");
    tamper(&mut execution);
    Shadow::new(&job, &state).compare(0, &execution)
}

fn words(verdict: Result<(), CoreError>) -> String {
    match verdict {
        Err(CoreError::Divergence(words)) => words,
        other => panic!("not a divergence: {other:?}"),
    }
}

#[test]
fn an_honest_execution_passes_whatever_the_order_of_its_writes() {
    verdict_on(|execution| execution.writes.reverse()).expect("no difference");
}

#[test]
fn a_difference_is_named_with_its_transaction_and_place() {
    let outcome = words(verdict_on(|execution| {
        execution.outcome.as_mut().expect("valid").gas_used += 1;
    }));
    let slot = words(verdict_on(|execution| {
        let counter = execution.writes.iter_mut().find(|write| write.address == COUNTER);
        counter.expect("it counts").storage[0].1 += U256::ONE;
    }));
    let missing = words(verdict_on(|execution| drop(execution.writes.pop())));

    assert!(outcome.starts_with("transaction 0 [0x") && outcome.contains("outcome"), "{outcome}");
    assert!(slot.contains("write") && slot.to_lowercase().contains("0xc0c0c0"), "{slot}");
    assert!(missing.contains("write"), "{missing}");
}

#[test]
fn changes_of_the_whole_block_are_compared_account_by_account() {
    let (rules, block, state, transactions) = (rules(), block(), state(), dependent_chain(1));
    let options = ExecuteOptions::default();
    let job = job(&rules, &block, &transactions, &options);
    let mut evm = Evm::new(&rules, &block, crate::evm::database::ViewDatabase(&state));
    let execution = evm.execute(&transactions[0]).expect("memory state");
    let result = execution.outcome.clone().expect("valid");
    let shadow = || {
        let mut shadow = Shadow::new(&job, &state);
        shadow.apply(&execution, &result).expect("memory state");
        shadow
    };
    let mut changes = oracle(&job, &state).expect("serial").changes;
    shadow().compare_changes(&changes).expect("no difference");
    changes.accounts.remove(&BENEFICIARY);

    let words = words(shadow().compare_changes(&changes));
    assert!(words.to_lowercase().contains("0xbebebe"), "{words}");
}
