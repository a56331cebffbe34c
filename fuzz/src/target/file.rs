//! What is read from files: parameters, configuration, journal, wallet, undo data, rows of tables, known peers.

use std::cell::RefCell;
use std::path::PathBuf;

use rota_chain::codec::encode;
use rota_consensus::state::{StateKey, StateValue};
use rota_node::network::StoredNode;
use rota_params::paths::ChainDirectory;
use rota_params::runtime::RuntimeSettings;
use rota_params::{ParameterSet, State, conf, file, options, seed};
use rota_storage::StorageError;
use rota_storage::block::{BlockEntry, UndoBlock};
use rota_storage::chunk::{ChunkInfo, PendingChunk};
use rota_storage::index::{ItemRow, SeenRow, SubscriptionRow, TermRow};
use rota_storage::journal::{Journal, checksum};
use rota_storage::transaction::TransactionLocation;
use rota_wallet::reread_record;

use super::{Kind, Target, canonical, kind, read, refused, text};

/// The chain that parameter files under test belong to.
pub(crate) const CHAIN: &str = "chain1";

pub(super) const TARGETS: &[Target] = &[
    Target::new("params-file", params_file).speaking(&["\n", " = ", "#", "[null]", "true", "false", "-1", "0.5"]),
    Target::new("params-wire", params_wire),
    Target::new("node-conf", node_conf).speaking(&[
        "rpcuser",
        "rpcport",
        "=",
        "#",
        "\n",
        "autosubscribe",
        "miningturnover",
    ]),
    Target::new("chain-word", chain_word).speaking(&["chain1", "@", ":", "[::1]", "127.0.0.1", "65535"]),
    Target::new("journal", journal),
    Target::new("wallet-record", wallet_record),
    Target::new("undo", canonical::<UndoBlock>),
    Target::new("state-key", canonical::<StateKey>),
    Target::new("state-value", canonical::<StateValue>),
    Target::new("table-row", table_row),
    Target::new("known-peer", known_peer).speaking(&[" ", ":", ",", "-", "peers", "seed", "outbound", "ignored"]),
];

fn params_file(bytes: &[u8]) -> Kind {
    let text = text(bytes);
    match file::parse(&text, CHAIN) {
        // A set that lacks parameters is told of by its errors and never written.
        Ok((_, state @ (State::Empty | State::Error { .. } | State::Invalid { .. }))) => {
            kind(("incomplete", format!("{state:?}").len() / 64))
        }
        Ok((set, state)) => {
            let printed = file::print(&set);
            let again = file::parse(&printed, CHAIN).expect("what is printed can be read");
            let answer = kind(("read", format!("{state:?}")));
            assert!(again == (set, state), "parameters are read otherwise than they were printed");
            answer
        }
        Err(error) => refused(&error.to_string(), 0),
    }
}

fn params_wire(bytes: &[u8]) -> Kind {
    match ParameterSet::from_wire(bytes) {
        Ok(set) => {
            let minimal = bytes.get(1) == Some(&0);
            assert!(set.to_wire(minimal) == bytes, "parameters are written otherwise than they were read");
            read(bytes.len())
        }
        Err(error) => refused(&error.to_string(), bytes.len() / 64),
    }
}

/// The lines of node.conf as options of a node, and the runtime settings made of them.
fn node_conf(bytes: &[u8]) -> Kind {
    let text = text(bytes);
    let lines = conf::parse(&text);
    let words = lines.iter().map(|line| match &line.value {
        Some(value) => format!("-{}={value}", line.name),
        None => format!("-{}", line.name),
    });
    let resolved = options::CommandLine::parse(words, |_| false)
        .and_then(|line| options::Options::resolve(&line, None::<&ChainDirectory>))
        .and_then(|options| RuntimeSettings::resolve(&options, &ParameterSet::empty()));
    match resolved {
        Ok(_) => kind(("read", lines.len().min(16))),
        Err(error) => refused(&error.to_string(), 0),
    }
}

fn chain_word(bytes: &[u8]) -> Kind {
    let text = text(bytes);
    match seed::parse_chain_word(&text) {
        Ok((name, seed)) => {
            let again = seed.as_ref().map_or_else(|| name.to_owned(), |seed| format!("{name}@{seed}"));
            let reread = seed::parse_chain_word(&again).ok();
            assert!(reread == Some((name, seed)), "{again} is read otherwise than {text}");
            read(text.len())
        }
        Err(error) => refused(&error.to_string(), 0),
    }
}

