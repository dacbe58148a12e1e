//! The thread that owns the connections: it accepts, reads, writes and closes, and waits for nothing but the system.
//!
//! In: what sockets say, and orders. Out: submissions to be recovered; everything that is not one of these is told to
//! the outside. A connection is idle, asks about its head, is busy with one request, or has an answer that its client
//! does not read; it is read only while it is idle.

use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::recovery::Submission;
use crate::request::submission;
use crate::{Answers, Asked, Order, Outcome, Shared};

/// Of orders.
pub(crate) const WAKER: Token = Token(0);

/// Tokens below are of listeners and of the waker; connections follow and never share one.
const FIRST_CONNECTION: u64 = 1 << 16;

/// Bytes that are read at once, and so of the longest request that is taken here.
const CHUNK: usize = 64 * 1024;

/// Bytes in which a plain head ends.
const LONGEST_HEAD: usize = 1_024;

/// Heads; those of one client differ in the body's length, if at all.
const REMEMBERED: usize = 1_024;

/// How often is looked whose time is up.
const LOOKING: Duration = Duration::from_secs(1);

/// How long nothing is accepted after the system had no room for one more connection.
const RESPITE: Duration = Duration::from_secs(1);

const HEAD_END: &[u8] = b"\r\n\r\n";

#[derive(Debug)]
enum State {
    /// Between two requests.
    Idle,
    /// A request has come whose head is being judged.
    Asking(Vec<u8>),
    /// A request is under way.
    Busy,
    /// An answer is, in part, not written.
    Unread(Vec<u8>),
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    peer: IpAddr,
    state: State,
    /// There may be more to read than was told since.
    is_readable: bool,
    /// The client has said its last.
    is_ending: bool,
    /// When it is closed if it is still idle, or unread.
    due: Instant,
}

/// All connections.
pub(crate) struct Connections {
    poll: Poll,
    listeners: Vec<TcpListener>,
    shared: Arc<Shared>,
    idle: Duration,
    open: HashMap<u64, Connection>,
    next: u64,
    /// The length of the body that a plain head announces; nothing for a head that is not plain.
    heads: HashMap<Vec<u8>, Option<usize>>,
    fresh: Vec<Submission>,
    chunk: Vec<u8>,
    answer: Vec<u8>,
    now: Instant,
    looked_at: Instant,
    /// There may be connections to be accepted from then on.
    accepts_from: Option<Instant>,
    is_closing: bool,
    /// It has been told that no connection is left.
    is_over: bool,
}

impl Connections {
    pub(crate) fn new(
        poll: Poll,
        listeners: Vec<std::net::TcpListener>,
        shared: Arc<Shared>,
        idle: Duration,
    ) -> io::Result<Self> {
        let mut listeners: Vec<_> = listeners.into_iter().map(TcpListener::from_std).collect();
        for (place, listener) in listeners.iter_mut().enumerate() {
            poll.registry().register(listener, Token(place + 1), Interest::READABLE)?;
        }
        let now = Instant::now();
        Ok(Self {
            poll,
            listeners,
            shared,
            idle,
            open: HashMap::new(),
            next: FIRST_CONNECTION,
            heads: HashMap::new(),
            fresh: Vec::new(),
            chunk: vec![0; CHUNK],
            answer: Vec::new(),
            now,
            looked_at: now,
            accepts_from: Some(now),
            is_closing: false,
            is_over: false,
        })
    }

