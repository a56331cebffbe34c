//! The inputs that the repository keeps, made anew: from golden vectors, and from values of what has none.

use std::path::Path;

use anyhow::Context as _;
use rota_chain::amount::{Amount, Height};
use rota_chain::block::Block;
use rota_chain::codec::{decode, encode};
use rota_chain::hash::{BlockHash, ChunkHash, FullHash, ParamsHash, Txid};
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::stream::StreamRestriction;
use rota_chain::transaction::{OutPoint, Transaction};
use rota_consensus::state::{
    Approval, Coin, Entity, EntityKind, PermissionKey, PermissionRecord, StateKey, StateValue, UpgradedParameter, Vote,
};
use rota_p2p::{ChunkBody, CompactBlock, Hello, JoinAnswer, Refusal, RefusalCause, Request, Response, Tip, wire};
use rota_params::{PROTOCOL_LATEST, ParameterSet, file};
use rota_storage::UndoBlock;
use rota_storage::block::{BlockEntry, BlockStatus, Location};

use crate::corpus::folder;
use crate::target::CHAIN;

/// An input and its name.
type Named = (String, Vec<u8>);

/// Writes every input that is made here; others in the folders stay.
///
/// # Errors
/// If a golden vector cannot be read or an input not be written.
pub fn write() -> anyhow::Result<()> {
    let golden = Golden::read()?;
    let sets = [objects(&golden), texts()?, peers(&golden), rows(&golden), files(&golden)?, calls()];
    for (target, inputs) in sets.into_iter().flatten() {
        let folder = folder(target);
        std::fs::create_dir_all(&folder)?;
        for (name, bytes) in inputs {
            std::fs::write(folder.join(&name), bytes).with_context(|| format!("{target}/{name}"))?;
        }
    }
    Ok(())
}

struct Golden {
    genesis: Block,
    block: Block,
    coins: Transaction,
    operations: Transaction,
    proof: Vec<u8>,
}

impl Golden {
    fn read() -> anyhow::Result<Golden> {
        let bytes = |name: &str| {
            let path = vectors().join(name);
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            Ok::<_, anyhow::Error>(hex::decode(text.lines().filter(|line| !line.starts_with('#')).collect::<String>())?)
        };
        Ok(Golden {
            genesis: decode(&bytes("genesis.hex")?)?,
            block: decode(&bytes("block.hex")?)?,
            coins: decode(&bytes("transaction-coins.hex")?)?,
            operations: decode(&bytes("transaction-operations.hex")?)?,
            proof: bytes("proof.hex")?,
        })
    }
}

fn vectors() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../chain/tests/vectors")
}

fn numbered(inputs: impl IntoIterator<Item = Vec<u8>>) -> Vec<Named> {
    inputs.into_iter().enumerate().map(|(number, bytes)| (format!("{number:02}"), bytes)).collect()
}

fn objects(golden: &Golden) -> Vec<(&'static str, Vec<Named>)> {
    let operations = golden.operations.operations().map(|(_, operation)| operation).collect::<Vec<_>>();
    let data = operations.iter().filter_map(|operation| match operation {
        Operation::Publish(publish) => Some(encode(&publish.data)),
        _ => None,
    });
    let witnesses = golden.coins.witnesses.iter().chain(&golden.operations.witnesses);
    vec![
        (
            "transaction",
            numbered([encode(&golden.coins), encode(&golden.operations), encode(&golden.genesis.transactions[0])]),
        ),
        ("block", numbered([encode(&golden.block), encode(&golden.genesis)])),
        ("header", numbered([encode(golden.block.header()), encode(golden.genesis.header())])),
        ("signed-header", numbered([encode(&golden.block.signed), encode(&golden.genesis.signed)])),
        ("operation", numbered(operations.iter().map(|operation| encode(*operation)))),
        ("witness", numbered(witnesses.map(encode))),
        ("item-data", numbered(data)),
        ("merkle-proof", numbered([golden.proof.clone()])),
    ]
}