thread_local! {
    static PLACE: RefCell<Option<PathBuf>> = const { RefCell::new(None) };
}

/// A file of this thread's own, in memory where the system has such a place.
fn place() -> PathBuf {
    PLACE.with_borrow_mut(|place| {
        let made = || {
            let memory = PathBuf::from("/dev/shm");
            let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
            folder.join(format!("rota-fuzz-journal-{}-{:?}", std::process::id(), std::thread::current().id()))
        };
        place.get_or_insert_with(made).clone()
    })
}

/// A journal with these bytes is opened, which cuts off its end where that is torn; the rest is what was appended. One that
/// is damaged otherwise is refused as it is, and what can be read of it is salvaged.
/// Checksums are made right first where the first byte is odd: chance never meets one.
fn journal(bytes: &[u8]) -> Kind {
    let Some((choice, bytes)) = bytes.split_first() else { return 0 };
    let mut bytes = bytes.to_vec();
    if choice % 2 == 1 {
        mend_journal(&mut bytes);
    }
    let path = place();
    std::fs::write(&path, &bytes).expect("a file can be written");
    let opened = Journal::open(&path);
    let kept = std::fs::read(&path).expect("a file can be read");
    assert!(bytes.starts_with(&kept), "opening a journal changed what it holds");
    let damaged = opened.is_err();
    let journal = match opened {
        Err(StorageError::DamagedJournal { .. }) => {
            assert!(kept == bytes, "a journal that is refused was changed");
            Journal::salvage(&path).expect("what can be read of any bytes can be salvaged")
        }
        opened => opened.expect("any bytes can be opened or are damaged"),
    };
    let transactions = journal.load().expect("an open journal can be read");
    drop(journal);
    for file in [path.with_extension("damaged"), path] {
        let _ = std::fs::remove_file(file);
    }
    for transaction in &transactions {
        let written = encode(transaction);
        assert!(kept.windows(written.len()).any(|window| window == written), "a transaction that was never appended");
    }
    kind((transactions.len().min(8), kept.len().checked_ilog2(), bytes.len() > kept.len(), damaged))
}

fn mend_journal(bytes: &mut [u8]) {
    let mut rest = bytes;
    while let Some((head, after)) = rest.split_first_chunk_mut::<8>() {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some((record, after)) = after.split_at_mut_checked(length) else { return };
        head[4..].copy_from_slice(&checksum(record).to_le_bytes());
        rest = after;
    }
}

/// The first byte chooses whether the checksum is made right first.
fn wallet_record(bytes: &[u8]) -> Kind {
    let Some((choice, bytes)) = bytes.split_first() else { return 0 };
    let mut bytes = bytes.to_vec();
    let length = bytes.get(4..8).and_then(|four| four.first_chunk::<4>()).map_or(0, |four| u32::from_le_bytes(*four));
    let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(8);
    if let Some((framed, sum)) = bytes.split_at_mut_checked(end).filter(|_| choice % 2 == 1)
        && let Some(sum) = sum.first_chunk_mut::<4>()
    {
        *sum = crc32fast::hash(framed).to_le_bytes();
    }
    match reread_record(&bytes) {
        Ok(again) => {
            assert!(bytes.starts_with(&again), "a record is written otherwise than it was read");
            read(again.len())
        }
        Err(reason) => refused(&reason, 0),
    }
}

/// The first byte chooses the table.
fn table_row(bytes: &[u8]) -> Kind {
    let Some((table, row)) = bytes.split_first() else { return 0 };
    let answer = match table % 8 {
        0 => canonical::<BlockEntry>(row),
        1 => canonical::<TransactionLocation>(row),
        2 => canonical::<ChunkInfo>(row),
        3 => canonical::<PendingChunk>(row),
        4 => canonical::<ItemRow>(row),
        5 => canonical::<SeenRow>(row),
        6 => canonical::<TermRow>(row),
        _ => canonical::<SubscriptionRow>(row),
    };
    kind((table % 8, answer))
}

fn known_peer(bytes: &[u8]) -> Kind {
    let text = text(bytes);
    match StoredNode::parse(&text) {
        Some(node) => {
            let again = StoredNode::parse(&node.line());
            assert!(again.as_ref() == Some(&node), "a known peer is read otherwise than it was written");
            kind(("read", node.handshakes.len(), node.status))
        }
        None => refused("", text.split(' ').count()),
    }
}
