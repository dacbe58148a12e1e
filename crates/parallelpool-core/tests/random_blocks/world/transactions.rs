//! The candidates of a random block.

use parallelpool_core::chainspec::Fork;
use parallelpool_core::primitives::{Address, B256, Bytes, U256, keccak256};
use parallelpool_core::tx::{AccessListItem, Authorization, SharedTransaction, Transaction};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::assembler::{Assembler, op};
use super::contracts::{self, Snippet};
use super::{Key, PARALLEL_TYPE, World, blank};

/// Gas limit that any snippet is at home in. State gas makes Amsterdam dear.
const AMPLE: u64 = 400_000;
const AMPLE_AMSTERDAM: u64 = 2_000_000;

/// What most of a block's candidates are about.
#[derive(Debug, Clone, Copy)]
enum Theme {
    Mixed,
    Plain,
    Vault,
    Lifecycle,
}

impl World {
    pub(super) fn fill_candidates(&mut self) {
        let theme = *[Theme::Mixed, Theme::Mixed, Theme::Mixed, Theme::Plain, Theme::Vault, Theme::Lifecycle]
            .choose(&mut self.random)
            .expect("themes");
        let count = self.random.random_range(8..40);
        while self.candidates.len() < count {
            match (theme, self.random.random_range(0..100)) {
                (Theme::Plain, 0..75) => self.plain_candidate(),
                (Theme::Vault, 0..60) => self.vault_call(),
                (Theme::Vault, 60..80) => self.plain_candidate(),
                (Theme::Lifecycle, 0..60) => self.coming_and_going(),
                _ => self.any_candidate(),
            }
        }
    }

    fn any_candidate(&mut self) {
        match self.random.random_range(0..100) {
            0..10 => self.transfer(),
            10..18 => self.plain_candidate(),
            18..30 => self.token_transfer(),
            30..34 => self.vault_call(),
            34..66 => self.program_call(),
            66..74 => self.child_call(),
            74..79 => self.creation(),
            79..86 if self.knows_delegations() => self.delegation(),
            86..90 if self.fork >= Fork::Cancun => self.blob_transfer(),
            90..94 => self.spend_everything(),
            94.. => self.invalid(),
            _ => self.program_call(),
        }
    }

    /// What makes and unmakes accounts, with others who pay them.
    fn coming_and_going(&mut self) {
        match self.random.random_range(0..10) {
            0..3 => self.creation(),
            3..7 => self.child_call(),
            7 if self.knows_delegations() => self.delegation(),
            7 | 8 => self.program_call(),
            _ => self.plain_candidate(),
        }
    }

    /// A valid transaction of this type as far as fees go, from nobody yet.
    pub(super) fn draft(&mut self, tx_type: u8) -> Transaction {
        let tip: u64 = *[0, 0, 1, 2, 50].choose(&mut self.random).expect("tips");
        let base_fee = self.block.base_fee.unwrap_or_default();
        let cap = base_fee + tip + if tx_type >= 2 { self.random.random_range(0..3) } else { 0 };
        let mut tx = blank(tx_type);
        if tx_type == 0 && self.fork >= Fork::SpuriousDragon && self.random.random_bool(0.5) {
            tx.chain_id = Some(1);
        }
        tx.gas_limit = self.ample();
        tx.max_fee_per_gas = U256::from(cap);
        tx.max_priority_fee_per_gas = U256::from(if tx_type >= 2 { tip } else { cap });
        if tx_type != 0 && self.random.random_bool(0.3) {
            let slots = 0..self.random.random_range(0..3_u64);
            let storage_keys = slots.map(|slot| B256::from(U256::from(slot))).collect();
            tx.access_list.push(AccessListItem { address: self.some_address(), storage_keys });
        }
        tx
    }

    /// Any plain type that the fork knows.
    pub(super) fn any_draft(&mut self) -> Transaction {
        let types: &[u8] = match self.fork {
            fork if fork >= Fork::London => &[0, 1, 2, 2, PARALLEL_TYPE, PARALLEL_TYPE],
            fork if fork >= Fork::Berlin => &[0, 1],
            _ => &[0],
        };
        let tx_type = *types.choose(&mut self.random).expect("types");
        self.draft(tx_type)
    }

    fn ample(&self) -> u64 {
        if self.fork >= Fork::Amsterdam { AMPLE_AMSTERDAM } else { AMPLE }
    }

    pub(super) fn some_key(&mut self) -> usize {
        self.random.random_range(0..self.keys.len())
    }

    /// Signs for an account, whose next transaction has the next nonce.
    pub(super) fn send(&mut self, sender: usize, mut tx: Transaction) {
        tx.nonce = self.keys[sender].nonce;
        self.keys[sender].nonce += 1;
        let key = self.keys[sender].clone();
        self.push(&key, tx);
    }

