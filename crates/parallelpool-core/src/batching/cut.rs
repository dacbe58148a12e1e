//! Levels into batches, and which batch follows which.

use super::arrange::{Chosen, IN_LINE};
use super::graph::{Footprints, Runs, table};
use super::order::Strategy;
use super::{Batch, BatchKind, Selection};

/// Cuts each level at the batch size. A rest that is large enough is a smaller parallel batch;
/// what is left over of the levels, and then what is in line, goes sequential.
pub(super) fn cut(chosen: &Chosen, levels: &[u32], selection: &Selection) -> Vec<Batch> {
    let mut cutter = Cutter { chosen, size: selection.batch_size.max(1), batches: Vec::new() };
    let Rows { mut members, ends, in_line } = Rows::of(levels);
    let mut start = 0;
    for &end in &ends {
        let row = &mut members[start as usize..end as usize];
        start = end;
        if selection.strategy == Strategy::Latency {
            row.sort_by_key(|&index| std::cmp::Reverse(chosen.gas_used[index as usize]));
        }
        for members in row.chunks(cutter.size) {
            if members.len() >= selection.min_batch_size.max(1) {
                cutter.push(BatchKind::Parallel, members);
            } else {
                cutter.append_sequential(members);
            }
        }
    }
    cutter.append_sequential(&in_line);
    let mut batches = cutter.batches;
    if ends.len() > 1 || batches.iter().any(|batch| batch.kind == BatchKind::Sequential) {
        link(&mut batches, &chosen.footprints);
    }
    batches
}

/// Indices by level, each level in order.
struct Rows {
    /// Level after level.
    members: Vec<u32>,
    /// Where each level ends.
    ends: Vec<u32>,
    in_line: Vec<u32>,
}

impl Rows {
    /// By counting: there may be as many levels as members.
    fn of(levels: &[u32]) -> Self {
        let mut ends: Vec<u32> = Vec::new();
        for level in levels.iter().filter(|level| **level != IN_LINE).map(|level| *level as usize) {
            if ends.len() <= level {
                ends.resize(level + 1, 0);
            }
            ends[level] += 1;
        }
        // Where each level begins; filling it moves that to its end.
        let mut leveled = 0;
        for count in &mut ends {
            leveled += std::mem::replace(count, leveled);
        }
        let mut members = vec![0; leveled as usize];
        let mut in_line = Vec::with_capacity(levels.len() - members.len());
        for (index, &level) in (0..).zip(levels) {
            if level == IN_LINE {
                in_line.push(index);
                continue;
            }
            let place = &mut ends[level as usize];
            members[*place as usize] = index;
            *place += 1;
        }
        Self { members, ends, in_line }
    }
}

struct Cutter<'a> {
    chosen: &'a Chosen,
    size: usize,
    batches: Vec<Batch>,
}

impl Cutter<'_> {
    fn push(&mut self, kind: BatchKind, members: &[u32]) {
        let mut batch = Batch {
            kind,
            members: members.to_vec(),
            after: Vec::new(),
            gas_limit: 0,
            predicted_gas: 0,
            critical_path_gas: 0,
        };
        self.add_gas(&mut batch, members);
        self.batches.push(batch);
    }

    /// Puts `members` behind what is there, filling up a sequential batch that stands last.
    fn append_sequential(&mut self, members: &[u32]) {
        let mut rest = members;
        if let Some(mut last) = self.batches.pop_if(|last| last.kind == BatchKind::Sequential) {
            let (fill, after) = rest.split_at(rest.len().min(self.size.saturating_sub(last.members.len())));
            last.members.extend_from_slice(fill);
            self.add_gas(&mut last, fill);
            self.batches.push(last);
            rest = after;
        }
        for members in rest.chunks(self.size) {
            self.push(BatchKind::Sequential, members);
        }
    }

    fn add_gas(&self, batch: &mut Batch, members: &[u32]) {
        for &index in members {
            let gas_used = self.chosen.gas_used[index as usize];
            batch.gas_limit = batch.gas_limit.saturating_add(self.chosen.gas_limits[index as usize]);
            batch.predicted_gas = batch.predicted_gas.saturating_add(gas_used);
            batch.critical_path_gas = match batch.kind {
                BatchKind::Parallel => batch.critical_path_gas.max(gas_used),
                BatchKind::Sequential => batch.predicted_gas,
            };
        }
    }
}

/// Fills in `after`: batches that hold a predecessor of a member. One with members of unknown
/// access follows all before it, and all behind it follow it.
fn link(batches: &mut [Batch], footprints: &Footprints) {
    let mut table: Vec<Runs> = table(footprints);
    let mut barrier: Option<u32> = None;
    for (index, batch) in batches.iter_mut().enumerate() {
        let is_unknown = batch.members.iter().any(|&member| !footprints.is_known(member as usize));
        let mut after: Vec<u32> =
            if is_unknown { (0..index as u32).collect() } else { barrier.into_iter().collect() };
        // Looked up before any member enters: members of one batch are no predecessors here.
        for &member in &batch.members {
            for &(place, class) in footprints.of(member as usize) {
                let runs = &mut table[place as usize];
                if !is_unknown {
                    after.extend(runs.before(class).iter().filter(|&&earlier| earlier != index as u32));
                }
                runs.enter(class, index as u32);
            }
        }
        if is_unknown {
            barrier = Some(index as u32);
        }
        after.sort_unstable();
        after.dedup();
        batch.after = after;
    }
}
