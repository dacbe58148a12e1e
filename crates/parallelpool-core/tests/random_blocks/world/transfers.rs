//! Plain transfers in every role, and payments by a vault: what executors have short ways for.

use parallelpool_core::chainspec::Fork;
use parallelpool_core::primitives::{Address, B256, U256};
use parallelpool_core::tx::Transaction;
use rand::Rng;
use rand::seq::IndexedRandom;

use super::contracts::{PAY, SHOW_BALANCE};
use super::{World, empty_accounts, headroom};

/// Gas of a transfer before Amsterdam.
pub(super) const TRANSFER_GAS: u64 = 21_000;

impl World {
    /// A candidate that has to do with plain transfers.
    pub(super) fn plain_candidate(&mut self) {
        match self.random.random_range(0..100) {
            0..30 => self.transfer_to_hot(),
            30..50 => self.run_of_transfers(),
            50..72 => self.transfer_to_special(),
            72..80 => self.touch_empty(),
            80..88 => self.transfer_of_riches(),
            _ => self.spend_everything(),
        }
    }

    /// A transfer whose gas limit is often just enough.
    fn plain(&mut self, sender: usize, to: Address, value: U256) {
        let mut tx = self.any_draft();
        if !tx.is_parallel && tx.access_list.is_empty() && self.random.random_bool(0.6) {
            tx.gas_limit = TRANSFER_GAS;
        }
        tx.to = Some(to);
        tx.value = value;
        self.send(sender, tx);
    }

    fn transfer_to_hot(&mut self) {
        let (sender, value) = (self.some_key(), self.small_value());
        self.plain(sender, self.hot, value);
    }

    /// One sender pays several, itself at times, in a row.
    fn run_of_transfers(&mut self) {
        let sender = self.some_key();
        for _ in 0..self.random.random_range(2..9) {
            let to = match self.random.random_range(0..5) {
                0 => self.keys[sender].address,
                1 => self.hot,
                2 => Address::from_word(B256::from(self.random.random::<[u8; 32]>())),
                _ => self.some_address(),
            };
            let value = self.small_value();
            self.plain(sender, to, value);
        }
    }

    /// To those who are no mere accounts: precompiles, code, delegations, what comes and goes.
    fn transfer_to_special(&mut self) {
        let to = match self.random.random_range(0..6) {
            0 => Address::with_last_byte(self.random.random_range(1..=20)),
            1 => *self.programs.choose(&mut self.random).expect("programs"),
            2 => self.keys[5].address,
            3 => self.vault,
            4 => self.keys[self.random.random_range(0..2)].address.create(self.random.random_range(0..3)),
            _ => *self.children.choose(&mut self.random).expect("children"),
        };
        let (sender, value) = (self.some_key(), self.small_value());
        self.plain(sender, to, value);
    }

    fn touch_empty(&mut self) {
        let to = *empty_accounts().choose(&mut self.random).expect("accounts");
        let value = U256::from(u8::from(self.random.random_bool(0.3)));
        let sender = self.some_key();
        self.plain(sender, to, value);
    }

    /// To or from accounts that own nearly all the wei that a number can hold. The last of what one of
    /// them sends cannot be paid for, and what the other sends it cannot hold.
    fn transfer_of_riches(&mut self) {
        let whale = self.whale.address;
        match self.random.random_range(0..10) {
            0..3 => {
                let (sender, value) = (self.some_key(), self.small_value());
                self.plain(sender, whale, value);
            }
            3..6 => {
                let tx = Transaction { to: Some(whale), value: U256::ONE << 250, ..self.any_draft() };
                let nonce = self.rival.nonce;
                self.rival.nonce += 1;
                let key = self.rival.clone();
                self.push(&key, Transaction { nonce, ..tx });
            }
            _ => self.spend_riches(),
        }
    }

    fn spend_riches(&mut self) {
        let to = if self.random.random_bool(0.5) { self.hot } else { self.some_address() };
        let nearly_all = U256::MAX - headroom() * U256::from(64);
        let values = [U256::ONE, U256::MAX >> 1, nearly_all, U256::MAX];
        let value = *values.choose(&mut self.random).expect("values");
        let nonce = self.whale.nonce;
        self.whale.nonce += u64::from(value != U256::MAX);
        let key = self.whale.clone();
        let tx = Transaction { to: Some(to), value, nonce, ..self.any_draft() };
        self.push(&key, tx);
    }

    fn small_value(&mut self) -> U256 {
        U256::from(*[0, 1, 1, 7, 1_000, 2_000_000].choose(&mut self.random).expect("values"))
    }

    /// A call that makes the vault pay, take, or show what it has.
    pub(super) fn vault_call(&mut self) {
        let recipient = match self.random.random_range(0..6) {
            0 => self.hot,
            1 => self.spenders[0].address,
            2 => Address::from_word(B256::from(self.random.random::<[u8; 32]>())),
            3 => empty_accounts()[0],
            _ => self.some_address(),
        };
        let amount = *[4, 4, 4, 1, 0, self.vault_balance].choose(&mut self.random).expect("amounts");
        let deposit = *[0, 0, 0, 0, 4, 10].choose(&mut self.random).expect("amounts");
        let mode =
            *[PAY, PAY, PAY, 0, SHOW_BALANCE, PAY | SHOW_BALANCE].choose(&mut self.random).expect("modes");
        let sender = self.some_key();
        self.pay_by_vault(sender, U256::from(deposit), U256::from(amount), recipient, mode);
    }

    fn pay_by_vault(&mut self, sender: usize, deposit: U256, amount: U256, to: Address, mode: u64) {
        let mut tx = self.any_draft();
        let words = [amount, U256::from_be_slice(to.as_slice()), U256::from(mode)];
        tx.to = Some(self.vault);
        tx.value = deposit;
        tx.data = words.iter().flat_map(U256::to_be_bytes::<32>).collect();
        self.send(sender, tx);
    }

    /// A fresh account is paid just enough for one transfer, by a transfer or by a contract, makes
    /// it, and owns nothing. In part the payment is missing, late, repeated, or a wei short.
    pub(super) fn spend_everything(&mut self) {
        let index = self.random.random_range(0..self.spenders.len());
        let price = self.block.base_fee.unwrap_or_default() + self.random.random_range(0..4);
        let value = U256::from(self.random.random_range(0..5_000_u64));
        let mut needs = value + U256::from(TRANSFER_GAS * price);
        if self.random.random_bool(0.15) {
            needs = needs.saturating_sub(U256::ONE);
        }
        let (sender, spender) = (self.some_key(), self.spenders[index].address);
        match self.random.random_range(0..20) {
            0..3 => {}
            3..9 => self.pay_by_vault(sender, needs, needs, spender, PAY),
            _ => self.plain(sender, spender, needs),
        }
        let mut tx = self.draft(0);
        tx.gas_limit = TRANSFER_GAS;
        tx.max_fee_per_gas = U256::from(price);
        tx.max_priority_fee_per_gas = tx.max_fee_per_gas;
        tx.to = Some(self.some_address());
        self.send_as_spender(index, Transaction { value, ..tx });
    }

    fn send_as_spender(&mut self, index: usize, mut tx: Transaction) {
        tx.nonce = self.spenders[index].nonce;
        self.spenders[index].nonce += 1;
        let key = self.spenders[index].clone();
        self.push(&key, tx);
    }

    /// Whether accounts can carry a delegation.
    pub(super) fn knows_delegations(&self) -> bool {
        self.fork >= Fork::Prague
    }
}
