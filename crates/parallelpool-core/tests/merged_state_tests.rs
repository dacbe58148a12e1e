//! Public state tests as blocks of many transactions, serial against every other way.

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parallelpool_core::execution::BuildOutcome;
use parallelpool_core::executor::Executor;
use support::agreement::{Case, Engine, Task, in_order};
use support::merge::{Merged, Overlaid, Solo, seed_of};
use support::shards::share;
use support::state_tests::{self, StateCase};
use support::suite::begin;
use support::tally::Tally;
use support::ways::{Way, Ways};

/// Each of its tests has a sender of its own.
const WITH_OWN_SENDERS: &str = "eest/state_tests";
/// All of its tests have one sender, and many have cases by data, gas and value.
const WITH_SEVERAL_CASES: &str = "state_tests";

fn files(suite: &str) -> Option<Vec<PathBuf>> {
    let mut files = support::json_files(&support::fixtures(suite)?);
    files.retain(|file| !support::is_slow(file));
    Some(files)
}

fn cases(file: &Path) -> impl Iterator<Item = StateCase> {
    state_tests::read(&support::read(file)).into_iter().filter_map(Result::ok)
}

/// Executes a valid case alone; the invalid ones have nothing to merge.
fn alone(executor: &Executor, case: StateCase) -> Option<Solo> {
    let transaction = Arc::new(case.transaction.clone()?);
    let options = Way::SerialSeparately.options(0, 1, &[]);
    let single = Case {
        spec: &case.spec,
        block: &case.block,
        transactions: &[Arc::clone(&transaction)],
        state: &case.state,
        task: Task::Replay(&case.rules),
        seed: 0,
        pauses: false,
    };
    let outcome = in_order(executor.run(&single, &options).ok()?);
    Some(Solo::new(case, transaction, outcome))
}

/// What a member did in the block that it does not do alone.
fn differences_from_alone(member: &Solo, place: usize, block: &BuildOutcome) -> Vec<&'static str> {
    let beneficiary = member.case.block.beneficiary;
    let (alone, company) = (&member.outcome.outcome, &block.outcome);
    let (one, other) = (&alone.receipts[0], &company.receipts[place]);
    let changes = |outcome: &parallelpool_core::execution::BlockOutcome, place: usize| {
        let mut changes = outcome.transaction_changes[place].clone();
        changes.accounts.remove(&beneficiary);
        changes
    };
    let same = [
        (one.success == other.success, "status"),
        (one.gas_used == other.gas_used, "gas"),
        (one.logs == other.logs, "logs"),
        (one.bloom == other.bloom, "bloom"),
        (one.contract_address == other.contract_address, "contract address"),
        (one.effective_gas_price == other.effective_gas_price, "price"),
        (alone.outputs[0] == company.outputs[place], "return data"),
        (changes(alone, 0) == changes(company, place), "changes"),
        (alone.transaction_touched[0] == company.transaction_touched[place], "touched accounts"),
    ];
    same.into_iter().filter(|(is_same, _)| !is_same).map(|(_, what)| what).collect()
}

fn run_merged(executor: &Executor, merged: &Merged, ways: Ways, tally: &mut Tally) {
    let transactions = merged.transactions();
    let name = &merged.members[0].case.name;
    let built = tally.compare(executor, &merged.case(&transactions), ways);
    tally.blame(&format!("block of {} beginning with {name}", merged.members.len()));
    let built = match built {
        Ok(built) => built,
        Err(error) => return tally.fail(name, format!("the merged block is refused: {error}")),
    };
    tally.executed += 1;
    for (place, member) in merged.members.iter().enumerate() {
        if member.meets_beneficiary {
            tally.skip("compared with its run alone: it looks at the beneficiary");
            continue;
        }
        for what in differences_from_alone(member, place, &built) {
            tally.fail(&member.case.name, format!("in company it has another {what}"));
        }
    }
}

fn run_disjoint(ways: Ways) {
    let Some(files) = files(WITH_OWN_SENDERS) else { return };
    let solos = share(
        &files,
        || (begin().0, Vec::new()),
        |(executor, solos), file| {
            solos.extend(cases(file).filter_map(|case| alone(executor, case)));
        },
    );
    let mut solos: Vec<Solo> = solos.into_iter().flat_map(|(_, solos)| solos).collect();
    solos.sort_by_cached_key(|solo| seed_of(&solo.case.name));
    let count = solos.len();
    let (blocks, lonely): (Vec<_>, Vec<_>) =
        Merged::pack(solos).into_iter().partition(|block| block.members.len() > 1);
    let sizes: Vec<usize> = blocks.iter().map(|block| block.members.len()).collect();
    println!(
        "{} of {count} valid cases merged into {} blocks, the largest of {}; {} fit nowhere",
        sizes.iter().sum::<usize>(),
        sizes.len(),
        sizes.iter().max().copied().unwrap_or_default(),
        lonely.len(),
    );
    let shares = share(&blocks, begin, |(executor, tally), merged| run_merged(executor, merged, ways, tally));
    Tally::sum(shares.into_iter().map(|(_, tally)| tally)).conclude(&format!("state tests merged, {ways:?}"));
}

/// Runs the tests that have several cases on one state.
fn run_overlaid(ways: Ways) {
    let Some(files) = files(WITH_SEVERAL_CASES) else { return };
    let shares = share(&files, begin, |(executor, tally), file| {
        let mut tests: BTreeMap<String, Vec<StateCase>> = BTreeMap::new();
        for case in cases(file) {
            let (test, _) = case.name.rsplit_once('/').expect("a name ends in the case's number");
            tests.entry(test.to_owned()).or_default().push(case);
        }
        let several = tests.into_values().filter(|cases| cases.len() > 1);
        for overlaid in several.filter_map(Overlaid::new) {
            tally.executed += 1;
            let built = tally.compare(executor, &overlaid.case(), ways);
            tally.blame(&overlaid.name);
            match built {
                Ok(built) => tally.refused += built.left_out.len(),
                Err(error) => tally.fail(&overlaid.name, error),
            }
        }
    });
    let tally = Tally::sum(shares.into_iter().map(|(_, tally)| tally));
    tally.conclude(&format!("state tests overlaid, {ways:?}"));
}

#[test]
fn merged_state_tests_do_in_company_what_they_do_alone() {
    run_disjoint(Ways::Sample(4));
}

#[test]
fn state_tests_of_one_state_in_one_block_have_one_result() {
    run_overlaid(Ways::Sample(4));
}

#[test]
#[ignore = "executes each block in up to 243 ways; run with --include-ignored"]
fn slow_merged_state_tests_have_one_result_in_many_ways() {
    run_disjoint(Ways::Sample(48));
    run_overlaid(Ways::All);
}
