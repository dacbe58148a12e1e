//! geth's words: why a transaction cannot be executed, and how an execution failed.

use revm::bytecode::opcode::*;

use super::*;

fn verdict(state: &MemoryState, fork: Fork, change: impl FnOnce(&mut RecoveredTransaction)) -> String {
    let mut tx = transaction(Some(RECIPIENT), 5, &[]);
    change(&mut tx);
    match execute(state, fork, &tx).outcome {
        Ok(_) => "valid".into(),
        Err(reason) => reason.to_string(),
    }
}

fn with_sender(account: Account, code: Option<Bytes>) -> MemoryState {
    let mut state = state(&[]);
    state.insert_account(SENDER, account, code);
    state
}

#[test]
fn each_check_has_geths_words() {
    let usual = state(&[]);
    let refuse = |change: fn(&mut Transaction)| verdict(&usual, Fork::Prague, |tx| change(&mut tx.tx));

    assert_eq!(refuse(|_| ()), "valid");
    assert_eq!(refuse(|tx| tx.nonce = 1), format!("nonce too high: address {SENDER}, tx: 1 state: 0"));
    assert_eq!(
        refuse(|tx| tx.value = ETHER),
        format!(
            "insufficient funds for gas * price + value: address {SENDER} have {ETHER} want {}",
            ETHER + U256::from(100 * 200_000)
        )
    );
    assert_eq!(
        refuse(|tx| tx.value = U256::MAX),
        format!(
            "insufficient funds for gas * price + value: address {SENDER} required balance exceeds 256 bits"
        )
    );
    assert_eq!(
        refuse(|tx| tx.max_fee_per_gas = U256::from(9)),
        format!("max fee per gas less than block base fee: address {SENDER}, maxFeePerGas: 9, baseFee: 10")
    );
    assert_eq!(
        refuse(|tx| tx.max_priority_fee_per_gas = U256::from(101)),
        format!(
            "max priority fee per gas higher than max fee per gas: address {SENDER}, \
             maxPriorityFeePerGas: 101, maxFeePerGas: 100"
        )
    );
    assert_eq!(refuse(|tx| tx.gas_limit = 20_999), "intrinsic gas too low: have 20999, want 21000");
    assert_eq!(
        refuse(|tx| (tx.data, tx.gas_limit) = (vec![1; 100].into(), 23_000)),
        "insufficient gas for floor data gas cost: have 23000, want 25000"
    );
    assert_eq!(
        refuse(|tx| (tx.to, tx.data, tx.value) = (None, vec![0; 49_153].into(), ETHER)),
        "max initcode size exceeded: code size 49153 limit 49152"
    );
    assert_eq!(refuse(|tx| tx.chain_id = Some(9)), "invalid chain id for signer: have 9 want 1");
    assert_eq!(refuse(|tx| tx.tx_type = 9), "transaction type not supported");
    assert_eq!(
        refuse(|tx| tx.tx_type = 4),
        format!("EIP-7702 transaction with empty auth list (sender {SENDER})")
    );
    assert_eq!(
        refuse(|tx| (tx.tx_type, tx.to) = (4, None)),
        format!("EIP-7702 transaction cannot be used to create contract (sender {SENDER})")
    );
}

#[test]
fn blob_transactions_are_refused_in_geths_words() {
    let usual = state(&[]);
    let refuse = |change: fn(&mut Transaction)| {
        verdict(&usual, Fork::Cancun, |tx| {
            tx.tx.tx_type = 3;
            let hash = B256::left_padding_from(&[1]);
            tx.tx.blob_versioned_hashes = vec![B256::from_slice(&[&[1][..], &hash[1..]].concat())];
            tx.tx.max_fee_per_blob_gas = U256::from(7);
            change(&mut tx.tx);
        })
    };
    assert_eq!(refuse(|_| ()), "valid");
    assert_eq!(refuse(|tx| tx.to = None), "blob transaction of type create");
    assert_eq!(refuse(|tx| tx.blob_versioned_hashes.clear()), "blob transaction missing blob hashes");
    assert_eq!(refuse(|tx| tx.blob_versioned_hashes[0] = B256::ZERO), "blob 0 has invalid hash version");
    assert_eq!(
        refuse(|tx| tx.max_fee_per_blob_gas = U256::ZERO),
        format!(
            "max fee per blob gas less than block blob gas fee: address {SENDER} blobGasFeeCap: 0, blobBaseFee: 1"
        )
    );
    assert_eq!(verdict(&usual, Fork::Shanghai, |tx| tx.tx.tx_type = 3), "transaction type not supported");
}

#[test]
fn sender_fees_init_code_funds_and_intrinsic_gas_are_checked_in_this_order() {
    let poor = |nonce| with_sender(Account { nonce, ..Account::default() }, None);
    let worse = |tx: &mut RecoveredTransaction| {
        tx.tx.max_fee_per_gas = U256::ONE;
        tx.tx.max_priority_fee_per_gas = U256::ZERO;
        tx.tx.gas_limit = 10;
    };
    let begins = |state: &MemoryState, words: &str| {
        let verdict = verdict(state, Fork::Osaka, worse);
        assert!(verdict.starts_with(words), "{verdict}");
    };
    begins(&poor(1), "nonce too low: address ");
    begins(&poor(0), "max fee per gas less than block base fee: ");
    let contract = with_sender(Account::default(), Some(vec![1].into()));
    begins(&contract, &format!("sender not an eoa: address {SENDER}, len(code): 1"));
    assert!(verdict(&poor(0), Fork::Osaka, |tx| tx.tx.gas_limit = 10).starts_with("insufficient funds"));
    let too_much = verdict(&poor(0), Fork::Osaka, |tx| tx.tx.gas_limit = (1 << 24) + 1);
    assert_eq!(too_much, "transaction gas limit too high (cap: 16777216, tx: 16777217)");
    let last = with_sender(Account { nonce: u64::MAX, balance: ETHER, ..Account::default() }, None);
    let words = verdict(&last, Fork::Osaka, |tx| tx.tx.nonce = u64::MAX);
    assert_eq!(words, format!("nonce has max value: address {SENDER}, nonce: {}", u64::MAX));
}

