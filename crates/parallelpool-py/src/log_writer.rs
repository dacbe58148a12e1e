//! Writing and syncing of logs, on one thread that never waits for the GIL.
//!
//! In: contents for open files, each with a ticket. Out: which ticket is written, and synced if that was asked for. What
//! comes while a sync runs is written together and shares the next one. After a failed write or sync nothing more
//! goes to that log.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::detach::detached;

/// Something to be written.
#[derive(Debug)]
struct Job {
    log: u64,
    file: RawFd,
    content: Vec<u8>,
    ticket: u64,
    is_synced: bool,
}

/// What became of some jobs for one log that were done together.
#[pyclass(frozen, get_all, name = "Written", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyWritten {
    log: u64,
    jobs: usize,
    ticket: u64,
    size: usize,
    room: usize,
    sync_seconds: Option<f64>,
    error: Option<Py<PyAny>>,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: Vec<Job>,
    is_over: bool,
}

/// What tests put in the place of system calls.
#[derive(Debug)]
struct Disk {
    write: Option<Py<PyAny>>,
    sync: Option<Py<PyAny>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    written: Mutex<Vec<PyWritten>>,
    bell: UnixStream,
    is_rung: AtomicBool,
}

/// The log that was written last.
#[derive(Debug, Default)]
struct Last {
    log: u64,
    /// Bytes of zeros behind what was written.
    room: usize,
    has_failed: bool,
}

#[derive(Debug)]
struct Writer {
    shared: Arc<Shared>,
    disk: Disk,
    room: usize,
    last: Last,
}

impl Writer {
    fn run(mut self) {
        loop {
            let jobs = {
                let mut queue = self.shared.queue.lock();
                self.shared.arrived.wait_while(&mut queue, |queue| queue.jobs.is_empty() && !queue.is_over);
                if queue.jobs.is_empty() {
                    return;
                }
                let log = queue.jobs[0].log;
                let count = queue.jobs.iter().take_while(|job| job.log == log).count();
                queue.jobs.drain(..count).collect::<Vec<_>>()
            };
            let written = self.write_all(&jobs);
            self.shared.written.lock().push(written);
            if !self.shared.is_rung.swap(true, Ordering::SeqCst) {
                // It is empty, so there is room; without a reader nobody is left to be told.
                let _ = (&self.shared.bell).write(&[1]);
            }
        }
    }

    /// Jobs for one log, of which there is at least one.
    fn write_all(&mut self, jobs: &[Job]) -> PyWritten {
        let (Some(first), Some(end)) = (jobs.first(), jobs.last()) else {
            unreachable!("jobs are never none")
        };
        if self.last.log != first.log {
            self.last = Last { log: first.log, ..Last::default() };
        }
        let content = jobs.iter().map(|job| job.content.as_slice()).collect::<Vec<_>>().concat();
        let outcome = self.write(first.file, &content, jobs.iter().any(|job| job.is_synced));
        self.last.has_failed |= outcome.is_err();
        let (sync_seconds, error) = match outcome {
            Ok(seconds) => (seconds, None),
            Err(error) => (None, Some(Python::attach(|py| error.into_value(py).into_any()))),
        };
        PyWritten {
            log: first.log,
            jobs: jobs.len(),
            ticket: end.ticket,
            size: content.len(),
            room: self.last.room,
            sync_seconds,
            error,
        }
    }

    /// Returns how long the sync took, if there was one.
    fn write(&mut self, descriptor: RawFd, content: &[u8], is_synced: bool) -> PyResult<Option<f64>> {
        if self.last.has_failed {
            return Err(PyOSError::new_err("an earlier write failed"));
        }
        // SAFETY: the descriptor is open until its writes have been taken back, and never closed here.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
        if self.last.room < content.len() {
            self.make_room(&file, content.len());
        }
        self.put(&file, content)?;
        self.last.room = self.last.room.saturating_sub(content.len());
        if !is_synced {
            return Ok(None);
        }
        let began = Instant::now();
        match &self.disk.sync {
            Some(sync) => Python::attach(|py| sync.call1(py, (descriptor,)).map(drop))?,
            None => retried(|| file.sync_data())?,
        }
        Ok(Some(began.elapsed().as_secs_f64()))
    }

    /// A disk that has no room to spare is no failure: what is written tells.
    fn make_room(&mut self, mut file: &File, needed: usize) {
        let room = needed.next_multiple_of(self.room);
        let made = file.stream_position().and_then(|end| file.write_all_at(&vec![0; room], end));
        self.last.room = if made.is_ok() { room } else { 0 };
    }

    fn put(&self, mut file: &File, mut content: &[u8]) -> PyResult<()> {
        while !content.is_empty() {
            let written = match &self.disk.write {
                Some(write) => Python::attach(|py| {
                    write.call1(py, (file.as_raw_fd(), PyBytes::new(py, content)))?.extract(py)
                })?,
                None => retried(|| file.write(content))?,
            };
            content = content.get(written..).unwrap_or_default();
        }
        Ok(())
    }
}

/// A system call, again if a signal came in between; its failure as Python has it.
fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> PyResult<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                let text = Python::attach(|py| -> PyResult<String> {
                    py.import("os")?.call_method1("strerror", (error.raw_os_error(),))?.extract()
                })?;
                return Err(PyOSError::new_err((error.raw_os_error(), text)));
            }
            Ok(value) => return Ok(value),
        }
    }
}

/// A thread that writes.
#[pyclass(frozen, name = "LogWriter", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyLogWriter {
    shared: Arc<Shared>,
    news: UnixStream,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl PyLogWriter {
    fn end(&self) {
        self.shared.queue.lock().is_over = true;
        self.shared.arrived.notify_one();
    }
}

#[pymethods]
impl PyLogWriter {
    #[new]
    #[pyo3(signature = (*, room, write = None, sync = None))]
    fn new(room: usize, write: Option<Py<PyAny>>, sync: Option<Py<PyAny>>) -> PyResult<Self> {
        let (bell, news) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        news.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            written: Mutex::default(),
            bell,
            is_rung: AtomicBool::new(false),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            disk: Disk { write, sync },
            room: room.max(1),
            last: Last::default(),
        };
        let thread =
            thread::Builder::new().name("parallelpool-journal".to_owned()).spawn(move || writer.run())?;
        Ok(Self { shared, news, thread: Mutex::new(Some(thread)) })
    }

    fn fileno(&self) -> RawFd {
        self.news.as_raw_fd()
    }

    #[pyo3(signature = (log, file, content, ticket, /, *, is_synced))]
    fn write(&self, log: u64, file: RawFd, content: &[u8], ticket: u64, is_synced: bool) {
        let content = content.to_vec();
        self.shared.queue.lock().jobs.push(Job { log, file, content, ticket, is_synced });
        self.shared.arrived.notify_one();
    }

    fn take(&self) -> Vec<PyWritten> {
        let _ = (&self.news).read(&mut [0; 8]); // nothing, where it is asked without being told
        self.shared.is_rung.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.shared.written.lock())
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        self.end();
        detached(py, || {
            if let Some(thread) = self.thread.lock().take() {
                // A panic was told by the standard hook, and what it left unwritten was never said to be written.
                let _ = thread.join();
            }
            Ok(())
        })
    }
}

impl Drop for PyLogWriter {
    /// The thread ends by itself: it may need the GIL, which whoever drops this has.
    fn drop(&mut self) {
        self.end();
    }
}
