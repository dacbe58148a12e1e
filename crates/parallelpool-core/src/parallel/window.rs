//! How far ahead of the frontier workers may speculate.
//!
//! When most executions are thrown away the window shrinks, down to one: then the committer runs
//! transactions in order and nothing is wasted. The same happens when nobody is there to run ahead.
//! At one there are no conflicts to learn from, so after a rest the window is opened again; each
//! attempt that fails makes the next rest four times as long. Where the slots that transactions used
//! can be looked at, no attempt is made while they wait for each other.

/// Commits of executions ahead of the frontier that one judgement rests on.
const SAMPLE: u32 = 16;
/// So many conflicts among them are enough for one.
const CONFLICTS: u32 = SAMPLE / 2;
/// The same in an attempt to open the window.
const CONFLICTS_OF_AN_ATTEMPT: u32 = 4;
/// Commits at the frontier after each other, none of them ahead of it: nobody else is there, or has
/// anything to do.
const ALONE: u32 = 64;
/// Commits of the first rest.
const FIRST_REST: u32 = 64;
/// Commits until the next look at what transactions use.
pub(super) const MOST_REST: u32 = 512;
/// Transactions ahead, for each worker.
const PER_WORKER: u32 = 64;
/// By how much the window grows and shrinks, and rests grow.
const STEP: u32 = 4;

/// The size of the window and what it follows from.
#[derive(Debug)]
pub(super) struct Window {
    size: u32,
    most: u32,
    /// Commits since the size was set last, of executions ahead of the frontier.
    ahead: u32,
    /// How many of them were thrown away.
    conflicts: u32,
    /// Commits of executions at the frontier, since the last ahead of it or since the rest began.
    in_order: u32,
    rest: u32,
    next_rest: u32,
    is_adaptive: bool,
}

impl Window {
    /// A window for this many workers; one that is not adaptive keeps its size.
    pub(super) fn new(workers: usize, is_adaptive: bool) -> Self {
        let most = u32::try_from(workers).unwrap_or(u32::MAX).saturating_mul(PER_WORKER);
        Self {
            size: most,
            most,
            ahead: 0,
            conflicts: 0,
            in_order: 0,
            rest: 0,
            next_rest: FIRST_REST,
            is_adaptive,
        }
    }

    /// A window of one that is never opened.
    pub(super) fn closed() -> Self {
        Self { size: 1, rest: u32::MAX, ..Self::new(1, true) }
    }

    /// A window for two workers that is one at first, for so many transactions, with further rests as short.
    #[cfg(all(test, not(feature = "shuttle")))]
    pub(super) fn resting(transactions: u32) -> Self {
        Self { size: 1, rest: transactions, next_rest: transactions, ..Self::new(2, true) }
    }

    /// Transactions from the frontier on that may run.
    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// Transactions that are to run in order before the window is opened again. None while it is open.
    pub(super) fn rest(&self) -> u32 {
        if self.size == 1 { self.rest - self.in_order } else { 0 }
    }

    /// A transaction was committed that ran ahead; `conflict`: that execution was thrown away.
    pub(super) fn observe(&mut self, conflict: bool) {
        self.ahead += 1;
        self.in_order = 0;
        self.conflicts += u32::from(conflict);
        let telling = if self.size == 2 { CONFLICTS_OF_AN_ATTEMPT } else { CONFLICTS };
        if self.is_adaptive && self.size > 1 && (self.ahead >= SAMPLE || self.conflicts >= telling) {
            self.judge(telling);
        }
    }

    /// So many transactions ran at the frontier and were committed.
    pub(super) fn observe_in_order(&mut self, count: u32) {
        self.in_order = self.in_order.saturating_add(count);
        if !self.is_adaptive {
            return;
        }
        if self.size == 1 && self.in_order >= self.rest {
            self.resize(2);
        } else if self.size > 1 && self.in_order >= ALONE {
            self.close();
        }
    }

    /// The rest is over, and a look at the last transactions showed that they wait for each other:
    /// another one begins without an attempt.
    pub(super) fn stay(&mut self) {
        self.rest = (2 * self.rest).min(MOST_REST);
        self.in_order = 0;
    }

    fn judge(&mut self, telling: u32) {
        if self.conflicts >= telling && 2 * self.conflicts >= self.ahead {
            if self.size == 2 {
                self.close();
            } else {
                self.resize(self.size / STEP);
            }
        } else if self.ahead >= SAMPLE {
            if 8 * self.conflicts <= self.ahead {
                self.next_rest = FIRST_REST;
                self.resize(self.size.saturating_mul(STEP));
            } else {
                self.resize(self.size);
            }
        }
    }

    /// An attempt has failed.
    fn close(&mut self) {
        self.rest = self.next_rest;
        self.next_rest = self.rest.saturating_mul(STEP);
        self.resize(1);
    }

    fn resize(&mut self, size: u32) {
        self.size = size.clamp(1, self.most);
        (self.ahead, self.conflicts, self.in_order) = (0, 0, 0);
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
        feed(&mut window, 3 * SAMPLE, |_| true);

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
        window.observe_in_order(10 * ALONE);

        assert_eq!((window.size(), window.rest()), (2 * PER_WORKER, 0));
    }

    #[test]
    fn it_opens_again_when_conflicts_are_over() {
        let mut window = Window::new(2, true);
        feed(&mut window, 3 * SAMPLE, |_| true);
        window.observe_in_order(window.rest());
        assert_eq!(window.size(), 2);
        feed(&mut window, 4 * SAMPLE, |_| false);

        assert_eq!(window.size(), 2 * PER_WORKER);
    }

    #[test]
    fn whoever_is_alone_goes_on_in_order() {
        let mut window = Window::new(2, true);
        window.observe_in_order(ALONE - 1);
        window.observe(false);
        window.observe_in_order(ALONE - 1);
        assert_eq!(window.size(), 2 * PER_WORKER);
        window.observe_in_order(1);

        assert_eq!(window.size(), 1);
        assert!(window.rest() > 0);
    }

    #[test]
    fn a_closed_window_stays_closed() {
        let mut window = Window::closed();
        window.observe_in_order(u32::MAX - 1);

        assert_eq!((window.size(), window.rest()), (1, 1));
    }

    #[test]
    fn attempts_on_a_dependent_chain_grow_rare() {
        let mut window = Window::new(2, true);
        let (mut speculated, mut done) = (0, 0);
        while done < 100_000 {
            let rest = window.rest();
            if rest > 0 {
                window.observe_in_order(rest);
                done += rest;
            } else {
                window.observe(true);
                done += 1;
                speculated += 1;
            }
        }

        assert!(speculated < 80, "{speculated} of {done} transactions were speculated on");
    }
}
