//! Signed plain transfers for daemons to take in: raw bytes, all senders different accounts with keys.

use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::{Address, Bytes, U256};
use parallelpool_core::tx::Transaction;
use parallelpool_core::workers::{Priority, Workers};

use crate::workloads::accounts::Signer;

/// What all of them have in common.
#[derive(Debug, Clone, Copy)]
pub struct Transfers {
    /// Source of the keys.
    pub seed: u64,
    /// Accounts that send.
    pub senders: u64,
    /// Transfers of each, from nonce 0 on.
    pub each: u64,
    /// Chain that they are for.
    pub chain_id: u64,
    /// Wei per gas.
    pub fee_cap: u64,
    /// Wei per gas. The sender's number modulo `tip_steps` comes on top, so that prices differ.
    pub tip_cap: u64,
    /// How many different tips there are; at least 1.
    pub tip_steps: u64,
    /// Bytes of call data.
    pub data: usize,
}

/// A sender and what he signed, in nonce order.
pub type Signed = (Address, Vec<Bytes>);

/// Signs all of them, on all workers.
pub fn sign(transfers: &Transfers, workers: &Workers) -> Result<Vec<Signed>, CoreError> {
    let senders: Vec<u64> = (0..transfers.senders).collect();
    let signed = workers.map_at(Priority::Recovery, &senders, |sender| sign_all_of(transfers, *sender));
    signed.into_iter().collect()
}

fn sign_all_of(transfers: &Transfers, sender: u64) -> Result<Signed, CoreError> {
    let signer = Signer::derive(transfers.seed, "transfers", sender);
    let recipient = Address::from_slice(&signer.key[..20]);
    let data = Bytes::from(vec![0x5a; transfers.data]);
    let raw = (0..transfers.each).map(|nonce| {
        let transaction = Transaction {
            tx_type: 2,
            chain_id: Some(transfers.chain_id),
            nonce,
            // Also enough for the floor of the data's price.
            gas_limit: 21_000 + 40 * transfers.data as u64,
            max_fee_per_gas: U256::from(transfers.fee_cap),
            max_priority_fee_per_gas: U256::from(transfers.tip_cap + sender % transfers.tip_steps.max(1)),
            to: Some(recipient),
            value: U256::from(1),
            data: data.clone(),
            ..Transaction::default()
        };
        Ok(transaction.signed(&signer.key)?.tx.raw)
    });
    Ok((signer.address, raw.collect::<Result<_, CoreError>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parallelpool_core::tx::decode::decode;
    use parallelpool_core::tx::recover::recover_sender;

    #[test]
    fn what_is_signed_recovers_to_its_sender_in_nonce_order() {
        let workers = Workers::new(2).expect("threads");
        let plan = Transfers {
            seed: 7,
            senders: 5,
            each: 3,
            chain_id: 1337,
            fee_cap: 100,
            tip_cap: 10,
            tip_steps: 3,
            data: 64,
        };
        let signed = sign(&plan, &workers).expect("all are signed");

        assert_eq!(signed.len(), 5);
        for (number, (sender, transfers)) in signed.iter().enumerate() {
            assert_eq!(transfers.len(), 3);
            for (nonce, raw) in transfers.iter().enumerate() {
                let tx = decode(raw, None).expect("it is a transaction");
                assert_eq!(recover_sender(&tx, 1337).expect("it is signed"), *sender);
                assert_eq!((tx.nonce, tx.data.len()), (nonce as u64, 64));
                assert_eq!(tx.max_priority_fee_per_gas, U256::from(10 + number % 3));
            }
        }
        assert_eq!(signed, sign(&plan, &workers).expect("again"), "the same seed gives the same bytes");
    }
}
