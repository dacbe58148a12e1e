//! The store after a process was killed and after the power was cut.
//!
//! Block N's changes follow from N and the state before alone, so whatever block a store
//! reopens at, the model says what must be in it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use redb::{Builder, StorageBackend};

use super::medium::Medium;
use super::test_support::{MadeUpBlock, Model, TemporaryDirectory, append, open_store};
use super::*;
use crate::trie::{state_root, state_root_of};

/// Tells the child where its store is.
const DIRECTORY: &str = "PARALLELPOOL_CRASH_DIRECTORY";
/// What the child prints after each commit, before the number.
const ACKNOWLEDGED: &str = "acknowledged ";

fn changes_of_block(number: u64, before: &Model) -> StateChanges {
    before.random_changes(&mut StdRng::seed_from_u64(number))
}

/// Checks that the store is whole: head, flat state, past state and roots are those of one block.
fn assert_whole(store: &Store, acknowledged: u64, what: &str) {
    let snapshot = store.snapshot();
    let head = snapshot.head();
    assert!(head.number >= acknowledged, "{what}: block {acknowledged} was promised, found {}", head.number);
    let mut models = vec![Model::default()];
    for number in 1..=head.number {
        let mut model = models.last().expect("there is genesis").clone();
        let changes = changes_of_block(number, &model);
        model.apply(&changes);
        models.push(model);
    }
    let model = models.last().expect("there is genesis");
    let whole = snapshot.whole_state().expect("readable");
    assert_eq!(whole, model.whole(), "{what}: flat state of block {}", head.number);
    assert_eq!(state_root(&*snapshot), Ok(state_root_of(&whole)), "{what}: root of block {}", head.number);
    let block = MadeUpBlock::new(head.number, 0, B256::ZERO);
    assert_eq!(head, block.head, "{what}");
    if head.number > 0 {
        let header = snapshot.header(head.number).expect("readable").expect("the head has a header");
        assert_eq!(&header.rlp[..], &block.header[..], "{what}");
        let location = snapshot.transaction_location(&block.signed[1].hash);
        assert_eq!(location, Ok(Some((head.number, 1))), "{what}");
    }
    assert_eq!(snapshot.header(head.number + 1), Ok(None), "{what}: nothing lies above the head");
    for (number, model) in models.iter().enumerate().step_by(models.len().div_ceil(10)) {
        let changes = snapshot.changes_back_to(number as u64).expect("readable");
        let mut reverted = models.last().expect("there is genesis").clone();
        reverted.apply(&changes);
        assert_eq!(&reverted, model, "{what}: back from {} to {number}", head.number);
    }
}

/// Not a test: what the killed process does. Runs only when the parent names a directory.
#[test]
#[ignore = "started by a_killed_process_leaves_a_whole_block"]
fn child_that_commits_until_it_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = open_store(Some(Path::new(&directory))).expect("the parent left the store whole");
    let mut model = Model::default();
    for number in 1.. {
        let changes = changes_of_block(number, &model);
        model.apply(&changes);
        if number > store.snapshot().head().number {
            append(&store, 0, &changes);
            println!("{ACKNOWLEDGED}{number}");
        }
    }
}

