//! The public tests' names for what is wrong, and what our reason must then contain.

/// Fragments of reasons by exception. A refusal for another reason would be luck.
const REASONS: &[(&str, &[&str])] = &[
    ("BlockException.BLOCK_ACCESS_LIST_GAS_LIMIT_EXCEEDED", &["block access list exceeds gas limit"]),
    // A list that does not come with the block is seen by its hash only.
    ("BlockException.INCORRECT_BLOCK_FORMAT", &["not a block", "before fork", "block access list"]),
    ("BlockException.INCORRECT_EXCESS_BLOB_GAS", &["invalid excessBlobGas"]),
    ("BlockException.INVALID_BASEFEE_PER_GAS", &["invalid baseFee"]),
    ("BlockException.INVALID_BAL_HASH", &["invalid block access list hash"]),
    ("BlockException.INVALID_BLOCK_ACCESS_LIST", &["block access list"]),
    // A header whose commitment is wrong has a hash that nobody expects.
    ("BlockException.INVALID_BLOCK_HASH", &["invalid block access list hash"]),
    ("BlockException.INVALID_DEPOSIT_EVENT_LAYOUT", &["deposit"]),
    ("BlockException.INVALID_GASLIMIT", &["invalid gas limit"]),
    ("BlockException.INVALID_REQUESTS", &["invalid requests hash"]),
    ("BlockException.INVALID_WITHDRAWALS_ROOT", &["withdrawals root hash mismatch"]),
    ("BlockException.RLP_STRUCTURES_ENCODING", &["rlp: "]),
    ("BlockException.SYSTEM_CONTRACT_CALL_FAILED", &["system call to "]),
    // A fee cap below the base fee is looked at first, as in geth.
    ("TransactionException.GAS_ALLOWANCE_EXCEEDED", &["gas limit reached", "less than block base fee"]),
    ("TransactionException.GAS_LIMIT_EXCEEDS_MAXIMUM", &["transaction gas limit too high"]),
    ("TransactionException.INITCODE_SIZE_EXCEEDED", &["max initcode size exceeded"]),
    ("TransactionException.INSUFFICIENT_ACCOUNT_FUNDS", &["insufficient funds"]),
    ("TransactionException.INSUFFICIENT_MAX_FEE_PER_BLOB_GAS", &["less than block blob gas fee"]),
    ("TransactionException.INTRINSIC_GAS_BELOW_FLOOR_GAS_COST", &["insufficient gas for floor data"]),
    (
        "TransactionException.INTRINSIC_GAS_TOO_LOW",
        &["intrinsic gas too low", "insufficient gas for floor data"],
    ),
    ("TransactionException.TYPE_1_TX_PRE_FORK", &["transaction type not supported"]),
    ("TransactionException.TYPE_2_TX_PRE_FORK", &["transaction type not supported"]),
    (
        "TransactionException.TYPE_3_TX_BLOB_COUNT_EXCEEDED",
        &["too many blobs", "max blob gas per block reached"],
    ),
    ("TransactionException.TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH", &["invalid hash version"]),
    (
        "TransactionException.TYPE_3_TX_MAX_BLOB_GAS_ALLOWANCE_EXCEEDED",
        &["exceeds maximum allowance", "max blob gas per block reached", "too many blobs"],
    ),
    ("TransactionException.TYPE_4_TX_PRE_FORK", &["transaction type not supported"]),
    ("TransactionException.GASLIMIT_PRICE_PRODUCT_OVERFLOW", &["required balance exceeds 256 bits"]),
    ("TransactionException.INSUFFICIENT_MAX_FEE_PER_GAS", &["less than block base fee"]),
    ("TransactionException.INVALID_CHAINID", &["invalid chain id"]),
    ("TransactionException.NONCE_MISMATCH_TOO_HIGH", &["nonce too high"]),
    ("TransactionException.NONCE_MISMATCH_TOO_LOW", &["nonce too low"]),
    ("TransactionException.NONCE_IS_MAX", &["nonce has max value"]),
    ("TransactionException.PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS", &["higher than max fee per gas"]),
    // A value beyond 256 bits cannot be decoded; nothing is executed.
    ("TransactionException.RLP_INVALID_VALUE", &["beyond 256 bits"]),
    ("TransactionException.SENDER_NOT_EOA", &["sender not an eoa"]),
    ("TransactionException.TYPE_3_TX_CONTRACT_CREATION", &["blob transaction of type create"]),
    ("TransactionException.TYPE_3_TX_PRE_FORK", &["transaction type not supported"]),
    ("TransactionException.TYPE_3_TX_ZERO_BLOBS", &["missing blob hashes"]),
    ("TransactionException.TYPE_4_EMPTY_AUTHORIZATION_LIST", &["empty auth list"]),
    ("TransactionException.TYPE_4_TX_CONTRACT_CREATION", &["cannot be used to create contract"]),
];

/// Whether a refusal names what the test says is wrong; several are joined by `|`. Exceptions not
/// listed explain anything.
pub(crate) fn explains(reason: &str, exception: &str) -> bool {
    exception.split('|').any(|one| match REASONS.iter().find(|(listed, _)| *listed == one) {
        Some((_, fragments)) => fragments.iter().any(|fragment| reason.contains(fragment)),
        None => true,
    })
}

/// Whether every exception that the test names is listed.
pub(crate) fn is_listed(exception: &str) -> bool {
    exception.split('|').all(|one| REASONS.iter().any(|(listed, _)| *listed == one))
}
