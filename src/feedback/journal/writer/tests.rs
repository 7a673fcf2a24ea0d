use super::*;
use crate::feedback::disk::trial::TrialDisk;
use crate::feedback::record::{Entry, Exported};

fn entry(name: u128) -> Entry {
    Entry::Exported(Exported { at: jiff::Timestamp::UNIX_EPOCH, frames: vec![ulid::Ulid(name)] })
}

fn payloads(names: impl IntoIterator<Item = u128>) -> Vec<Vec<u8>> {
    names.into_iter().map(|name| entry(name).to_json().unwrap()).collect()
}

fn open(disk: &TrialDisk, dir: &Path, limit: u64) -> Writer {
    let (writer, opened) = Writer::open(Arc::new(disk.clone()), dir, limit).unwrap();
    assert_eq!(opened, Opened::default());
    writer
}

/// The names of all entries, and how much is damaged.
fn read(dir: &Path) -> (Vec<u128>, usize) {
    let mut names = Vec::new();
    let mut damaged = 0;
    for found in Reader::new(dir.to_owned()).scan(Position::default()).unwrap() {
        match found.unwrap() {
            Found::Entry(_, entry) => match *entry {
                Entry::Exported(exported) => names.push(exported.frames[0].0),
                other => panic!("{other:?}"),
            },
            Found::Damage(_) | Found::Torn { .. } => damaged += 1,
        }
    }
    (names, damaged)
}

#[test]
fn a_batch_is_read_back_where_the_pointers_say() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TrialDisk::default();
    let mut writer = open(&disk, dir.path(), 500);
    let reader = Reader::new(dir.path().to_owned());
    let mut next = 0..;
    for size in [1, 3, 7, 2, 1] {
        let names: Vec<u128> = next.by_ref().take(size).collect();
        for (pointer, name) in writer.append(&payloads(names.clone())).unwrap().iter().zip(names) {
            assert_eq!(reader.read(pointer).unwrap(), entry(name));
            let wrong = Pointer { sequence: pointer.sequence + 1, ..*pointer };
            assert!(matches!(reader.read(&wrong), Err(JournalError::Mismatch { .. })));
        }
    }
    assert_eq!(read(dir.path()), ((0..14).collect(), 0));
    assert!(writer.end().segment > 2, "it took several segments");
    let (end, bytes) = (writer.end(), writer.bytes());
    drop(writer);
    let again = open(&disk, dir.path(), 500);
    assert_eq!((again.end(), again.bytes()), (end, bytes));
    let long = vec![b'x'; MAX_PAYLOAD + 1];
    assert!(matches!(open(&disk, dir.path(), 500).append(&[long]), Err(JournalError::TooLong { .. })));
}

#[test]
fn what_a_failed_append_wrote_is_never_read_also_if_another_comes_next() {
    let one = payloads([0])[0].len() as u64 + BLOCK_HEADER as u64;
    for blocks in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let disk = TrialDisk::default();
        let mut writer = open(&disk, dir.path(), 1 << 20);
        writer.append(&payloads([0])).unwrap();
        // Whole blocks, and half of one.
        disk.set_room(Some(blocks * one + one / 2));
        writer.append(&payloads(10..15)).unwrap_err();
        assert_eq!(std::fs::metadata(segment::path(dir.path(), 1)).unwrap().len(), writer.end().offset);
        disk.heal();
        writer.append(&payloads([1])).unwrap();
        assert_eq!(read(dir.path()), (vec![0, 1], 0));
        drop(writer);
        open(&disk, dir.path(), 1 << 20).append(&payloads([2])).unwrap();
        assert_eq!(read(dir.path()), (vec![0, 1, 2], 0));
    }
}

#[test]
fn after_a_failed_sync_it_goes_on_in_a_new_segment() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TrialDisk::default();
    let mut writer = open(&disk, dir.path(), 1 << 20);
    writer.append(&payloads([0])).unwrap();
    // The write, then the sync.
    disk.fail_in(1);
    writer.append(&payloads(10..15)).unwrap_err();
    assert!(!writer.is_uncertain());
    writer.append(&payloads([1])).unwrap();
    assert_eq!(writer.end().segment, 2);
    assert_eq!(read(dir.path()), (vec![0, 1], 0));
}

#[test]
fn while_it_can_not_cut_back_it_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TrialDisk::default();
    let mut writer = open(&disk, dir.path(), 1 << 20);
    writer.append(&payloads([0])).unwrap();
    for _ in 0..3 {
        disk.fail_always(true);
        writer.append(&payloads(10..15)).unwrap_err();
        assert!(writer.is_uncertain());
    }
    disk.fail_always(false);
    writer.append(&payloads([1])).unwrap();
    assert_eq!(read(dir.path()), (vec![0, 1], 0));
}

#[test]
fn what_lies_behind_the_end_that_the_next_segment_names_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TrialDisk::default();
    let mut writer = open(&disk, dir.path(), 200);
    writer.append(&payloads([0])).unwrap();
    let end = writer.end();
    writer.append(&payloads([1])).unwrap();
    assert_eq!(writer.end().segment, end.segment + 1);
    // A cut that a power cut undid: the same sequence, another entry.
    let path = segment::path(dir.path(), end.segment);
    let mut bytes = std::fs::read(&path).unwrap();
    super::super::blocks::write_block(&mut bytes, end.sequence, &payloads([10])[0]);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read(dir.path()), (vec![0, 1], 0));
}

#[test]
fn a_new_segment_that_fails_half_way_is_made_again_and_the_old_one_does_not_grow() {
    for operation in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let disk = TrialDisk::default();
        let mut writer = open(&disk, dir.path(), 300);
        writer.append(&payloads([0])).unwrap();
        disk.fail_in(operation);
        let first = writer.append(&payloads(10..13));
        assert!(first.is_err(), "operation {operation}");
        disk.heal();
        // It would fit.
        writer.append(&payloads([1])).unwrap();
        drop(writer);
        assert_eq!(read(dir.path()), (vec![0, 1], 0));
        open(&disk, dir.path(), 300).append(&payloads([2])).unwrap();
        assert_eq!(read(dir.path()), (vec![0, 1, 2], 0));
    }
}

#[test]
fn segments_of_two_stores_are_not_taken_for_one() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = TrialDisk::default();
    for dir in [&one, &two] {
        let mut writer = open(&disk, dir.path(), 200);
        for name in 0..3 {
            writer.append(&payloads([name])).unwrap();
        }
    }
    std::fs::copy(segment::path(one.path(), 3), segment::path(two.path(), 3)).unwrap();
    let mut scan = Reader::new(two.path().to_owned()).scan(Position::default()).unwrap();
    assert!(matches!(scan.find(Result::is_err), Some(Err(JournalError::Foreign { .. }))));
    assert!(scan.next().is_none(), "an error ends it");
}
