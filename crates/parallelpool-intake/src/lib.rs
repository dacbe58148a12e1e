//! Connections on which clients submit transactions over HTTP, from their bytes to recovered senders and back.
//!
//! In: listening sockets, and verdicts on heads, by whoever knows HTTP and JSON-RPC in full. Out, to be taken by
//! the same: transactions with their senders, heads that were never seen, and whole connections on which anything came
//! that is no plain submission, with the bytes that were read and not answered. A connection has at most one request
//! under way and nothing more is read meanwhile, so what one client can make wait here is one request.
//!
//! Two threads: one reads and writes ([`connections`]), one recovers ([`recovery`]). Neither knows Python; a byte on a
//! socket tells that there is something to take.

#![forbid(unsafe_code)]

mod connections;
mod recovery;
mod request;

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Poll, Waker};
use parallelpool_core::error::CoreError;
use parallelpool_core::primitives::B256;
use parallelpool_core::workers::Workers;
use parking_lot::Mutex;

pub use self::recovery::Decoded;

use self::connections::{Connections, WAKER};
use self::recovery::{Recovered, Recovery, Submission};

/// Transactions that are given away at once.
const MOST_TAKEN: usize = 256;

/// The body of an answer, but for the envelope.
#[derive(Debug)]
pub enum Outcome {
    /// The hash of a transaction that was taken in.
    Hash(B256),
    /// An error object of JSON-RPC.
    Error(Vec<u8>),
    /// None: the connection is closed.
    Nothing,
}

/// A request that waits for its answer.
#[derive(Debug, Clone)]
pub struct Asked {
    connection: u64,
    /// The client's address.
    pub peer: IpAddr,
    id: Vec<u8>,
}

/// Answers to some requests, and the two halves of their heads, before and after the body's length.
#[derive(Debug)]
pub struct Answers {
    /// To whom, and what.
    pub outcomes: Vec<(Asked, Outcome)>,
    /// Status line and headers up to `Content-Length: `.
    pub before: Vec<u8>,
    /// From behind the length to the empty line.
    pub after: Vec<u8>,
}

/// What is to be done on the connections.
#[derive(Debug)]
enum Order {
    Answer(Answers),
    Judged { connection: u64, head: Vec<u8>, length: Option<usize> },
    CloseSoon,
    Stop,
}

/// What has come since it was asked last.
#[derive(Debug, Default)]
pub struct News {
    /// Requests and what became of their bytes, in the order in which they came.
    pub submissions: Vec<(Asked, Decoded)>,
    /// Transactions of each call of the workers.
    pub recovered_at_once: Vec<usize>,
    /// Heads to be judged, each with the connection that waits for the verdict.
    pub heads: Vec<(u64, Vec<u8>)>,
    /// Connections that are left to the one who takes this, with what was read and not answered.
    pub handed_over: Vec<(TcpStream, Vec<u8>)>,
    /// After [`Intake::close_soon`]: no connection is left.
    pub is_over: bool,
}

#[derive(Debug, Default)]
struct Inbox {
    recovered: Vec<Recovered>,
    news: News,
    failure: Option<String>,
}

/// What the threads and the outside share.
#[derive(Debug)]
struct Shared {
    recovery: Recovery,
    orders: Mutex<Vec<Order>>,
    waker: Waker,
    inbox: Mutex<Inbox>,
    bell: UnixStream,
    is_rung: AtomicBool,
}

impl Shared {
    /// Adds to what is to be taken, and says so.
    fn tell(&self, add: impl FnOnce(&mut Inbox)) {
        add(&mut self.inbox.lock());
        self.ring();
    }

    fn ring(&self) {
        if !self.is_rung.swap(true, Ordering::SeqCst) {
            // It is empty, so there is room; without a reader nobody is left to be told.
            let _ = (&self.bell).write(&[1]);
        }
    }

    fn order(&self, order: Order) {
        self.orders.lock().push(order);
        // Only a closed poll refuses, and then its thread has ended.
        let _ = self.waker.wake();
    }

    fn recover_on(&self) {
        while let Some(submissions) = self.recovery.next() {
            let recovered = self.recovery.recover(submissions);
            self.give(recovered);
        }
    }

    fn give(&self, mut recovered: Vec<Recovered>) {
        self.tell(|inbox| {
            inbox.news.recovered_at_once.push(recovered.len());
            inbox.recovered.append(&mut recovered);
        });
    }
}

