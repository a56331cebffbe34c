//! Tests of `journal`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;

use rota_chain::amount::Height;
use rota_chain::transaction::Transaction;

use crate::journal::{Journal, journal_bytes};

fn transactions(count: u32) -> Vec<Transaction> {
    (0..count).map(|number| Transaction::coinbase(Height(number), Vec::new())).collect()
}

fn append(journal: &Journal, transactions: &[Transaction]) {
    for transaction in transactions {
        journal.append(&transaction.txid(), &journal_bytes(transaction)).unwrap();
    }
}

#[test]
fn what_was_appended_is_loaded_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let all = transactions(3);
    let journal = Journal::open(&path).unwrap();
    append(&journal, &all[..2]);
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    append(&journal, &all[2..]);
    journal.sync().unwrap();
    assert_eq!(journal.load().unwrap(), all);
    assert_eq!(journal.records(), 3);
    assert_eq!(journal.bytes(), std::fs::metadata(&path).unwrap().len());
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let all = transactions(3);
    let journal = Journal::open(&path).unwrap();
    append(&journal, &all[..1]);
    let first = journal.bytes() as usize;
    append(&journal, &all[1..2]);
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    for end in first..whole.len() {
        std::fs::write(&path, &whole[..end]).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.load().unwrap(), all[..1]);
        append(&journal, &all[2..]);
        drop(journal);
        let again = Journal::open(&path).unwrap().load().unwrap();
        assert_eq!(again, [all[0].clone(), all[2].clone()], "cut at {end}");
    }
}

#[test]
fn zeros_after_the_last_record_are_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let all = transactions(1);
    append(&Journal::open(&path).unwrap(), &all);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(&[0; 4_096]);
    std::fs::write(&path, &bytes).unwrap();
    let journal = Journal::open(&path).unwrap();
    assert_eq!((journal.load().unwrap(), journal.records()), (all, 1));
}

#[test]
fn retaining_drops_the_others_and_appending_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let all = transactions(5);
    let journal = Journal::open(&path).unwrap();
    append(&journal, &all[..4]);
    let kept: HashSet<_> = [all[1].txid(), all[3].txid()].into();
    journal.retain(journal.mark(), &kept).unwrap();
    append(&journal, &all[4..]);
    let expected = [all[1].clone(), all[3].clone(), all[4].clone()];
    assert_eq!(journal.load().unwrap(), expected);
    assert_eq!(journal.records(), 3);
    drop(journal);
    assert_eq!(Journal::open(&path).unwrap().load().unwrap(), expected);
}

#[test]
fn what_was_appended_after_the_mark_stays_though_nobody_asked_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let all = transactions(4);
    let journal = Journal::open(&path).unwrap();
    append(&journal, &all[..3]);
    let mark = journal.mark();
    append(&journal, &all[3..]);
    let kept: HashSet<_> = [all[0].txid()].into();
    journal.retain(mark, &kept).unwrap();
    let expected = [all[0].clone(), all[3].clone()];
    assert_eq!(journal.load().unwrap(), expected);
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    assert_eq!((journal.load().unwrap(), journal.records()), (expected.to_vec(), 2));
    journal.retain(journal.mark(), &HashSet::new()).unwrap();
    assert_eq!((journal.bytes(), journal.records()), (0, 0));
}

#[test]
fn appending_goes_on_while_the_journal_is_shortened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let all = transactions(2_000);
    let journal = Journal::open(&path).unwrap();
    let kept: HashSet<_> = all.iter().step_by(3).map(Transaction::txid).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| append(&journal, &all));
        for _ in 0..20 {
            journal.retain(journal.mark(), &kept).unwrap();
        }
    });
    let there: HashSet<_> = journal.load().unwrap().iter().map(Transaction::txid).collect();
    assert!(kept.is_subset(&there), "a transaction that was to stay is gone");
    drop(journal);
    let again: HashSet<_> = Journal::open(&path).unwrap().load().unwrap().iter().map(Transaction::txid).collect();
    assert_eq!(again, there);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let error = Journal::open(std::path::Path::new("/proc/no/journal")).unwrap_err();
    assert!(error.to_string().contains("/proc/no/journal"), "{error}");
}

#[test]
fn a_full_disk_is_an_error_and_nothing_is_promised() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let journal = Journal::open(&path).unwrap();
    let transaction = &transactions(1)[0];
    assert_eq!(journal.append(&transaction.txid(), &journal_bytes(transaction)).unwrap_err().code(), "storage-full");
    assert_eq!((journal.records(), journal.bytes()), (0, 0));
}