    /// Serves until it is told to stop.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            self.now = Instant::now();
            for event in &events {
                self.turn_to(event);
            }
            if self.accepts_from.is_some_and(|from| from <= self.now) {
                self.accept();
            }
            let orders = std::mem::take(&mut *self.shared.orders.lock());
            for order in orders {
                match order {
                    Order::Answer(answers) => self.answer_all(answers),
                    Order::Judged { connection, head, length } => self.judged(connection, head, length),
                    Order::CloseSoon => self.close_soon(),
                    Order::Stop => return Ok(()),
                }
            }
            self.hand_in();
            self.look();
            if self.is_closing && self.open.is_empty() && !self.is_over {
                self.is_over = true;
                self.shared.tell(|inbox| inbox.news.is_over = true);
            }
        }
    }

    fn turn_to(&mut self, event: &Event) {
        let token = event.token().0 as u64;
        if event.token() == WAKER {
            return;
        }
        if token < FIRST_CONNECTION {
            self.accepts_from.get_or_insert(self.now);
            return;
        }
        let Some(connection) = self.open.get_mut(&token) else { return };
        connection.is_readable |= event.is_readable() || event.is_error();
        connection.is_ending |= event.is_read_closed() || event.is_error();
        match connection.state {
            State::Idle => self.read(token),
            State::Unread(_) if event.is_writable() => self.write_on(token),
            _ => {}
        }
    }

    // -- coming and going

    fn accept(&mut self) {
        self.accepts_from = None;
        let Self { listeners, poll, open, next, .. } = self;
        for listener in listeners {
            loop {
                match listener.accept() {
                    Ok((mut stream, peer)) => {
                        let token = Token(usize::try_from(*next).expect("fewer connections than addresses"));
                        if poll.registry().register(&mut stream, token, Interest::READABLE).is_err() {
                            continue; // no room to watch it: it is closed
                        }
                        let due = self.now + self.idle;
                        let connection = Connection {
                            stream,
                            peer: peer.ip(),
                            state: State::Idle,
                            is_readable: false,
                            is_ending: false,
                            due,
                        };
                        open.insert(*next, connection);
                        *next += 1;
                    }
                    Err(error) => match error.kind() {
                        ErrorKind::WouldBlock => break,
                        ErrorKind::Interrupted
                        | ErrorKind::ConnectionAborted
                        | ErrorKind::ConnectionReset => {}
                        _ => {
                            self.accepts_from = Some(self.now + RESPITE);
                            break;
                        }
                    },
                }
            }
        }
    }

    fn close(&mut self, token: u64) {
        // The system forgets a closed socket by itself.
        self.open.remove(&token);
    }

    fn close_soon(&mut self) {
        self.is_closing = true;
        self.accepts_from = None;
        self.listeners.clear();
        self.open.retain(|_, connection| matches!(connection.state, State::Busy | State::Unread(_)));
    }

    fn hand_over(&mut self, token: u64, data: &[u8]) {
        let Some(mut connection) = self.open.remove(&token) else { return };
        // Only what is not watched cannot be unwatched.
        let _ = self.poll.registry().deregister(&mut connection.stream);
        self.shared.tell(|inbox| inbox.news.handed_over.push((connection.stream, data.to_vec())));
    }

    /// When to look at the clock again.
    fn patience(&self) -> Option<Duration> {
        if self.open.is_empty() && self.accepts_from.is_none() { None } else { Some(LOOKING.min(self.idle)) }
    }

    /// Closes what has been idle for too long.
    fn look(&mut self) {
        let now = self.now;
        if now < self.looked_at + LOOKING.min(self.idle) / 2 {
            return;
        }
        self.looked_at = now;
        self.open.retain(|_, connection| {
            !matches!(connection.state, State::Idle | State::Unread(_)) || now < connection.due
        });
    }

    // -- requests

    fn read(&mut self, token: u64) {
        let Some(connection) = self.open.get_mut(&token) else { return };
        loop {
            match connection.stream.read(&mut self.chunk) {
                Ok(0) => return self.close(token),
                Ok(read) => {
                    // A read that is shorter than asked has taken all: what comes from now on is told again.
                    connection.is_readable = read == self.chunk.len() || connection.is_ending;
                    let chunk = std::mem::take(&mut self.chunk);
                    self.examine(token, &chunk[..read]);
                    self.chunk = chunk;
                    return;
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock => {
                        connection.is_readable = false;
                        return;
                    }
                    _ => return self.close(token),
                },
            }
        }
    }

    /// What one read has brought: one plain submission, or something for others.
    fn examine(&mut self, token: u64, data: &[u8]) {
        let Some(end) = head_end(data) else { return self.hand_over(token, data) };
        let (head, body) = (&data[..end], &data[end + HEAD_END.len()..]);
        match self.heads.get(head) {
            None => {
                self.shared.tell(|inbox| inbox.news.heads.push((token, head.to_vec())));
                self.set(token, State::Asking(data.to_vec()));
            }
            Some(Some(length)) if body.len() == *length => match submission(body) {
                Some((id, raw)) => self.submit(token, id, raw),
                None => self.hand_over(token, data),
            },
            Some(_) => self.hand_over(token, data),
        }
    }

    fn judged(&mut self, token: u64, head: Vec<u8>, length: Option<usize>) {
        if self.heads.len() >= REMEMBERED {
            self.heads.clear();
        }
        self.heads.insert(head, length);
        let Some(connection) = self.open.get_mut(&token) else { return };
        if let State::Asking(data) = std::mem::replace(&mut connection.state, State::Idle) {
            self.examine(token, &data);
        }
    }

    fn submit(&mut self, token: u64, id: Vec<u8>, raw: Vec<u8>) {
        let Some(connection) = self.open.get_mut(&token) else { return };
        connection.state = State::Busy;
        self.fresh.push(Submission { connection: token, peer: connection.peer, id, raw });
    }

    fn set(&mut self, token: u64, state: State) {
        if let Some(connection) = self.open.get_mut(&token) {
            connection.state = state;
        }
    }

    fn hand_in(&mut self) {
        if self.fresh.is_empty() {
            return;
        }
        if let Some(lone) = self.shared.recovery.hand_in(&mut self.fresh) {
            let recovered = self.shared.recovery.recover(vec![lone]);
            self.shared.give(recovered);
        }
    }

    // -- answers

    fn answer_all(&mut self, answers: Answers) {
        for (Asked { connection, id, .. }, outcome) in answers.outcomes {
            if !self.open.contains_key(&connection) {
                continue; // the client has gone
            }
            let (name, value): (&[u8], &[u8]) = match &outcome {
                Outcome::Hash(hash) => (b"result", &quoted(hash.as_slice())),
                Outcome::Error(error) => (b"error", error),
                Outcome::Nothing => {
                    self.close(connection);
                    continue;
                }
            };
            let parts: [&[u8]; 7] = [br#"{"jsonrpc":"2.0","id":"#, &id, b",\"", name, b"\":", value, b"}"];
            let length: usize = parts.iter().map(|part| part.len()).sum();
            let mut answer = std::mem::take(&mut self.answer);
            answer.clear();
            answer.extend_from_slice(&answers.before);
            answer.extend_from_slice(length.to_string().as_bytes());
            answer.extend_from_slice(&answers.after);
            parts.iter().for_each(|part| answer.extend_from_slice(part));
            self.write(connection, &answer);
            self.answer = answer;
        }
    }

    fn write_on(&mut self, token: u64) {
        let Some(connection) = self.open.get_mut(&token) else { return };
        if let State::Unread(rest) = std::mem::replace(&mut connection.state, State::Busy) {
            self.write(token, &rest);
        }
    }

    /// Writes an answer, or what is left of one.
    fn write(&mut self, token: u64, answer: &[u8]) {
        let Some(connection) = self.open.get_mut(&token) else { return };
        let written = loop {
            match connection.stream.write(answer) {
                Ok(written) => break written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break 0,
                Err(_) => return self.close(token),
            }
        };
        connection.due = self.now + self.idle;
        if written < answer.len() {
            connection.state = State::Unread(answer[written..].to_vec());
            let both = Interest::READABLE | Interest::WRITABLE;
            let token_ = Token(usize::try_from(token).expect("it was one before"));
            if self.poll.registry().reregister(&mut connection.stream, token_, both).is_err() {
                self.close(token);
            }
            return;
        }
        if self.is_closing {
            return self.close(token);
        }
        connection.state = State::Idle;
        if connection.is_readable {
            self.read(token);
        }
    }
}

/// Where a head of usual length ends, if it has one and is not empty.
fn head_end(data: &[u8]) -> Option<usize> {
    let first = &data[..data.len().min(LONGEST_HEAD)];
    first.windows(HEAD_END.len()).position(|window| window == HEAD_END).filter(|end| *end > 0)
}

/// A hash as JSON.
fn quoted(hash: &[u8]) -> [u8; 68] {
    let mut text = *b"\"0x0000000000000000000000000000000000000000000000000000000000000000\"";
    hex::encode_to_slice(hash, &mut text[3..67]).expect("a hash has 32 bytes");
    text
}
