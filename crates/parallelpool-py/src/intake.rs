//! Connections on which transactions are submitted: what has come out, verdicts and answers in.

use std::net::TcpListener;
use std::os::fd::{FromRawFd, IntoRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use parallelpool_core::primitives::B256;
use parallelpool_intake::{Answers, Asked, Decoded, Intake, Outcome};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::detach::detached;
use crate::error::{BindingError, invalid};
use crate::transaction::decoded_object;
use crate::workers::PyWorkers;

/// The connections of some listening sockets.
#[pyclass(frozen, name = "Intake", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyIntake {
    inner: Intake,
}

#[pymethods]
impl PyIntake {
    #[new]
    #[pyo3(signature = (workers, listeners, /, *, chain_id, idle_s))]
    fn new(
        py: Python<'_>,
        workers: &PyWorkers,
        listeners: Vec<RawFd>,
        chain_id: u64,
        idle_s: f64,
    ) -> PyResult<Self> {
        let idle = Duration::try_from_secs_f64(idle_s)
            .ok()
            .filter(|idle| !idle.is_zero())
            .ok_or_else(|| invalid("the idle time is no time"))?;
        if listeners.iter().any(|file| *file < 0) {
            return Err(invalid("a listener is no file"));
        }
        // SAFETY: the caller gives these descriptors up, as the boundary says; nobody else closes them.
        let listeners = listeners.into_iter().map(|file| unsafe { TcpListener::from_raw_fd(file) }).collect();
        let workers = Arc::clone(&workers.inner);
        detached(py, || Ok(Self { inner: Intake::open(listeners, workers, chain_id, idle)? }))
    }

    fn fileno(&self) -> RawFd {
        self.inner.file()
    }

    #[pyo3(signature = (parallel_tx_type, /))]
    fn take(&self, py: Python<'_>, parallel_tx_type: Option<u8>) -> PyResult<PyIntakeNews> {
        let news =
            self.inner.take(parallel_tx_type).map_err(|failure| PyErr::from(BindingError::Panic(failure)))?;
        let mut asked = Vec::with_capacity(news.submissions.len());
        let mut decoded = Vec::with_capacity(news.submissions.len());
        for (who, what) in news.submissions {
            let hash = match &what {
                Decoded::Recovered(shared) => shared.tx.hash,
                _ => B256::ZERO,
            };
            asked.push((who, hash));
            decoded.push(decoded_object(py, what)?.unbind());
        }
        let handed_over = news.handed_over.into_iter();
        Ok(PyIntakeNews {
            submissions: Py::new(py, PySubmissions { asked, decoded })?,
            recovered_at_once: news.recovered_at_once,
            heads: news
                .heads
                .into_iter()
                .map(|(connection, head)| (connection, PyBytes::new(py, &head).unbind()))
                .collect(),
            handed_over: handed_over
                .map(|(stream, data)| (stream.into_raw_fd(), PyBytes::new(py, &data).unbind()))
                .collect(),
            is_over: news.is_over,
        })
    }

    #[pyo3(signature = (connection, head, length, /))]
    fn judge(&self, connection: u64, head: &[u8], length: Option<usize>) {
        self.inner.judge(connection, head.to_vec(), length);
    }

    #[pyo3(signature = (submissions, errors, /, *, before, after))]
    fn answer(
        &self,
        submissions: &PySubmissions,
        errors: Vec<Option<PyBackedBytes>>,
        before: &[u8],
        after: &[u8],
    ) -> PyResult<()> {
        if errors.len() != submissions.asked.len() {
            return Err(invalid("not as many answers as submissions"));
        }
        let outcomes = submissions.asked.iter().zip(errors).map(|((asked, hash), error)| {
            let outcome = error.map_or(Outcome::Hash(*hash), |error| Outcome::Error(error.to_vec()));
            (asked.clone(), outcome)
        });
        let outcomes = outcomes.collect();
        self.inner.answer(Answers { outcomes, before: before.to_vec(), after: after.to_vec() });
        Ok(())
    }

    #[pyo3(signature = (submissions, /))]
    fn hang_up(&self, submissions: &PySubmissions) {
        let asked: Vec<Asked> = submissions.asked.iter().map(|(asked, _)| asked.clone()).collect();
        let outcomes = asked.into_iter().map(|asked| (asked, Outcome::Nothing)).collect();
        self.inner.answer(Answers { outcomes, before: Vec::new(), after: Vec::new() });
    }

    fn close_soon(&self) {
        self.inner.close_soon();
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || {
            self.inner.stop();
            Ok(())
        })
    }
}

/// What has come since it was asked last.
#[pyclass(frozen, get_all, name = "IntakeNews", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PyIntakeNews {
    submissions: Py<PySubmissions>,
    recovered_at_once: Vec<usize>,
    heads: Vec<(u64, Py<PyBytes>)>,
    handed_over: Vec<(RawFd, Py<PyBytes>)>,
    is_over: bool,
}

/// Requests that wait for their answers.
#[pyclass(frozen, name = "Submissions", module = "parallelpool._core")]
#[derive(Debug)]
pub struct PySubmissions {
    asked: Vec<(Asked, B256)>,
    decoded: Vec<Py<PyAny>>,
}

#[pymethods]
impl PySubmissions {
    fn __len__(&self) -> usize {
        self.asked.len()
    }

    #[getter]
    fn decoded(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        self.decoded.iter().map(|each| each.clone_ref(py)).collect()
    }

    #[getter]
    fn peers(&self) -> Vec<String> {
        self.asked.iter().map(|(asked, _)| asked.peer.to_string()).collect()
    }
}