/// The connections of some listeners.
#[derive(Debug)]
pub struct Intake {
    shared: Arc<Shared>,
    news: UnixStream,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Intake {
    /// Serves what connects to `listeners`, which do not block. A connection without a request is closed after `idle`.
    pub fn open(
        listeners: Vec<TcpListener>,
        workers: Arc<Workers>,
        chain_id: u64,
        idle: Duration,
    ) -> Result<Self, CoreError> {
        let open = || {
            let poll = Poll::new()?;
            let waker = Waker::new(poll.registry(), WAKER)?;
            let (bell, news) = UnixStream::pair()?;
            bell.set_nonblocking(true)?;
            news.set_nonblocking(true)?;
            let shared = Arc::new(Shared {
                recovery: Recovery::new(workers, chain_id),
                orders: Mutex::default(),
                waker,
                inbox: Mutex::default(),
                bell,
                is_rung: AtomicBool::new(false),
            });
            let connections = Connections::new(poll, listeners, Arc::clone(&shared), idle)?;
            let recovering = Arc::clone(&shared);
            let intake = Self { shared: Arc::clone(&shared), news, threads: Mutex::default() };
            intake.begin("parallelpool-http", move || connections.run())?;
            intake.begin("parallelpool-recovery", move || {
                recovering.recover_on();
                Ok(())
            })?;
            Ok(intake)
        };
        open().map_err(|error: std::io::Error| {
            CoreError::InvalidArgument(format!("cannot serve connections: {error}"))
        })
    }

    /// A thread whose failure is told to whoever takes the news.
    fn begin(
        &self,
        name: &str,
        work: impl FnOnce() -> std::io::Result<()> + Send + 'static,
    ) -> std::io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let told = name.to_owned();
        let guarded = move || {
            let failure = match catch_unwind(AssertUnwindSafe(work)) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "panicked".to_owned(),
            };
            shared.tell(|inbox| inbox.failure = Some(format!("{told}: {failure}")));
        };
        self.threads.lock().push(thread::Builder::new().name(name.to_owned()).spawn(guarded)?);
        Ok(())
    }

    /// Becomes readable when there is something to take.
    pub fn file(&self) -> RawFd {
        self.news.as_raw_fd()
    }

    /// What has come, not more than some hundred submissions at once. `parallel_tx_type` is that of the chain's head.
    ///
    /// The error says that a thread has failed, which is a bug: nothing is served any more.
    pub fn take(&self, parallel_tx_type: Option<u8>) -> Result<News, String> {
        let _ = (&self.news).read(&mut [0; 8]); // nothing, where it is asked without being told
        self.shared.is_rung.store(false, Ordering::SeqCst);
        let (mut news, mut recovered, is_more) = {
            let mut inbox = self.shared.inbox.lock();
            if let Some(failure) = &inbox.failure {
                return Err(failure.clone());
            }
            let count = inbox.recovered.len().min(MOST_TAKEN);
            let recovered: Vec<Recovered> = inbox.recovered.drain(..count).collect();
            (std::mem::take(&mut inbox.news), recovered, !inbox.recovered.is_empty())
        };
        if is_more {
            self.shared.ring();
        }
        self.shared.recovery.settle(parallel_tx_type, &mut recovered);
        news.submissions = recovered
            .into_iter()
            .map(|each| {
                let Submission { connection, peer, id, .. } = each.submission;
                (Asked { connection, peer, id }, each.decoded)
            })
            .collect();
        Ok(news)
    }

    /// Gives answers.
    pub fn answer(&self, answers: Answers) {
        self.shared.order(Order::Answer(answers));
    }

    /// Says of a head whether it is plain, and how long its body is then.
    pub fn judge(&self, connection: u64, head: Vec<u8>, length: Option<usize>) {
        self.shared.order(Order::Judged { connection, head, length });
    }

    /// Takes no more connections and requests; each connection closes when it is answered.
    pub fn close_soon(&self) {
        self.shared.order(Order::CloseSoon);
    }

    /// Closes everything and waits for the threads.
    pub fn stop(&self) {
        self.shared.order(Order::Stop);
        self.shared.recovery.end();
        for thread in self.threads.lock().drain(..) {
            thread.join().expect("its panics are caught");
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.stop();
    }
}
