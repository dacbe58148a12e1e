//! Submitted bytes to transactions with their senders, as many at once as have come.
//!
//! In: submissions of connections. Out: the same with what became of them, in the order in which they came, for
//! whoever takes them. One thread, which leads the engine's workers; one that comes alone while it sleeps is recovered
//! where it was read.

use std::net::IpAddr;
use std::sync::Arc;

use parallelpool_core::tx::decode::{DecodeError, decode};
use parallelpool_core::tx::recover::{SenderError, recover_sender};
use parallelpool_core::tx::{RecoveredTransaction, SharedTransaction, Transaction};
use parallelpool_core::workers::{Priority, Workers};
use parking_lot::{Condvar, Mutex};

/// Transactions of one call of the workers, for each of them. Few: while a group is admitted and synced the next one is
/// recovered, and a client that sends one after the other waits for no more than it must.
const MOST_AT_ONCE: usize = 4;

/// What became of the bytes of a transaction.
#[derive(Debug, Clone)]
pub enum Decoded {
    /// A transaction and its sender.
    Recovered(SharedTransaction),
    /// A transaction whose signature yields no sender.
    Senderless(Arc<Transaction>, SenderError),
    /// No transaction.
    Rejected(DecodeError),
}

impl Decoded {
    /// Decodes one transaction and recovers its sender.
    pub fn of(raw: &[u8], chain_id: u64, parallel_tx_type: Option<u8>) -> Self {
        match decode(raw, parallel_tx_type) {
            Err(error) => Self::Rejected(error.for_chain(chain_id)),
            Ok(tx) => match recover_sender(&tx, chain_id) {
                Ok(sender) => Self::Recovered(Arc::new(RecoveredTransaction { tx, sender })),
                Err(cause) => Self::Senderless(Arc::new(tx), cause),
            },
        }
    }
}

/// A request of a connection.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) connection: u64,
    pub(crate) peer: IpAddr,
    pub(crate) id: Vec<u8>,
    pub(crate) raw: Vec<u8>,
}

/// A request whose transaction is known.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) submission: Submission,
    pub(crate) decoded: Decoded,
    /// The parallel type that it was decoded with.
    pub(crate) under: Option<u8>,
}

/// What is to be recovered, and by whom.
#[derive(Debug)]
pub(crate) struct Recovery {
    workers: Arc<Workers>,
    chain_id: u64,
    /// The chain's parallel type at its head.
    parallel_tx_type: Mutex<Option<u8>>,
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Submission>,
    is_working: bool,
    is_over: bool,
}

impl Recovery {
    pub(crate) fn new(workers: Arc<Workers>, chain_id: u64) -> Self {
        Self {
            workers,
            chain_id,
            parallel_tx_type: Mutex::default(),
            queue: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    /// Takes submissions for the thread; gives back a lone one that would only wait for it to wake up.
    pub(crate) fn hand_in(&self, fresh: &mut Vec<Submission>) -> Option<Submission> {
        let mut queue = self.queue.lock();
        if fresh.len() == 1 && queue.waiting.is_empty() && !queue.is_working {
            return fresh.pop();
        }
        queue.waiting.append(fresh);
        if !queue.is_working {
            self.arrived.notify_one();
        }
        None
    }

    /// The next submissions, at least one; `None` when it is over.
    pub(crate) fn next(&self) -> Option<Vec<Submission>> {
        let mut queue = self.queue.lock();
        queue.is_working = false;
        self.arrived.wait_while(&mut queue, |queue| queue.waiting.is_empty() && !queue.is_over);
        if queue.is_over {
            return None;
        }
        queue.is_working = true;
        let count = queue.waiting.len().min(MOST_AT_ONCE * self.workers.threads());
        Some(queue.waiting.drain(..count).collect())
    }

    /// Ends the thread; what still waits is dropped.
    pub(crate) fn end(&self) {
        self.queue.lock().is_over = true;
        self.arrived.notify_one();
    }

    /// Recovers all, by all workers.
    pub(crate) fn recover(&self, submissions: Vec<Submission>) -> Vec<Recovered> {
        let under = *self.parallel_tx_type.lock();
        let decoded = self.workers.map_at(Priority::Recovery, &submissions, |submission| {
            Decoded::of(&submission.raw, self.chain_id, under)
        });
        submissions
            .into_iter()
            .zip(decoded)
            .map(|(submission, decoded)| Recovered { submission, decoded, under })
            .collect()
    }

    /// Learns the parallel type at the head and decodes anew what was decoded with another one.
    pub(crate) fn settle(&self, parallel_tx_type: Option<u8>, recovered: &mut [Recovered]) {
        *self.parallel_tx_type.lock() = parallel_tx_type;
        for each in recovered.iter_mut().filter(|each| each.under != parallel_tx_type) {
            each.decoded = Decoded::of(&each.submission.raw, self.chain_id, parallel_tx_type);
            each.under = parallel_tx_type;
        }
    }
}
