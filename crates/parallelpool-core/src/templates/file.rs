//! Templates in a file: what was learned outlives the daemon.
//!
//! A mark, the templates, the keccak of both. A file that is not exactly that is refused as a whole;
//! nothing is lost by it but what would be learned again.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use super::pattern::{Part, Pattern};
use super::template::Template;
use super::term::{DEEPEST, MOST_ARGUMENTS, Term};
use super::{Key, Templates};
use crate::error::CoreError;
use crate::primitives::{B256, U256, keccak256};

const MARK: &[u8; 8] = b"pptmpl-1";

/// Nesting of terms in a file: no less than learning makes.
const MOST_NESTED: usize = 4 * DEEPEST;

impl Templates {
    /// Writes all templates to a file, in place of what was there once it is whole.
    ///
    /// [`CoreError::Storage`] where the file system refuses.
    pub fn save(&self, path: &Path) -> Result<(), CoreError> {
        let told = |error: std::io::Error| CoreError::Storage(format!("{}: {error}", path.display()));
        let mut bytes = self.encode();
        let sum = keccak256(&bytes);
        bytes.extend_from_slice(sum.as_slice());
        let beside = path.with_extension("new");
        let mut file = File::create(&beside).map_err(told)?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(told)?;
        std::fs::rename(&beside, path).map_err(told)
    }

    /// Adds the templates of a file; 0 where there is no file. Returns how many came.
    ///
    /// [`CoreError::Storage`] where it cannot be read, [`CoreError::InvalidArgument`] where it is not
    /// what [`Self::save`] writes.
    pub fn load(&self, path: &Path) -> Result<usize, CoreError> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(CoreError::Storage(format!("{}: {error}", path.display()))),
            Ok(bytes) => bytes,
        };
        let wrong = || CoreError::InvalidArgument(format!("{} holds no templates", path.display()));
        let (content, sum) = bytes.split_last_chunk::<32>().ok_or_else(wrong)?;
        if keccak256(content) != *sum {
            return Err(wrong());
        }
        let mut reader = Reader(content.strip_prefix(MARK).ok_or_else(wrong)?);
        let found = templates(&mut reader, self.most).filter(|_| reader.0.is_empty()).ok_or_else(wrong)?;
        let count = found.len();
        found.into_iter().for_each(|(key, template)| self.put(key, template));
        self.make_room();
        Ok(count)
    }

    /// What comes in is no newer than what is learned from now on.
    fn put(&self, key: Key, template: Template) {
        let mut by_key = self.by_key.write();
        self.clock.fetch_max(template.used, Ordering::Relaxed);
        self.terms.fetch_add(template.terms(), Ordering::Relaxed);
        if let Some(before) = by_key.insert(key, Mutex::new(template)) {
            self.terms.fetch_sub(before.into_inner().terms(), Ordering::Relaxed);
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer(MARK.to_vec());
        let by_key = self.by_key.read();
        let mut entries: Vec<_> = by_key.iter().collect();
        entries.sort_by_key(|(key, _)| **key);
        out.number(entries.len() as u64);
        for (key, template) in entries {
            out.key(key);
            out.template(&template.lock());
        }
        out.0
    }
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn key(&mut self, key: &Key) {
        self.0.extend_from_slice(key.code.as_slice());
        self.0.push(u8::from(key.selector.is_some()));
        self.0.extend_from_slice(&key.selector.unwrap_or_default());
        self.0.push(u8::from(key.brings_value));
    }

    fn template(&mut self, template: &Template) {
        for number in [template.calls.into(), template.exact.into(), template.gas, template.used] {
            self.number(number);
        }
        self.number(template.patterns.len() as u64);
        template.patterns.iter().for_each(|pattern| self.pattern(pattern));
    }

    fn pattern(&mut self, pattern: &Pattern) {
        self.term(&pattern.account);
        match &pattern.part {
            Part::Nonce => self.0.push(0),
            Part::Balance => self.0.push(1),
            Part::Code => self.0.push(2),
            Part::Slot(term) => {
                self.0.push(3);
                self.term(term);
            }
        }
        self.0.push(u8::from(pattern.debit.is_some()));
        pattern.debit.iter().for_each(|term| self.term(term));
        self.number(pattern.share.into());
        pattern.kinds.iter().for_each(|share| self.number((*share).into()));
        self.number(pattern.seen.into());
    }

    fn term(&mut self, term: &Term) {
        match term {
            Term::Word(word) => {
                self.0.push(0);
                self.0.extend_from_slice(&word.to_be_bytes::<32>());
            }
            Term::Sender => self.0.push(1),
            Term::To => self.0.push(2),
            Term::Value => self.0.push(3),
            Term::Argument(index) => {
                self.0.push(4);
                self.number((*index).into());
            }
            Term::Hash(terms) => {
                self.0.push(5);
                self.number(terms.len() as u64);
                terms.iter().for_each(|term| self.term(term));
            }
            Term::Plus(base, by) => {
                self.0.push(6);
                self.term(base);
                self.0.push(*by);
            }
            Term::Stored(account, slot) => {
                self.0.push(7);
                self.term(account);
                self.term(slot);
            }
        }
    }
}

