//! Gas of SSTORE in Constantinople, by the table of EIP-1283.

use super::*;

/// Code, original value of slot 0, gas of the code, refund before it is capped.
const CASES: [(&str, u64, u64, u64); 17] = [
    ("60006000556000600055", 0, 412, 0),
    ("60006000556001600055", 0, 20_212, 0),
    ("60016000556000600055", 0, 20_212, 19_800),
    ("60016000556002600055", 0, 20_212, 0),
    ("60016000556001600055", 0, 20_212, 0),
    ("60006000556000600055", 1, 5_212, 15_000),
    ("60006000556001600055", 1, 5_212, 4_800),
    ("60006000556002600055", 1, 5_212, 0),
    ("60026000556000600055", 1, 5_212, 15_000),
    ("60026000556003600055", 1, 5_212, 0),
    ("60026000556001600055", 1, 5_212, 4_800),
    ("60026000556002600055", 1, 5_212, 0),
    ("60016000556000600055", 1, 5_212, 15_000),
    ("60016000556002600055", 1, 5_212, 0),
    ("60016000556001600055", 1, 412, 0),
    ("600160005560006000556001600055", 0, 40_218, 19_800),
    ("600060005560016000556000600055", 1, 10_218, 19_800),
];

const INTRINSIC: u64 = 21_000;

fn run(fork: Fork, code: &str, original: u64, gas_limit: u64) -> TxResult {
    let mut state = state(&hex::decode(code).expect("hex"));
    state.insert_storage(CONTRACT, U256::ZERO, U256::from(original));
    let mut tx = transaction(Some(CONTRACT), 0, &[]);
    (tx.tx.tx_type, tx.tx.gas_limit) = (0, gas_limit);
    execute(&state, fork, &tx).outcome.expect("valid")
}

#[test]
fn constantinople_meters_net_changes() {
    for (code, original, gas, refund) in CASES {
        let result = run(Fork::Constantinople, code, original, 200_000);
        let spent = INTRINSIC + gas;

        assert_eq!(result.gas_used + result.gas_refunded, spent, "{code} from {original}");
        assert_eq!(result.gas_refunded, refund.min(spent / 2), "{code} from {original}");
    }
}

#[test]
fn petersburg_takes_it_back() {
    for (code, original, _, _) in CASES {
        let result = run(Fork::Petersburg, code, original, 200_000);
        let stores = code.matches("600055").count() as u64;

        assert!(
            result.gas_used + result.gas_refunded >= INTRINSIC + stores * 5_000,
            "{code} from {original}"
        );
    }
}

#[test]
fn constantinople_knows_no_stipend_check() {
    // SSTORE(0, 0) with 206 gas left: two pushes and a read's price.
    let just_enough = INTRINSIC + 206;

    assert!(run(Fork::Constantinople, "6000600055", 0, just_enough).success);
    assert_eq!(
        run(Fork::Constantinople, "6000600055", 0, just_enough - 1).halt.as_deref(),
        Some("out of gas")
    );
    assert!(!run(Fork::Istanbul, "6000600055", 0, INTRINSIC + 2_306).success);
}
