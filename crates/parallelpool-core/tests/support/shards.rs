//! A suite's files, worked off by as many threads as there are CPUs, all of them or one part in so many.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One part of a suite in so many: every `of`-th item, beginning with number `part`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    part: usize,
    of: usize,
}

impl Shard {
    /// All of it.
    pub(crate) const WHOLE: Self = Self { part: 0, of: 1 };

    /// What `PARALLELPOOL_SHARD` asks for, as in `3/16` (the first is 1); all if it is not set.
    pub(crate) fn from_environment() -> Self {
        let Ok(text) = std::env::var("PARALLELPOOL_SHARD") else { return Self::WHOLE };
        Self::read(&text).unwrap_or_else(|| panic!("PARALLELPOOL_SHARD is no part as in 3/16: {text:?}"))
    }

    fn read(text: &str) -> Option<Self> {
        let (part, of) = text.split_once('/')?;
        let (part, of): (usize, usize) = (part.parse().ok()?, of.parse().ok()?);
        (1..=of).contains(&part).then(|| Self { part: part - 1, of })
    }

    /// The items of this part.
    pub(crate) fn of<T>(self, items: Vec<T>) -> Vec<T> {
        items.into_iter().skip(self.part).step_by(self.of).collect()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::WHOLE { Ok(()) } else { write!(formatter, ", part {}/{}", self.part + 1, self.of) }
    }
}

/// Hands every item to one of the threads. Each thread begins with what `begin` makes, and what they
/// end with is returned, in no order. A panic in one of them is the caller's.
pub(crate) fn share<T: Sync, S: Send>(
    items: &[T],
    begin: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) + Sync,
) -> Vec<S> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                let mut share = begin();
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(&mut share, item);
                }
                done.lock().expect("no thread panics while it holds the lock").push(share);
            });
        }
    });
    done.into_inner().expect("a panic of a thread is the scope's")
}

#[test]
fn parts_are_disjoint_and_together_the_whole() {
    let parts: Vec<Vec<usize>> = (1..=4)
        .map(|part| Shard::read(&format!("{part}/4")).expect("a part").of((0..10).collect()))
        .collect();
    let mut all = parts.concat();
    all.sort_unstable();

    assert_eq!(parts[1], [1, 5, 9]);
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    assert_eq!(Shard::WHOLE.of(vec![1, 2]), [1, 2]);
    assert_eq!(["0/4", "5/4", "1/0", "2", "x/4", ""].map(Shard::read), [None; 6]);
}
