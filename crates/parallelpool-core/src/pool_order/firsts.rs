//! The first executable transaction of each sender, so that the best few are found at once for any base fee.
//!
//! Up to a base fee of `fee_cap - tip_cap`, its threshold, a transaction pays its tip cap; above that, what its fee
//! cap leaves. So the firsts stand in a search tree by threshold whose nodes know the best below them, once by
//! tip cap and once by fee cap: a base fee cuts the tree along one path into whole subtrees of either kind, and
//! a new one changes nothing in it.
//!
//! The tree is a treap: its shape follows from numbers that nobody outside knows, so no choice of prices can
//! make it deep; what it answers does not hang on its shape.

use std::cmp::Reverse;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::{Entry, Row, entry};
use crate::primitives::U256;

/// Which of the two prices decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bound {
    /// The base fee leaves room for the whole tip cap.
    Tip,
    /// The fee cap is what limits.
    Fee,
}

/// One of the pieces into which a base fee cuts the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Piece {
    /// One first.
    One(Row),
    /// All below and with this node; the same price decides for all of them.
    Tree(Row, Bound),
}

#[derive(Debug, Clone, Copy)]
struct Node {
    /// No node has a greater one below it.
    priority: u64,
    left: Option<Row>,
    right: Option<Row>,
    best_by_tip: Row,
    best_by_fee: Row,
}

/// The tree. Its nodes are told apart by the rows of the table.
#[derive(Debug, Default)]
pub(super) struct Firsts {
    /// By row; those that are not in the tree say nothing.
    nodes: Vec<Option<Node>>,
    root: Option<Row>,
    secret: RandomState,
}

type Rows = [Option<Entry>];

impl Firsts {
    /// Takes in a row that is not in the tree.
    pub(super) fn insert(&mut self, rows: &Rows, row: Row) {
        let place = row as usize;
        if place >= self.nodes.len() {
            self.nodes.resize(rows.len(), None);
        }
        let priority = self.secret.hash_one(entry(rows, row).serial);
        self.nodes[place] =
            Some(Node { priority, left: None, right: None, best_by_tip: row, best_by_fee: row });
        self.root = Some(self.with(rows, self.root, row));
    }

    /// Takes out a row that is in the tree.
    pub(super) fn remove(&mut self, rows: &Rows, row: Row) {
        self.root = self.without(rows, self.root, row);
        self.nodes[row as usize] = None;
    }

    /// The pieces for a base fee, in no order.
    pub(super) fn pieces(&self, rows: &Rows, base_fee: Option<U256>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut next = self.root;
        while let Some(row) = next {
            let node = self.node(row);
            pieces.push(Piece::One(row));
            let is_tip_bound = base_fee.is_none() || threshold(rows, row) >= base_fee;
            let (whole, bound, rest) = match is_tip_bound {
                true => (node.right, Bound::Tip, node.left),
                false => (node.left, Bound::Fee, node.right),
            };
            pieces.extend(whole.map(|row| Piece::Tree(row, bound)));
            next = rest;
        }
        pieces
    }

    /// The best row of a piece.
    pub(super) fn best(&self, piece: Piece) -> Row {
        match piece {
            Piece::One(row) => row,
            Piece::Tree(row, Bound::Tip) => self.node(row).best_by_tip,
            Piece::Tree(row, Bound::Fee) => self.node(row).best_by_fee,
        }
    }

    /// What a subtree consists of: its top, and the subtrees below that.
    pub(super) fn split(&self, top: Row, bound: Bound) -> impl Iterator<Item = Piece> {
        let node = self.node(top);
        let below = [node.left, node.right].into_iter().flatten();
        std::iter::once(Piece::One(top)).chain(below.map(move |row| Piece::Tree(row, bound)))
    }

    /// `tree` with `row`, which has no children yet.
    fn with(&mut self, rows: &Rows, tree: Option<Row>, row: Row) -> Row {
        let Some(top) = tree else { return row };
        if self.node(row).priority > self.node(top).priority {
            let (left, right) = self.cut(rows, tree, row);
            (self.node_mut(row).left, self.node_mut(row).right) = (left, right);
            self.find_best(rows, row);
            return row;
        }
        if key(rows, row) < key(rows, top) {
            self.node_mut(top).left = Some(self.with(rows, self.node(top).left, row));
        } else {
            self.node_mut(top).right = Some(self.with(rows, self.node(top).right, row));
        }
        if is_better(rows, Bound::Tip, row, self.node(top).best_by_tip) {
            self.node_mut(top).best_by_tip = row;
        }
        if is_better(rows, Bound::Fee, row, self.node(top).best_by_fee) {
            self.node_mut(top).best_by_fee = row;
        }
        top
    }

    /// `tree` without `row`, which is in it.
    fn without(&mut self, rows: &Rows, tree: Option<Row>, row: Row) -> Option<Row> {
        let top = tree.expect("what is taken out is in the tree");
        if top == row {
            return self.joined(rows, self.node(top).left, self.node(top).right);
        }
        if key(rows, row) < key(rows, top) {
            self.node_mut(top).left = self.without(rows, self.node(top).left, row);
        } else {
            self.node_mut(top).right = self.without(rows, self.node(top).right, row);
        }
        if [self.node(top).best_by_tip, self.node(top).best_by_fee].contains(&row) {
            self.find_best(rows, top);
        }
        Some(top)
    }

