//! What calls of the same code with the same selector have in common: access sets without running.
//!
//! In: runs of transactions alone, with what they hashed ([`Templates::learn`]). Out: the access set
//! of a call that has not run ([`Templates::predict`]): slots that are fixed, or follow from
//! arguments, the sender and the contents of other slots by the hashing of mappings. What stops being
//! true is forgotten after a few calls; the store is bounded in templates and in what they say, and
//! can be kept in a file. A template is a hint like everything that predicts.

mod explain;
mod file;
mod pattern;
mod probe;
mod template;
mod term;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};

pub use self::probe::Probes;
use self::template::Template;
use self::term::Call;
use crate::access::AccessSet;
use crate::error::StateError;
use crate::evm::Preimage;
use crate::primitives::{B256, KECCAK_EMPTY};
use crate::state::StateView;
use crate::tx::RecoveredTransaction;

/// What a template is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    code: B256,
    /// First four bytes of the calldata, if it has that many.
    selector: Option<[u8; 4]>,
    /// Calls that bring wei do other things than those that bring none.
    brings_value: bool,
}

/// Templates that are kept unless told otherwise.
pub const MOST_TEMPLATES: usize = 4_096;

/// Terms of all templates that are kept unless told otherwise: some 30 MB.
pub const MOST_TERMS: usize = 500_000;

/// See the head of the module. Shared by reference.
#[derive(Debug)]
pub struct Templates {
    by_key: RwLock<HashMap<Key, Mutex<Template>, RandomState>>,
    most: usize,
    most_terms: usize,
    /// Terms of all templates. Changes only while `by_key` is held.
    terms: AtomicUsize,
    /// Counts calls that were learned from, to tell which templates have not met one for long.
    clock: AtomicU64,
}

impl Default for Templates {
    fn default() -> Self {
        Self::new(MOST_TEMPLATES, MOST_TERMS)
    }
}

impl Templates {
    /// None yet, and never more than `most` that consist of `most_terms` terms in all.
    pub fn new(most: usize, most_terms: usize) -> Self {
        Self {
            by_key: RwLock::default(),
            most: most.max(1),
            most_terms,
            terms: AtomicUsize::new(0),
            clock: AtomicU64::new(0),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.read().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls learned from, those of earlier daemons included.
    pub fn lessons(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }

    /// What earlier calls say about this one; `None` where there was none of its kind.
    pub fn predict(
        &self,
        tx: &RecoveredTransaction,
        view: &dyn StateView,
    ) -> Result<Option<AccessSet>, StateError> {
        let input = tx.tx.evm_input();
        let Some((key, call)) = subject(tx, &input, view)? else { return Ok(None) };
        let by_key = self.by_key.read();
        let Some(template) = by_key.get(&key) else { return Ok(None) };
        template.lock().predict(tx, &call)
    }

    /// Whether the transaction is a call that templates can learn from.
    pub fn can_learn_from(
        &self,
        tx: &RecoveredTransaction,
        view: &dyn StateView,
    ) -> Result<bool, StateError> {
        Ok(subject(tx, &tx.tx.evm_input(), view)?.is_some())
    }

    /// Takes note of a run on `view`: what it accessed and what it hashed. Failed runs and creations
    /// teach nothing. Returns whether it did.
    pub fn learn(
        &self,
        tx: &RecoveredTransaction,
        set: &AccessSet,
        preimages: &[Preimage],
        view: &dyn StateView,
    ) -> Result<bool, StateError> {
        let input = tx.tx.evm_input();
        let Some((key, call)) = subject(tx, &input, view)? else { return Ok(false) };
        if set.succeeded != Some(true) {
            return Ok(false);
        }
        if !self.by_key.read().contains_key(&key) {
            self.by_key.write().entry(key).or_insert_with(|| {
                let new = Template::default();
                self.terms.fetch_add(new.terms(), Ordering::Relaxed);
                Mutex::new(new)
            });
        }
        self.note(key, |template| template.learn(tx, &call, set, preimages))?;
        self.make_room();
        Ok(true)
    }

    /// Changes a template, if it has not gone again by now.
    fn note(
        &self,
        key: Key,
        change: impl FnOnce(&mut Template) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        let by_key = self.by_key.read();
        let Some(template) = by_key.get(&key) else { return Ok(()) };
        let mut template = template.lock();
        let before = template.terms();
        template.used = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        let changed = change(&mut template);
        self.terms.fetch_add(template.terms(), Ordering::Relaxed);
        self.terms.fetch_sub(before, Ordering::Relaxed);
        changed
    }

    /// Those that have met no call for longest go until the others fit.
    fn make_room(&self) {
        let is_full = |len: usize| len > self.most || self.terms.load(Ordering::Relaxed) > self.most_terms;
        if !is_full(self.len()) {
            return;
        }
        let mut by_key = self.by_key.write();
        while is_full(by_key.len()) {
            let oldest = by_key.iter().min_by_key(|(_, template)| template.lock().used);
            let Some(key) = oldest.map(|(key, _)| *key) else { return };
            let gone = by_key.remove(&key).expect("it was just seen");
            self.terms.fetch_sub(gone.into_inner().terms(), Ordering::Relaxed);
        }
    }
}

/// What a call is about; `None` for creations, transfers and calls that set code.
fn subject<'a>(
    tx: &RecoveredTransaction,
    input: &'a [u8],
    view: &'a dyn StateView,
) -> Result<Option<(Key, Call<'a>)>, StateError> {
    let Some(call) = Call::new(tx, input, view).filter(|_| tx.tx.authorization_list.is_empty()) else {
        return Ok(None);
    };
    let code = view.account(&call.to)?.map_or(KECCAK_EMPTY, |account| account.code_hash);
    let key = Key { code, selector: call.selector(), brings_value: !call.value.is_zero() };
    Ok((code != KECCAK_EMPTY).then_some((key, call)))
}