/// What `addresses.txt` and `digests.txt` hold as text.
fn texts() -> anyhow::Result<Vec<(&'static str, Vec<Named>)>> {
    let lines = |name: &str| std::fs::read_to_string(vectors().join(name));
    let (addresses, digests) = (lines("addresses.txt")?, lines("digests.txt")?);
    let values = |text: &str, start: &[&str]| {
        let chosen = text.lines().filter(|line| start.iter().any(|start| line.starts_with(start)));
        chosen.filter_map(|line| line.split_once(' ')).map(|(_, value)| value.as_bytes().to_vec()).collect::<Vec<_>>()
    };
    let scripts =
        |start| values(&addresses, &[start]).iter().filter_map(|text| hex::decode(text).ok()).collect::<Vec<_>>();
    let signatures = values(&digests, &["signature-message"]);
    Ok(vec![
        ("address", numbered(values(&addresses, &["key-", "shared-", "burn"]))),
        ("private-key", numbered(values(&addresses, &["private-"]))),
        ("payment-script", numbered(scripts("payment-script"))),
        ("redeem-script", numbered(scripts("redeem-script"))),
        ("hash-text", numbered(values(&digests, &["txid-", "block-hash", "merkle-root-of-none"]))),
        ("message-signature", numbered(signatures.into_iter().map(|text| [text, b"\nmessage".to_vec()].concat()))),
    ])
}

fn peers(golden: &Golden) -> Vec<(&'static str, Vec<Named>)> {
    let tip = Tip { height: Height(7), hash: BlockHash([7; 32]) };
    let hello = Hello {
        chain_name: CHAIN.to_owned(),
        params_hash: ParamsHash([3; 32]),
        version: 1,
        software: "/Rota:0.1.0/".to_owned(),
        tip,
        time: 1_700_000_000,
        port: 7_001,
        nonce: 9,
    };
    let (headers, hash) = (vec![golden.genesis.signed, golden.block.signed], BlockHash([1; 32]));
    let hashes = vec![FullHash([2; 32]), FullHash([4; 32])];
    let transactions = vec![golden.coins.clone(), golden.operations.clone()];
    let requests = |list: Vec<Request>| numbered(list.iter().map(wire::request_frame));
    let answers = |list: Vec<Response>| numbered(list.iter().map(wire::response_frame));
    let refused = Response::Refused(Refusal::Busy);
    let chunk = |salt: usize| ChunkBody { hash: ChunkHash([5; 32]), salt: vec![6; salt], bytes: b"a chunk".to_vec() };
    let places = ["127.0.0.1:7001", "[2001:db8::1]:80"].map(|place| place.parse().expect("a place as text"));
    let joined = [
        JoinAnswer::Minimal { parameters: vec![1, 0, 0], reason: "ask for grant".to_owned() },
        JoinAnswer::Full { parameters: vec![1, 1, 0] },
        JoinAnswer::Refused { reason: "another chain".to_owned() },
    ];
    vec![
        ("join-request", numbered([wire::join_request(CHAIN)])),
        ("join-answer", numbered(joined.iter().map(wire::join_answer))),
        ("hello", numbered([wire::hello(&hello), wire::ping()])),
        (
            "hello-answer",
            numbered([wire::welcome(&hello), wire::refused(RefusalCause::NoPermission, "no permission"), wire::pong()]),
        ),
        (
            "request-sync",
            requests(vec![
                Request::Headers { locator: vec![hash; 3], stop: BlockHash::ZERO, limit: 2_000 },
                Request::Blocks { hashes: vec![hash; 16] },
            ]),
        ),
        (
            "request-pool",
            requests(vec![
                Request::Transactions { hashes: hashes.clone() },
                Request::TransactionsById { txids: vec![Txid([8; 32])] },
                Request::PoolInventory { after: FullHash::ZERO, limit: 10_000 },
                Request::BlockTransactions { block: hash, indexes: vec![0, 1, 5] },
                Request::Addresses,
            ]),
        ),
        (
            "request-chunk",
            requests(vec![Request::Chunks { stream: Txid([6; 32]), hashes: vec![ChunkHash([1; 32]); 2] }]),
        ),
        ("answer-headers", answers(vec![Response::Headers(headers), refused.clone()])),
        (
            "answer-blocks",
            answers(vec![Response::Blocks(vec![golden.genesis.clone().into(), golden.block.clone().into()])]),
        ),
        ("answer-transactions", answers(vec![Response::Transactions(transactions.clone()), refused])),
        ("answer-inventory", answers(vec![Response::PoolInventory { hashes: hashes.clone(), more: true }])),
        ("answer-chunks", answers(vec![Response::Chunks(vec![chunk(0), chunk(16), chunk(32)])])),
        ("answer-block-transactions", answers(vec![Response::BlockTransactions(transactions)])),
        ("answer-addresses", answers(vec![Response::Addresses(places.to_vec())])),
        ("announced-transactions", numbered([wire::transactions(4, hashes.clone())])),
        ("announced-block", numbered([encode(&CompactBlock::new(golden.block.signed, hashes))])),
    ]
}

