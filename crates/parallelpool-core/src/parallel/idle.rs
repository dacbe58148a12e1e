//! Where workers wait that have nothing to do for the moment.

use super::sync::{AtomicU32, Condvar, Mutex, Ordering, SPINS, fence, spin_loop};

/// Sleepers, and who wakes them. No wake-up is lost: a sleeper announces itself before it looks a
/// last time, and a waker changes the world before it looks for sleepers.
#[derive(Debug, Default)]
pub(super) struct Idle {
    sleepers: AtomicU32,
    generation: Mutex<u64>,
    awake: Condvar,
}

impl Idle {
    /// Returns when `ready` holds, or after some [`Self::notify`].
    pub(super) fn wait(&self, ready: impl Fn() -> bool) {
        for _ in 0..SPINS {
            if ready() {
                return;
            }
            spin_loop();
        }
        let mut generation = self.generation.lock();
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if !ready() {
            let seen = *generation;
            while *generation == seen {
                self.awake.wait(&mut generation);
            }
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Wakes all sleepers. What they wait for has been written before.
    pub(super) fn notify(&self) {
        fence(Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            *self.generation.lock() += 1;
            self.awake.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn no_wake_up_is_lost() {
        let (idle, turn) = (Idle::default(), AtomicUsize::new(0));
        const ROUNDS: usize = 20_000;
        std::thread::scope(|scope| {
            for player in 0..2 {
                let (idle, turn) = (&idle, &turn);
                scope.spawn(move || {
                    while turn.load(Ordering::Acquire) < ROUNDS {
                        let now = turn.load(Ordering::Acquire);
                        if now % 2 == player {
                            turn.store(now + 1, Ordering::Release);
                            idle.notify();
                        } else {
                            idle.wait(|| turn.load(Ordering::Acquire) != now);
                        }
                    }
                });
            }
        });

        assert!(turn.into_inner() >= ROUNDS);
    }
}
