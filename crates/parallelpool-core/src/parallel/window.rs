//! How far ahead of the frontier workers may speculate.
//!
//! When most executions are thrown away the window shrinks, down to one: then transactions run in
//! order on one worker and nothing is wasted. At one there are no conflicts to learn from, so after
//! a quiet time the window is opened again; each attempt that fails doubles the wait for the next.

/// Commits that one judgement rests on.
const SAMPLE: u32 = 16;
/// Commits at window one before the first attempt to open it.
const FIRST_QUIET: u32 = 64;
/// Transactions ahead, for each worker.
const PER_WORKER: u32 = 16;

/// The size of the window and what it follows from.
#[derive(Debug)]
pub(super) struct Window {
    size: u32,
    most: u32,
    commits: u32,
    conflicts: u32,
    quiet: u32,
    is_adaptive: bool,
}

impl Window {
    /// A window for this many workers; one that is not adaptive keeps its size.
    pub(super) fn new(workers: usize, is_adaptive: bool) -> Self {
        let most = u32::try_from(workers).unwrap_or(u32::MAX).saturating_mul(PER_WORKER);
        Self { size: most, most, commits: 0, conflicts: 0, quiet: FIRST_QUIET, is_adaptive }
    }

    /// Transactions from the frontier on that may run.
    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// A transaction was committed; `conflict`: its first execution was thrown away.
    pub(super) fn observe(&mut self, conflict: bool) {
        if !self.is_adaptive {
            return;
        }
        self.commits += 1;
        self.conflicts += u32::from(conflict);
        if self.size == 1 {
            if self.commits >= self.quiet {
                self.resize(2);
            }
        } else if self.commits >= SAMPLE {
            self.judge();
        }
    }

    fn judge(&mut self) {
        if 2 * self.conflicts >= self.commits {
            if self.size == 2 {
                self.quiet = self.quiet.saturating_mul(2);
            }
            self.resize(self.size / 2);
        } else if 8 * self.conflicts <= self.commits {
            self.quiet = FIRST_QUIET;
            self.resize(self.size.saturating_mul(2));
        } else {
            self.resize(self.size);
        }
    }

    fn resize(&mut self, size: u32) {
        self.size = size.clamp(1, self.most);
        (self.commits, self.conflicts) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(window: &mut Window, commits: u32, conflict: impl Fn(u32) -> bool) {
        (0..commits).for_each(|commit| window.observe(conflict(commit)));
    }

    #[test]
    fn conflicts_shrink_the_window_to_one() {
        let mut window = Window::new(2, true);
        feed(&mut window, 5 * SAMPLE, |_| true);

        assert_eq!(window.size(), 1);
    }

    #[test]
    fn few_conflicts_leave_it_open() {
        let mut window = Window::new(2, true);
        feed(&mut window, 1_000, |commit| commit % 8 == 0);

        assert_eq!(window.size(), 2 * PER_WORKER);
    }

    #[test]
    fn a_window_that_is_not_adaptive_keeps_its_size() {
        let mut window = Window::new(2, false);
        feed(&mut window, 5 * SAMPLE, |_| true);

        assert_eq!(window.size(), 2 * PER_WORKER);
    }

    #[test]
    fn it_opens_again_when_conflicts_are_over() {
        let mut window = Window::new(2, true);
        feed(&mut window, 5 * SAMPLE, |_| true);
        feed(&mut window, FIRST_QUIET + 8 * SAMPLE, |_| false);

        assert_eq!(window.size(), 2 * PER_WORKER);
    }

    #[test]
    fn attempts_on_a_dependent_chain_grow_rare() {
        let mut window = Window::new(2, true);
        let mut speculated = 0;
        for _ in 0..100_000 {
            let speculates = window.size() > 1;
            speculated += u32::from(speculates);
            window.observe(speculates);
        }

        assert!(speculated < 400, "{speculated} of 100,000 transactions were speculated on");
    }
}
