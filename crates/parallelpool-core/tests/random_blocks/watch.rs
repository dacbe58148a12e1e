//! Ends the process, naming the seed, when a block does not end: workers that wait for each other
//! would otherwise let the test run for ever without a word.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::scenario::Scenario;

/// No block takes a hundredth of it, on a busy machine either.
const PATIENCE: Duration = Duration::from_secs(180);
const GLANCE: Duration = Duration::from_secs(2);

/// What each thread is about, and since when.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    state: Mutex<Running>,
    over: Condvar,
}

#[derive(Debug, Default)]
struct Running {
    seeds: HashMap<ThreadId, (u64, Instant)>,
    is_over: bool,
}

impl Watch {
    /// Runs `work` and watches over it from another thread.
    pub(crate) fn over<T>(&self, work: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            scope.spawn(|| self.look_on());
            let _end = End(self);
            work()
        })
    }

    /// The calling thread begins with this seed.
    pub(crate) fn begins(&self, seed: u64) {
        self.running().seeds.insert(std::thread::current().id(), (seed, Instant::now()));
    }

    /// The calling thread is done with its seed.
    pub(crate) fn is_done(&self) {
        self.running().seeds.remove(&std::thread::current().id());
    }

    /// A seed that has been running for longer than that.
    fn stuck(&self, patience: Duration) -> Option<u64> {
        let running = self.running();
        running.seeds.values().find(|(_, since)| since.elapsed() > patience).map(|(seed, _)| *seed)
    }

    fn look_on(&self) {
        loop {
            if let Some(seed) = self.stuck(PATIENCE) {
                eprintln!("seed {seed} does not end:\n{}", Scenario::new(seed).command());
                std::process::abort();
            }
            let running = self.running();
            if running.is_over {
                return;
            }
            drop(self.over.wait_timeout(running, GLANCE));
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

/// Lets the watching thread go, after a panic too.
struct End<'a>(&'a Watch);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.running().is_over = true;
        self.0.over.notify_all();
    }
}

#[test]
fn a_block_that_does_not_end_is_noticed_and_one_that_ends_is_not() {
    let watch = Watch::default();
    watch.begins(7);
    assert_eq!(watch.stuck(PATIENCE), None);
    assert_eq!(watch.stuck(Duration::ZERO), Some(7));

    watch.is_done();
    assert_eq!(watch.stuck(Duration::ZERO), None);
    assert_eq!(watch.over(|| 5), 5);
}