fn keys() -> Vec<StateKey> {
    let (address, out) = (Lock::Key(KeyHash([1; 20])), OutPoint { txid: Txid([2; 32]), index: 3 });
    vec![
        StateKey::Permission(PermissionKey { entity: None, permission: Permission::Mine, address }),
        StateKey::Entity(Txid([4; 32])),
        StateKey::Name(b"stream1".to_vec()),
        StateKey::Coin(out),
        StateKey::LastMined(KeyHash([5; 20])),
        StateKey::Token(Txid([6; 32]), b"token".to_vec()),
        StateKey::Approval(Txid([7; 32])),
        StateKey::PendingUpgrades,
        StateKey::Parameters,
    ]
}

fn values() -> Vec<StateValue> {
    let address = Lock::Key(KeyHash([1; 20]));
    let vote = Vote { admin: address, range: BlockRange::ALWAYS, timestamp: 1_700_000_000, height: Height(8) };
    let record = PermissionRecord { range: BlockRange::ALWAYS, granters: vec![address; 2], votes: vec![vote] };
    let restriction = StreamRestriction { write: true, read: false, onchain: false, offchain: true };
    let entity =
        |kind| Entity { kind, name: b"name".to_vec(), creators: vec![address], height: Height(2), offset: 300 };
    vec![
        StateValue::Permission(record),
        StateValue::Entity(entity(EntityKind::Stream { restriction, salted: true })),
        StateValue::Entity(entity(EntityKind::Variable { restrict_write: true, last: Txid([3; 32]) })),
        StateValue::Entity(entity(EntityKind::Upgrade { start: 9, changes: Vec::new() })),
        StateValue::Name(Txid([4; 32])),
        StateValue::Coin(Coin {
            owner: address,
            amount: Amount(5),
            assets: Vec::new(),
            height: Height(6),
            coinbase: true,
        }),
        StateValue::LastMined(Height(7)),
        StateValue::Token(Txid([8; 32])),
        StateValue::Approval(Approval { votes: vec![address], approved: Some(Height(9)), ..Approval::default() }),
        StateValue::PendingUpgrades(vec![Txid([9; 32])]),
        StateValue::Parameters(vec![UpgradedParameter { parameter: 3, value: -1, height: Height(10) }]),
    ]
}

fn rows(golden: &Golden) -> Vec<(&'static str, Vec<Named>)> {
    let elements = keys().into_iter().zip(values()).map(|(key, value)| (key, Some(value)));
    let undo = UndoBlock {
        elements: elements.chain([(StateKey::Parameters, None)]).collect(),
        transactions: vec![Txid([1; 32])],
    };
    let location = Location { file: 1, offset: 2, length: 3 };
    let entry = BlockEntry {
        header: golden.block.signed,
        height: Height(3),
        chainwork: 1 << 70,
        size: 1_000,
        transactions: 2,
        body: Some(location),
        undo: None,
        status: BlockStatus::Applied,
        sequence: 4,
        received: 1_700_000_000,
        governance: true,
    };
    let zeros = |table: u8, bytes: usize| [vec![table], vec![0; bytes]].concat();
    let mut tables =
        numbered([[vec![0], encode(&entry)].concat(), zeros(1, 24), zeros(3, 74), zeros(4, 34), zeros(5, 38)]);
    tables.extend([("05".to_owned(), zeros(2, 8)), ("06".to_owned(), zeros(6, 12)), ("07".to_owned(), zeros(7, 11))]);
    vec![
        ("undo", numbered([encode(&undo), encode(&UndoBlock::default())])),
        ("state-key", numbered(keys().iter().map(encode))),
        ("state-value", numbered(values().iter().map(encode))),
        ("table-row", tables),
    ]
}