    pub(super) fn push(&mut self, key: &Key, mut tx: Transaction) {
        if tx.is_parallel {
            let tag: &[u8] =
                [&b"PARALLEL"[..], b"PARALLEL", b"SEQUENTIAL", b""].choose(&mut self.random).expect("tags");
            tx.data = [tag, &tx.data].concat().into();
        }
        self.candidates.push(SharedTransaction::new(tx.signed(&key.secret).expect("a good key")));
    }

    fn transfer(&mut self) {
        let mut tx = self.any_draft();
        tx.to = Some(self.some_address());
        tx.value = U256::from(*[0, 1, 1_000, 2_000_000].choose(&mut self.random).expect("values"));
        let sender = self.some_key();
        self.send(sender, tx);
    }

    fn token_transfer(&mut self) {
        let mut tx = self.any_draft();
        let to = self.keys[self.random.random_range(0..self.keys.len())].address;
        let amount = self.random.random_range(0..700_u64);
        tx.to = Some(self.token);
        tx.data = [&[0xa9, 0x05, 0x9c, 0xbb], &word(to)[..], &U256::from(amount).to_be_bytes::<32>()]
            .concat()
            .into();
        let sender = self.some_key();
        self.send(sender, tx);
    }

    fn program_call(&mut self) {
        let mut tx = self.any_draft();
        let program = *self.programs.choose(&mut self.random).expect("programs");
        tx.to = Some(if self.random.random_bool(0.15) { self.block.beneficiary } else { program });
        tx.data = self.program_data();
        tx.value = U256::from(if self.random.random_bool(0.2) { 300 } else { 0 });
        if self.random.random_bool(0.08) {
            tx.gas_limit = self.random.random_range(27_000..60_000);
        }
        let sender = self.some_key();
        self.send(sender, tx);
    }

    fn program_data(&mut self) -> Bytes {
        let mut mask = 0;
        for _ in 0..self.random.random_range(1..4) {
            mask |= Snippet::COMMON.choose(&mut self.random).expect("snippets").bit();
        }
        match self.random.random_range(0..40) {
            0..3 => mask |= Snippet::RevertIfOdd.bit(),
            3 => mask |= Snippet::OutOfGas.bit(),
            4 => mask |= Snippet::Destroy.bit(),
            _ => {}
        }
        let nested = Snippet::COMMON.choose(&mut self.random).expect("snippets").bit()
            | if self.random.random_bool(0.1) { 1 } else { 0 };
        let words = [
            U256::from(self.random.random_range(0..4_u64)),
            self.callee(),
            U256::from(self.random.random_range(0..200_u64)),
            U256::from(mask),
            U256::from(nested),
            self.callee(),
        ];
        words.iter().flat_map(U256::to_be_bytes::<32>).collect()
    }

    /// An address as a word: often one that runs code.
    fn callee(&mut self) -> U256 {
        let address = if self.random.random_bool(0.5) {
            *self
                .programs
                .iter()
                .chain(&self.children)
                .collect::<Vec<_>>()
                .choose(&mut self.random)
                .expect("contracts")
        } else {
            &self.some_address()
        };
        U256::from_be_slice(address.as_slice())
    }

    fn child_call(&mut self) {
        let mut tx = self.any_draft();
        tx.to = self.children.choose(&mut self.random).copied();
        let destroys = self.random.random_bool(0.5);
        let words = [U256::ZERO, self.callee(), U256::ZERO, U256::from(u8::from(destroys))];
        tx.data = words.iter().flat_map(U256::to_be_bytes::<32>).collect();
        tx.value = U256::from(if self.random.random_bool(0.3) { 7 } else { 0 });
        let sender = self.some_key();
        self.send(sender, tx);
    }

    fn creation(&mut self) {
        let mut tx = self.any_draft();
        tx.data = match self.random.random_range(0..4) {
            0 => stores_and_returns_nothing(),
            1 => destroys_itself(self.some_address()),
            2 => contracts::program(self.fork, &mut self.random).into(),
            _ => contracts::child().into(),
        };
        tx.value = U256::from(if self.random.random_bool(0.2) { 9 } else { 0 });
        // The first two accounts' contracts are looked at by others.
        let sender = self.random.random_range(0..3);
        self.send(sender, tx);
    }