#[test]
fn a_delegated_account_may_send() {
    let delegation = [&[0xef, 1, 0][..], CONTRACT.as_slice()].concat();
    let account = Account { balance: ETHER, ..Account::default() };

    assert_eq!(verdict(&with_sender(account, Some(delegation.into())), Fork::Prague, |_| ()), "valid");
}

#[test]
fn replay_protection_does_not_exist_before_its_fork() {
    let usual = state(&[]);
    let legacy = |tx: &mut RecoveredTransaction| tx.tx.tx_type = 0;

    assert_eq!(verdict(&usual, Fork::TangerineWhistle, legacy), "invalid transaction v, r, s values");
    assert_eq!(verdict(&usual, Fork::SpuriousDragon, legacy), "valid");
}

#[test]
fn fees_beyond_128_bits_are_counted_in_full() {
    let price = U256::from(u128::MAX) + U256::from(1_000);
    let cost = price * U256::from(21_000);
    let rich = with_sender(Account { balance: cost + U256::from(5), ..Account::default() }, None);
    let expensive = |tx: &mut Transaction| {
        (tx.max_fee_per_gas, tx.max_priority_fee_per_gas, tx.gas_limit) = (price, price, 21_000);
    };
    let mut tx = transaction(Some(RECIPIENT), 5, &[]);
    expensive(&mut tx.tx);
    let execution = execute(&rich, Fork::Shanghai, &tx);
    let sender = execution.writes.iter().find(|write| write.address == SENDER).expect("it paid");

    assert_eq!(execution.outcome.expect("valid").fee, (price - U256::from(10)) * U256::from(21_000));
    assert_eq!(sender.account.flatten().map(|account| account.balance), Some(U256::ZERO));
}

fn halt(fork: Fork, code: &[u8]) -> Option<String> {
    execute(&state(code), fork, &transaction(Some(CONTRACT), 0, &[])).outcome.expect("valid").halt
}

fn failed_creation(init: &[u8], gas_limit: u64) -> Option<String> {
    let mut tx = transaction(None, 0, init);
    tx.tx.gas_limit = gas_limit;
    execute(&state(&[]), Fork::Shanghai, &tx).outcome.expect("valid").halt
}

#[test]
fn each_failure_has_geths_words() {
    let words = |code: &[u8]| halt(Fork::Shanghai, code).expect("a failure");
    let overfull = [&vec![PUSH0; 1024][..], &[PUSH0]].concat();

    assert_eq!(halt(Fork::Shanghai, &[STOP]), None);
    assert_eq!(words(&[PUSH0, PUSH0, REVERT]), "execution reverted");
    assert_eq!(words(&[JUMPDEST, PUSH0, JUMP]), "out of gas");
    assert_eq!(words(&[PUSH1, 9, JUMP]), "invalid jump destination");
    assert_eq!(words(&[INVALID]), "invalid opcode: INVALID");
    assert_eq!(words(&[0x0c]), "invalid opcode: opcode 0xc not defined");
    assert_eq!(halt(Fork::Paris, &[PUSH0]).as_deref(), Some("invalid opcode: PUSH0"));
    assert_eq!(words(&[PUSH0, ADD]), "stack underflow (1 <=> 2)");
    assert_eq!(words(&overfull), "stack limit reached 1024 (1023)");
    assert_eq!(words(&[PUSH1, 1, PUSH0, PUSH0, RETURNDATACOPY]), "return data out of bounds");
}

#[test]
fn a_failed_creation_has_geths_words() {
    let size = |bytes: u16| [&[PUSH2][..], &bytes.to_be_bytes(), &[PUSH0, RETURN]].concat();

    assert_eq!(failed_creation(&size(1), 200_000), None);
    assert_eq!(failed_creation(&size(24_577), 10_000_000).as_deref(), Some("max code size exceeded"));
    assert_eq!(
        failed_creation(&size(1_000), 60_000).as_deref(),
        Some("contract creation code storage out of gas")
    );
    assert_eq!(
        failed_creation(&[PUSH2, 0xff, 0xff, PUSH2, 0xff, 0xff, RETURN], 60_000).as_deref(),
        Some("out of gas")
    );
    let begins_with_ef = [PUSH1, 0xef, PUSH0, MSTORE8, PUSH1, 1, PUSH0, RETURN];
    assert_eq!(
        failed_creation(&begins_with_ef, 200_000).as_deref(),
        Some("invalid code: must not begin with 0xef")
    );
    let mut occupied = state(&[]);
    occupied.insert_account(SENDER.create(0), Account { nonce: 1, ..Account::default() }, None);
    let collision = execute(&occupied, Fork::Shanghai, &transaction(None, 0, &[])).outcome.expect("valid");
    assert_eq!(collision.halt.as_deref(), Some("contract address collision"));
}
