//! A load client for HTTP: prepared bodies over connections that stay open, one thread for each connection.
//!
//! In: the bodies of each connection, in order. Out: the time from the first byte to the last answer, how long each
//! answer took, and how many results and errors the answers hold. It sends as fast as it is answered and
//! parses no more than it must, so that it costs little beside what it measures.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use parallelpool_core::error::CoreError;

/// How long a connection waits for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes read at once.
const CHUNK: usize = 64 * 1024;

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Load {
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Of each request, in order of connection and sending.
    pub latencies_us: Vec<u32>,
    /// `"result":` in all answers.
    pub results: usize,
    /// `"error":` in all answers.
    pub errors: usize,
    /// The first answer that holds an error.
    pub first_error: Option<Vec<u8>>,
}

/// Sends `bodies[c]` over connection `c`, one after the other, all connections at once.
///
/// `CoreError::InvalidArgument` where the server cannot be reached or answers with anything but status 200.
pub fn load(address: &str, bodies: &[Vec<Vec<u8>>]) -> Result<Load, CoreError> {
    let gate = Barrier::new(bodies.len() + 1);
    let (seconds, outcomes) = thread::scope(|scope| {
        let threads: Vec<_> = bodies
            .iter()
            .map(|bodies| {
                let gate = &gate;
                scope.spawn(move || {
                    let connection = Connection::open(address);
                    gate.wait();
                    connection?.send_all(bodies)
                })
            })
            .collect();
        gate.wait();
        let began = Instant::now();
        let outcomes: Vec<io::Result<Load>> =
            threads.into_iter().map(|thread| thread.join().expect("a connection does not panic")).collect();
        (began.elapsed().as_secs_f64(), outcomes)
    });
    let mut whole = Load { seconds, ..Load::default() };
    for outcome in outcomes {
        let part =
            outcome.map_err(|error| CoreError::InvalidArgument(format!("load on {address}: {error}")))?;
        whole.latencies_us.extend(part.latencies_us);
        whole.results += part.results;
        whole.errors += part.errors;
        whole.first_error = whole.first_error.or(part.first_error);
    }
    Ok(whole)
}

struct Connection<'a> {
    stream: TcpStream,
    address: &'a str,
    /// What was read and not used.
    buffer: Vec<u8>,
    /// Where reads go; kept, since clearing one costs as much as a short read.
    chunk: Vec<u8>,
}

impl<'a> Connection<'a> {
    fn open(address: &'a str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, address, buffer: Vec::new(), chunk: vec![0; CHUNK] })
    }

    fn send_all(mut self, bodies: &[Vec<u8>]) -> io::Result<Load> {
        let mut load = Load::default();
        let requests: Vec<Vec<u8>> = bodies.iter().map(|body| self.request(body)).collect();
        for request in requests {
            let began = Instant::now();
            self.stream.write_all(&request)?;
            let answer = self.read_answer()?;
            load.latencies_us.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
            load.results += count(&answer, b"\"result\":");
            let errors = count(&answer, b"\"error\":");
            load.errors += errors;
            if errors > 0 && load.first_error.is_none() {
                load.first_error = Some(answer);
            }
        }
        Ok(load)
    }

    fn request(&self, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    /// One answer's body.
    fn read_answer(&mut self) -> io::Result<Vec<u8>> {
        let head = self.read_until(b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        if !head.starts_with("http/1.1 200") {
            let status = head.lines().next().unwrap_or_default().to_owned();
            return Err(io::Error::other(format!("answered with {status:?}")));
        }
        if head.contains("transfer-encoding: chunked") {
            return self.read_chunks();
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|length| length.trim().parse().ok())
            .ok_or_else(|| io::Error::other("an answer without a length"))?;
        self.read_exactly(length)
    }

    fn read_chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_until(b"\r\n")?;
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim().split(';').next().unwrap_or_default(), 16)
                .map_err(|_| io::Error::other("a chunk without a size"))?;
            let chunk = self.read_exactly(size + 2)?;
            if size == 0 {
                return Ok(body);
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// Everything up to `end`, which is read too.
    fn read_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].windows(end.len()).position(|window| window == end) {
                return Ok(self.buffer.drain(..searched + at + end.len()).collect());
            }
            searched = self.buffer.len().saturating_sub(end.len() - 1);
            self.read_more()?;
        }
    }

    fn read_exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.read_more()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn read_more(&mut self) -> io::Result<()> {
        match self.stream.read(&mut self.chunk) {
            Ok(0) => Err(io::Error::new(ErrorKind::UnexpectedEof, "the connection was closed")),
            Ok(read) => {
                self.buffer.extend_from_slice(&self.chunk[..read]);
                Ok(())
            }
            // A socket with a timeout is not read on by itself after the process was stopped and continued.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn count(text: &[u8], word: &[u8]) -> usize {
    text.windows(word.len()).filter(|window| *window == word).count()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;

    /// Answers each request of `connections` with the next of `answers`, and gives back the bodies.
    fn serve(
        connections: usize,
        answers: &'static [&'static str],
    ) -> (String, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let server = thread::spawn(move || {
            let mut bodies = Vec::new();
            for _ in 0..connections {
                let (stream, _) = listener.accept().expect("a connection");
                let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
                let mut writer = stream;
                for answer in answers {
                    let mut length = 0;
                    loop {
                        let mut line = String::new();
                        reader.read_line(&mut line).expect("a line");
                        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = text.trim().parse().expect("a number");
                        }
                        if line == "\r\n" {
                            break;
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).expect("the body");
                    bodies.push(String::from_utf8(body).expect("text"));
                    writer.write_all(answer.as_bytes()).expect("the client reads");
                }
            }
            bodies
        });
        (address, server)
    }

    #[test]
    fn answers_with_a_length_and_in_chunks_are_read() {
        let (address, server) = serve(
            1,
            &[
                "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"result\":1}",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n[{\"res\r\n18\r\nult\":1},{\"error\":{\"a\":0}}\r\n1\r\n]\r\n0\r\n\r\n",
            ],
        );
        let bodies = vec![vec![b"first".to_vec(), b"second".to_vec()]];
        let load = load(&address, &bodies).expect("both are answers");

        assert_eq!(server.join().expect("the server ends"), ["first", "second"]);
        assert_eq!((load.results, load.errors, load.latencies_us.len()), (2, 1, 2));
        assert!(
            load.seconds > 0.0 && load.first_error.is_some_and(|answer| answer.starts_with(b"[{\"result"))
        );
    }

    #[test]
    fn another_status_is_an_error() {
        let (address, server) = serve(1, &["HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"]);
        let refused = load(&address, &[vec![b"x".to_vec()]]).expect_err("it is no answer");
        server.join().expect("the server ends");

        assert!(refused.to_string().contains("503"), "{refused}");
    }
}