    fn delegation(&mut self) {
        let mut tx = self.draft(4);
        let sender = self.some_key();
        tx.to = Some(self.some_address());
        tx.data = self.program_data();
        let sender_nonce = self.keys[sender].nonce + 1;
        for _ in 0..self.random.random_range(1..3) {
            let authority = self.some_key();
            let target = match self.random.random_range(0..8) {
                0 | 1 => Address::ZERO,
                2 => Address::with_last_byte(2),
                3 => *self.children.choose(&mut self.random).expect("children"),
                _ => *self.programs.choose(&mut self.random).expect("programs"),
            };
            let mut nonce = if authority == sender { sender_nonce } else { self.keys[authority].nonce };
            if self.random.random_bool(0.1) {
                nonce += 1;
            } else if authority != sender {
                self.keys[authority].nonce += 1;
            }
            let signed = authorization(&self.keys[authority].secret, target, nonce);
            let is_own = authority == sender;
            tx.authorization_list.push(signed);
            if is_own && nonce == sender_nonce {
                // Its own authorization raises the sender's nonce once more.
                tx.nonce = self.keys[sender].nonce;
                self.keys[sender].nonce += 2;
                let key = self.keys[sender].clone();
                return self.push(&key, tx);
            }
        }
        self.send(sender, tx);
    }

    fn blob_transfer(&mut self) {
        let mut tx = self.draft(3);
        tx.to = Some(self.some_address());
        let blobs = self.random.random_range(1..5_u8);
        tx.blob_versioned_hashes = (0..blobs).map(versioned_hash).collect();
        tx.max_fee_per_blob_gas = U256::from(self.random.random_range(1..4));
        let sender = self.some_key();
        self.send(sender, tx);
    }

    /// A candidate that should not be valid at its turn.
    fn invalid(&mut self) {
        let mut tx = self.any_draft();
        tx.to = Some(self.some_address());
        let sender = self.some_key();
        let next = self.keys[sender].nonce;
        tx.nonce = next;
        match self.random.random_range(0..11) {
            10 => {
                let key = self.coded.clone();
                return self.push(&key, Transaction { nonce: 0, ..tx });
            }
            0..3 => tx.nonce = next + self.random.random_range(1..3),
            3 => tx.nonce = next.saturating_sub(1),
            4 => tx.value = U256::from(super::WEALTH) * U256::from(2),
            5 => tx.gas_limit = 20_000,
            6 if self.fork >= Fork::London => {
                tx.max_fee_per_gas = U256::from(9);
                tx.max_priority_fee_per_gas = U256::ZERO;
            }
            7 => tx.gas_limit = 80_000_000,
            8 if self.fork >= Fork::Cancun => {
                tx = Transaction { nonce: next, to: tx.to, ..self.draft(3) };
                tx.blob_versioned_hashes = (0..6).map(versioned_hash).collect();
                tx.max_fee_per_blob_gas = U256::from(2);
                // Valid while there is room for six more blobs.
                self.keys[sender].nonce += 1;
            }
            _ => {
                tx = Transaction { nonce: next, to: tx.to, ..self.draft(4) };
                tx.chain_id = Some(2);
                tx.authorization_list.push(authorization(&[7; 32], Address::ZERO, 0));
            }
        }
        let key = self.keys[sender].clone();
        self.push(&key, tx);
    }
}

fn word(address: Address) -> [u8; 32] {
    address.into_word().0
}

fn versioned_hash(blob: u8) -> B256 {
    let mut hash = keccak256([blob]);
    hash[0] = 1;
    hash
}

/// Writes storage and leaves no code: an account with storage and, before EIP-161, without nonce.
fn stores_and_returns_nothing() -> Bytes {
    let mut code = Assembler::new();
    code.push(U256::from(7)).push(U256::from(3)).ops(&[op::SSTORE, op::STOP]);
    code.code().into()
}

fn destroys_itself(heir: Address) -> Bytes {
    let mut code = Assembler::new();
    code.push(U256::from(contracts::DESTROYING)).push(U256::ZERO).push(U256::ZERO).ops(&[op::LOG1]);
    code.push_address(heir).ops(&[op::SELFDESTRUCT]);
    code.code().into()
}

pub(crate) fn authorization(secret: &[u8; 32], target: Address, nonce: u64) -> Authorization {
    let unsigned = Authorization {
        chain_id: U256::ONE,
        address: target,
        nonce,
        y_parity: 0,
        r: U256::ZERO,
        s: U256::ZERO,
    };
    let key = secp256k1::SecretKey::from_byte_array(*secret).expect("a good key");
    let message = secp256k1::Message::from_digest(unsigned.signing_hash().0);
    let signature = secp256k1::Secp256k1::signing_only().sign_ecdsa_recoverable(message, &key);
    let (id, compact) = signature.serialize_compact();
    Authorization {
        y_parity: u8::from(id != secp256k1::ecdsa::RecoveryId::Zero),
        r: U256::from_be_slice(&compact[..32]),
        s: U256::from_be_slice(&compact[32..]),
        ..unsigned
    }
}