    /// What comes before `row` in `tree`, and what comes behind it.
    fn cut(&mut self, rows: &Rows, tree: Option<Row>, row: Row) -> (Option<Row>, Option<Row>) {
        let Some(top) = tree else { return (None, None) };
        if key(rows, top) < key(rows, row) {
            let (before, behind) = self.cut(rows, self.node(top).right, row);
            self.node_mut(top).right = before;
            self.find_best(rows, top);
            (Some(top), behind)
        } else {
            let (before, behind) = self.cut(rows, self.node(top).left, row);
            self.node_mut(top).left = behind;
            self.find_best(rows, top);
            (before, Some(top))
        }
    }

    /// One tree of two, of which all of the first comes before all of the second.
    fn joined(&mut self, rows: &Rows, left: Option<Row>, right: Option<Row>) -> Option<Row> {
        let (Some(before), Some(behind)) = (left, right) else { return left.or(right) };
        if self.node(before).priority > self.node(behind).priority {
            self.node_mut(before).right = self.joined(rows, self.node(before).right, right);
            self.find_best(rows, before);
            Some(before)
        } else {
            self.node_mut(behind).left = self.joined(rows, left, self.node(behind).left);
            self.find_best(rows, behind);
            Some(behind)
        }
    }

    /// Sets what a node knows of the best below it, given that its children know theirs.
    fn find_best(&mut self, rows: &Rows, row: Row) {
        let node = self.node(row);
        let (mut by_tip, mut by_fee) = (row, row);
        for child in [node.left, node.right].into_iter().flatten() {
            let child = self.node(child);
            if is_better(rows, Bound::Tip, child.best_by_tip, by_tip) {
                by_tip = child.best_by_tip;
            }
            if is_better(rows, Bound::Fee, child.best_by_fee, by_fee) {
                by_fee = child.best_by_fee;
            }
        }
        let node = self.node_mut(row);
        (node.best_by_tip, node.best_by_fee) = (by_tip, by_fee);
    }

    fn node(&self, row: Row) -> &Node {
        self.nodes[row as usize].as_ref().expect("links lead to nodes")
    }

    fn node_mut(&mut self, row: Row) -> &mut Node {
        self.nodes[row as usize].as_mut().expect("links lead to nodes")
    }

    /// What is wrong, if anything; `expected` are the rows that should be here.
    pub(super) fn find_fault(&self, rows: &Rows, mut expected: Vec<Row>) -> Option<String> {
        let mut there = Vec::new();
        if let Some(fault) = self.root.and_then(|root| self.subtree_fault(rows, root, &mut there)) {
            return Some(fault);
        }
        if !there.is_sorted_by_key(|row| key(rows, *row)) {
            return Some("the firsts are not in order of their thresholds".to_owned());
        }
        there.sort_unstable();
        expected.sort_unstable();
        let said = self.nodes.iter().flatten().count();
        (there != expected || said != there.len()).then(|| "the firsts are not those of the runs".to_owned())
    }

    /// Adds the rows of a subtree to `there`, in their order.
    fn subtree_fault(&self, rows: &Rows, top: Row, there: &mut Vec<Row>) -> Option<String> {
        let (node, start) = (self.node(top), there.len());
        let fault = node.left.and_then(|row| self.subtree_fault(rows, row, there));
        there.push(top);
        let fault = fault.or_else(|| node.right.and_then(|row| self.subtree_fault(rows, row, there)));
        if fault.is_some() {
            return fault;
        }
        let below = [node.left, node.right].into_iter().flatten();
        if below.map(|row| self.node(row).priority).max() > Some(node.priority) {
            return Some(format!("row {top} stands above a greater priority"));
        }
        for (bound, said) in [(Bound::Tip, node.best_by_tip), (Bound::Fee, node.best_by_fee)] {
            if there[start..].iter().any(|row| is_better(rows, bound, *row, said)) {
                return Some(format!("row {top} knows a worse one as its best by {bound:?}"));
            }
        }
        None
    }
}

/// The greatest base fee at which the whole tip cap is paid; `None` if there is none.
fn threshold(rows: &Rows, row: Row) -> Option<U256> {
    let facts = &entry(rows, row).facts;
    facts.fee_cap.checked_sub(facts.tip_cap)
}

fn key(rows: &Rows, row: Row) -> (Option<U256>, u64) {
    (threshold(rows, row), entry(rows, row).serial)
}

fn is_better(rows: &Rows, bound: Bound, one: Row, other: Row) -> bool {
    let rank = |row| {
        let Entry { facts, serial, .. } = entry(rows, row);
        let price = if bound == Bound::Tip { facts.tip_cap } else { facts.fee_cap };
        (Reverse(price), facts.arrival, *serial)
    };
    one != other && rank(one) < rank(other)
}