#[test]
fn a_killed_process_leaves_a_whole_block() {
    let mut random = StdRng::seed_from_u64(3);
    let directory = TemporaryDirectory::new("killed");
    let mut acknowledged = 0;
    for round in 0..20 {
        let mut child = Command::new(std::env::current_exe().expect("a test binary has a path"))
            .args(["--exact", "store::crash_tests::child_that_commits_until_it_is_killed"])
            .args(["--ignored", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the test binary starts again");
        let output = child.stdout.take().expect("it was piped");
        let commits = random.random_range(1..12);
        let mut lines = BufReader::new(output).lines();
        let mut seen = 0;
        while seen < commits {
            let line = lines.next().expect("the child goes on until killed").expect("text");
            // The test runner's own line may share the first one.
            if let Some((_, number)) = line.split_once(ACKNOWLEDGED) {
                acknowledged = number.parse().expect("a block number");
                seen += 1;
            }
        }
        // A moment that has nothing to do with the end of a commit.
        let moment = Instant::now() + Duration::from_micros(random.random_range(0..3000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        child.kill().expect("it is still running");
        child.wait().expect("it was killed");
        // What it managed to say before it died was promised too; a torn last line was not.
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix(ACKNOWLEDGED).and_then(|text| text.parse::<u64>().ok()) {
                acknowledged = acknowledged.max(number);
            }
        }
        let store = open_store(Some(directory.path())).expect("the lock died with its owner");
        assert_whole(&store, acknowledged, &format!("round {round}"));
    }
    assert!(acknowledged >= 20, "acknowledged {acknowledged}");
}

/// A disk that loses power: images of what could be on it are taken at random moments.
#[derive(Debug)]
struct Disk {
    random: StdRng,
    /// What was written, synced or not.
    written: Vec<u8>,
    /// What the last sync left.
    durable: Vec<u8>,
    /// Writes since then.
    pending: Vec<(usize, Vec<u8>)>,
    /// Commits that have returned.
    acknowledged: u64,
    /// Writes fail from now on.
    full: bool,
    /// Syncs fail from now on.
    unsynced: bool,
    /// A sync has failed.
    lost_a_sync: bool,
    /// Syncs succeed and are said to have failed, of which the medium knows nothing.
    lies: bool,
    /// Possible contents after a power cut, with the commits that had returned before it.
    images: Vec<(Vec<u8>, u64)>,
}

impl Disk {
    /// Perhaps loses power now: of the pending writes any part may have arrived, torn or whole.
    fn consider_a_cut(&mut self) {
        if !self.random.random_ratio(1, 40) {
            return;
        }
        let mut image = self.durable.clone();
        image.resize(self.written.len(), 0);
        for (offset, bytes) in &self.pending {
            let arrived = match self.random.random_range(0..3u8) {
                0 => 0,
                1 => self.random.random_range(0..=bytes.len()),
                _ => bytes.len(),
            };
            image[*offset..*offset + arrived].copy_from_slice(&bytes[..arrived]);
        }
        self.images.push((image, self.acknowledged));
    }
}

#[derive(Debug, Clone)]
struct DiskBackend(Arc<Mutex<Disk>>);

impl StorageBackend for DiskBackend {
    fn len(&self) -> Result<u64, std::io::Error> {
        Ok(self.0.lock().written.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        let offset = offset as usize;
        out.copy_from_slice(&self.0.lock().written[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        let mut disk = self.0.lock();
        if disk.full && len as usize > disk.written.len() {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        disk.written.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), std::io::Error> {
        let mut disk = self.0.lock();
        if disk.unsynced {
            disk.lost_a_sync = true;
            return Err(std::io::Error::other("the disk is gone"));
        }
        disk.consider_a_cut();
        disk.durable = disk.written.clone();
        disk.pending.clear();
        match disk.lies {
            true => Err(std::io::Error::other("the disk is confused")),
            false => Ok(()),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        let mut disk = self.0.lock();
        let offset = offset as usize;
        if disk.full {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        disk.consider_a_cut();
        disk.written[offset..offset + data.len()].copy_from_slice(data);
        disk.pending.push((offset, data.to_vec()));
        Ok(())
    }
}

impl Medium for DiskBackend {
    fn open(&self) -> Result<redb::Database, CoreError> {
        Builder::new().create_with_backend(self.clone()).map_err(storage_error)
    }

    fn check_room(&self) -> Result<(), CoreError> {
        match self.0.lock().full {
            true => Err(CoreError::Storage("the disk is full".into())),
            false => Ok(()),
        }
    }

    fn has_lost_a_sync(&self) -> bool {
        self.0.lock().lost_a_sync
    }
}

fn open_on(backend: DiskBackend) -> Store {
    let genesis = MadeUpBlock::new(0, 0, B256::ZERO);
    let first =
        FirstBlock { block: genesis.as_new(), state: &StateChanges::default(), document: b"document" };
    Store::on_medium(Box::new(backend), None, Durability::Immediate, &first, || Ok(TrieUpdate::default()))
        .expect("what a power cut leaves can be opened, and is whole")
}

fn disk_with(content: Vec<u8>) -> DiskBackend {
    DiskBackend(Arc::new(Mutex::new(Disk {
        random: StdRng::seed_from_u64(4),
        written: content.clone(),
        durable: content,
        pending: Vec::new(),
        acknowledged: 0,
        full: false,
        unsynced: false,
        lost_a_sync: false,
        lies: false,
        images: Vec::new(),
    })))
}

#[test]
fn a_power_cut_between_any_two_writes_leaves_a_whole_block() {
    let disk = disk_with(Vec::new());
    let store = open_on(disk.clone());
    // A disk that loses power while the file is made leaves no store, and so nothing promised.
    disk.0.lock().images.clear();
    let mut model = Model::default();
    for number in 1..=60 {
        let changes = changes_of_block(number, &model);
        model.apply(&changes);
        append(&store, 0, &changes);
        disk.0.lock().acknowledged = number;
    }
    let images = std::mem::take(&mut disk.0.lock().images);
    drop(store);
    assert!(images.len() > 20, "{} power cuts", images.len());
    let mut lost = 0;
    for (cut, (image, acknowledged)) in images.into_iter().enumerate() {
        let store = open_on(disk_with(image));
        assert_whole(&store, acknowledged, &format!("cut {cut}"));
        lost += u32::from(store.snapshot().head().number == acknowledged);
    }
    assert!(lost > 5, "only {lost} cuts hit an unfinished commit");
}

/// A store of ten blocks and the eleventh, which is not in it yet.
struct Eleventh {
    disk: DiskBackend,
    store: Store,
    head: StoreHead,
    block: MadeUpBlock,
    changes: StateChanges,
    trie: TrieUpdate,
}

impl Eleventh {
    fn prepare() -> Self {
        let disk = disk_with(Vec::new());
        let store = open_on(disk.clone());
        let mut model = Model::default();
        for number in 1..=10 {
            let changes = changes_of_block(number, &model);
            model.apply(&changes);
            append(&store, 0, &changes);
        }
        let head = store.snapshot().head();
        let changes = changes_of_block(11, &model);
        let workers = crate::workers::Workers::new(1).expect("no thread");
        let trie = crate::trie::update_state(&*store.snapshot(), &changes, &workers).expect("readable");
        Self { disk, store, head, block: MadeUpBlock::after(head, 0), changes, trie }
    }

    fn append(&self) -> Result<Arc<Snapshot>, CoreError> {
        self.store.append(&self.block.as_new(), &self.changes, &self.trie)
    }

    /// What a restart finds.
    fn restarted(self) -> Store {
        drop(self.store);
        open_on(disk_with(self.disk.0.lock().written.clone()))
    }
}

#[test]
fn a_full_disk_refuses_the_block_and_all_later_ones_until_a_restart() {
    let eleventh = Eleventh::prepare();
    eleventh.disk.0.lock().full = true;
    assert_eq!(eleventh.append().expect_err("the disk is full").kind(), "storage");
    assert_eq!(eleventh.store.snapshot().head(), eleventh.head, "the head stays");

    eleventh.disk.0.lock().full = false;
    assert_eq!(eleventh.append().expect_err("it was not opened anew").kind(), "storage");
    assert_eq!(eleventh.store.snapshot().head(), eleventh.head);
    let (head, changes) = (eleventh.head, eleventh.changes.clone());
    let store = eleventh.restarted();
    assert_whole(&store, 10, "after the disk was full");
    if store.snapshot().head() == head {
        append(&store, 0, &changes);
    }
    assert_whole(&store, 11, "and again");
}

#[test]
fn a_store_that_is_opened_anew_takes_the_block_that_a_full_disk_refused() {
    let eleventh = Eleventh::prepare();
    assert!(!eleventh.store.has_failed());
    eleventh.disk.0.lock().full = true;
    eleventh.append().expect_err("the disk is full");
    assert!(eleventh.store.has_failed());
    let refused = eleventh.store.open_anew().expect_err("it is full still");
    assert_eq!(refused.to_string(), "storage: the disk is full");
    assert_eq!(eleventh.store.snapshot().header(5).map(|header| header.is_some()), Ok(true), "reads go on");

    eleventh.disk.0.lock().full = false;
    let anew = eleventh.store.open_anew().expect("there is room");
    assert!(!eleventh.store.has_failed());
    assert_eq!(anew.head(), eleventh.head);
    assert_whole(&eleventh.store, 10, "opened anew");
    eleventh.append().expect("it takes blocks again");
    assert_whole(&eleventh.store, 11, "and goes on");
    assert_whole(&eleventh.restarted(), 11, "after a restart");
}

#[test]
fn a_snapshot_of_before_tells_the_truth_or_fails() {
    let eleventh = Eleventh::prepare();
    let before = eleventh.store.snapshot();
    let whole = before.whole_state().expect("readable");
    eleventh.disk.0.lock().full = true;
    eleventh.append().expect_err("the disk is full");
    eleventh.disk.0.lock().full = false;
    eleventh.store.open_anew().expect("there is room");
    eleventh.append().expect("it takes blocks again");

    match before.whole_state() {
        Ok(state) => assert_eq!(state, whole),
        Err(error) => assert_eq!(error.kind(), "storage"),
    }
}

#[test]
fn a_store_is_not_opened_anew_after_a_failed_sync() {
    let eleventh = Eleventh::prepare();
    eleventh.disk.0.lock().unsynced = true;
    assert_eq!(eleventh.append().expect_err("the disk is gone").kind(), "storage");

    eleventh.disk.0.lock().unsynced = false;
    let refused = eleventh.store.open_anew().expect_err("nobody knows what is on the disk");
    assert_eq!(refused.to_string(), "storage: the disk has failed to sync the store; restart");
    assert_eq!(eleventh.append().expect_err("still").kind(), "storage");
    assert_whole(&eleventh.restarted(), 10, "after a restart");
}

#[test]
fn a_block_that_became_durable_in_a_failed_commit_is_there_after_a_restart_only() {
    let eleventh = Eleventh::prepare();
    eleventh.disk.0.lock().lies = true;
    eleventh.append().expect_err("the disk is confused");
    eleventh.disk.0.lock().lies = false;

    let refused = eleventh.store.open_anew().expect_err("memory and disk disagree");
    assert_eq!(refused.to_string(), "storage: the store moved on after a failed commit; restart");
    assert_eq!(eleventh.store.snapshot().head(), eleventh.head, "nobody was told of it");
    assert!(eleventh.store.has_failed());
    assert_whole(&eleventh.restarted(), 11, "after a restart");
}