fn files(golden: &Golden) -> anyhow::Result<Vec<(&'static str, Vec<Named>)>> {
    // Of a chain that was begun: what is calculated and random cannot be made here.
    let sealed = std::fs::read_to_string(folder("params-file").join("sealed"))?;
    let (sealed, _) = file::parse(&sealed, CHAIN)?;
    let record = |transaction: &Transaction| {
        let bytes = encode(transaction);
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        [length.to_le_bytes().as_slice(), &rota_storage::journal::checksum(&bytes).to_le_bytes(), &bytes].concat()
    };
    let journal = [record(&golden.coins), record(&golden.operations)].concat();
    let torn = journal[..journal.len() - 7].to_vec();
    let set = ParameterSet::with_defaults(CHAIN, PROTOCOL_LATEST).expect("the defaults are right");
    let conf =
        b"# comment\nrpcuser=user\nrpcpassword = pass # more\nrpcport=1\nautosubscribe=streams,assets\nbare\n".to_vec();
    let peer = format!("127.0.0.1:7001 peers outbound 3 1700000000 0 {}:1700000001", "01".repeat(20));
    Ok(vec![
        ("journal", numbered([[vec![1], journal].concat(), [vec![0], torn].concat()])),
        ("wallet-record", numbered(rota_wallet::sample_records().into_iter().map(|bytes| [vec![1], bytes].concat()))),
        (
            "params-file",
            numbered([file::print(&set).into_bytes(), b"chain-protocol = multichain # no more\n".to_vec()]),
        ),
        ("params-wire", numbered([set.to_wire(true), sealed.to_wire(true), sealed.to_wire(false)])),
        ("node-conf", numbered([conf])),
        ("chain-word", numbered(["chain1", "chain1@host:1", "chain1@[::1]:7"].map(|word| word.as_bytes().to_vec()))),
        ("known-peer", numbered([peer.into_bytes(), b"[::1]:7 seed ignored 0 0 5 -".to_vec()])),
    ])
}

fn calls() -> Vec<(&'static str, Vec<Named>)> {
    let texts = |list: &[&str]| numbered(list.iter().map(|text| text.as_bytes().to_vec()));
    vec![
        (
            "rpc-body",
            texts(&[
                r#"{"method":"getinfo","params":[],"id":1,"chain_name":"chain1"}"#,
                r#"[{"jsonrpc":"2.0","method":"help","id":"a"},{"method":"getblock","params":["1",4],"id":null}]"#,
                r#"{"id":{"a":[1,2]},"method":"get\u0069nfo","method":"x","params":null}"#,
            ]),
        ),
        (
            "rpc-params",
            texts(&[
                "\0\0[]",
                "\x05\0[\"1...\",true,[\"a\",\"b\"],{\"a\":1.5},-2147483648,null]",
                "\x20\0[\"stream1\",\"key1\",false,10,-10]",
                "\x21\0[\"stream1\",{\"after\":null}]",
            ]),
        ),
        ("cli-words", texts(&["\x05\0stream1\n{\"json\":1}\n-1\n1.5\ntrue", "\x20\0[\"a\"]\n*\n", "\x50\0"])),
        (
            "json",
            texts(&[
                r#"{"a":[1,-2.5e3,"\u00e9\ud83d\ude00",null,true],"b":{}}"#,
                "[[[[]]]]",
                "1e400",
                r#"{"a":1,"a":2}"#,
            ]),
        ),
        (
            "json-path",
            texts(&[
                "$.a[0]['b'].*",
                "$..a[?@.b > 1.5 && !(@.c == 'text' || length(@.d) < 2)]",
                "$[-1, 0:9:2, *]",
                "$.b[?match(@.c, 't.*t')]",
                "$[?count(@..*) >= 2]",
            ]),
        ),
        ("condition", texts(&[r#"[{"path":"$.a","op":">=","value":1.5},{"path":"$..b[?@.c]","op":"exists"}]"#])),
        (
            "cursor",
            texts(&[
                "ASMUJinw6ov8AA",
                "ASMUJinw6ov8AQcAAAD_____AwAAAP__BQUFBQUFBQUJCQkJCQkJCQkJCQkJCQkJ_____w",
                "ASMUJinw6ov8Av__________BAAAAAEAAAABAQEBAQEBAQ",
            ]),
        ),
        ("cache-name", texts(&["hCTZz7Nt9Y", "11111111", "../params.dat", "jpXCZedGfVQ"])),
        ("notify-command", texts(&["echo %s '%m' \"%n\" \\% $(x)", "/bin/true"])),
    ]
}