/// What is left of a file. Every answer is `None` where it is not what was written.
struct Reader<'a>(&'a [u8]);

fn templates(reader: &mut Reader<'_>, most: usize) -> Option<Vec<(Key, Template)>> {
    let count = reader.count(most)?;
    (0..count).map(|_| Some((reader.key()?, reader.template()?))).collect()
}

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes::<1>().map(|[byte]| byte)
    }

    fn flag(&mut self) -> Option<bool> {
        self.byte().filter(|byte| *byte < 2).map(|byte| byte == 1)
    }

    fn number<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(u64::from_be_bytes(self.bytes()?)).ok()
    }

    fn count(&mut self, most: usize) -> Option<usize> {
        self.number().filter(|count| *count <= most)
    }

    fn key(&mut self) -> Option<Key> {
        let code = B256::from(self.bytes()?);
        let (has_selector, selector) = (self.flag()?, self.bytes()?);
        Some(Key { code, selector: has_selector.then_some(selector), brings_value: self.flag()? })
    }

    fn template(&mut self) -> Option<Template> {
        let (calls, exact, gas, used) = (self.number()?, self.number()?, self.number()?, self.number()?);
        let count = self.count(super::template::MOST_PATTERNS)?;
        let patterns = (0..count).map(|_| self.pattern()).collect::<Option<_>>()?;
        Some(Template { patterns, calls, exact, gas, used })
    }

    fn pattern(&mut self) -> Option<Pattern> {
        let account = self.term(MOST_NESTED)?;
        let part = match self.byte()? {
            0 => Part::Nonce,
            1 => Part::Balance,
            2 => Part::Code,
            3 => Part::Slot(self.term(MOST_NESTED)?),
            _ => return None,
        };
        let debit = if self.flag()? { Some(self.term(MOST_NESTED)?) } else { None };
        let share = self.number()?;
        let kinds = [self.number()?, self.number()?, self.number()?, self.number()?];
        Some(Pattern { account, part, debit, share, kinds, seen: self.number()? })
    }

    fn term(&mut self, depth: usize) -> Option<Term> {
        let depth = depth.checked_sub(1)?;
        Some(match self.byte()? {
            0 => Term::Word(U256::from_be_bytes(self.bytes::<32>()?)),
            1 => Term::Sender,
            2 => Term::To,
            3 => Term::Value,
            4 => Term::Argument(self.number().filter(|index| *index < MOST_ARGUMENTS)?),
            5 => {
                let count = self.count(4)?;
                Term::Hash((0..count).map(|_| self.term(depth)).collect::<Option<_>>()?)
            }
            6 => Term::Plus(Box::new(self.term(depth)?), self.byte()?),
            7 => Term::Stored(Box::new(self.term(depth)?), Box::new(self.term(depth)?)),
            _ => return None,
        })
    }
}
