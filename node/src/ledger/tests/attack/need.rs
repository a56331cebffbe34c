//! What each operation needs: one row for each right, with the code of the rule that refuses where it is missing.

use rota_chain::asset::{AssetReference, AssetRules, IssueAsset, IssueMore, UpdateAsset};
use rota_chain::data::{Data, DataFormat};
use rota_chain::filter::{Approve, CreateFilter, CreateLibrary, FilterKind, LibraryUpdateMode, UpdateLibrary};
use rota_chain::hash::{ParamsHash, Txid};
use rota_chain::operation::{Genesis, Operation};
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};
use rota_chain::transaction::Output;
use rota_chain::upgrade::{CreateUpgrade, ParameterChange};
use rota_chain::variable::{CreateVariable, SetVariable};

use super::super::world::FIRST;
use super::draft::{grant, units};

/// The entities of the matrix chain, all restricted as far as they can be.
#[derive(Clone, Copy)]
pub struct Entities {
    pub stream: Txid,
    pub asset: Txid,
    pub variable: Txid,
    pub upgrade: Txid,
}

/// Rights of the streams, assets and variables; the custom ones are added to each.
const STREAM: &[Permission] = &[Permission::Write, Permission::Read, Permission::Activate, Permission::Admin];
const ASSET: &[Permission] =
    &[Permission::Issue, Permission::Send, Permission::Receive, Permission::Activate, Permission::Admin];
const VARIABLE: &[Permission] = &[Permission::Write, Permission::Activate, Permission::Admin];

fn with_custom(own: &[Permission]) -> Vec<Permission> {
    let custom = Permission::ALL.into_iter().filter(|right| right.number() >= Permission::Low1.number());
    own.iter().copied().chain(custom).collect()
}

impl Entities {
    /// Each with the rights that exist on it.
    pub fn rights(&self) -> [(Txid, Vec<Permission>); 3] {
        [(self.stream, with_custom(STREAM)), (self.asset, with_custom(ASSET)), (self.variable, with_custom(VARIABLE))]
    }
}

/// Rights of the whole chain.
pub fn of_chain() -> Vec<Permission> {
    Permission::ALL.into_iter().filter(|right| !matches!(right, Permission::Write | Permission::Read)).collect()
}

/// A right and those that give it too, as docs/protocol/permission.md lists them.
pub fn implying(entity: Option<Txid>, right: Permission) -> Vec<Permission> {
    use Permission::{Activate, Admin, Connect, Create, Issue, Mine, Receive, Send};
    let others: &[Permission] = match (entity, right) {
        (None, Send) => &[Issue, Create, Admin, Activate],
        (None, Receive) => &[Admin, Activate],
        (None, Connect) => &[Admin, Activate, Mine],
        (_, Activate) => &[Admin],
        _ => &[],
    };
    others.iter().copied().chain([right]).collect()
}

/// Who grants a right, as docs/protocol/permission.md lists them.
fn granted_by(right: Permission) -> Permission {
    use Permission::{Activate, Admin, Connect, Low1, Low2, Low3, Read, Receive, Send, Write};
    match right {
        Connect | Send | Receive | Write | Read | Low1 | Low2 | Low3 => Activate,
        _ => Admin,
    }
}

/// What a row puts into a transaction, given the friend's key and the right that a grant gives.
type Outputs = fn(&Entities, u8, Permission) -> Vec<Output>;

/// Who lacks the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The author, or the owner of what is spent.
    Actor,
    /// Who is paid.
    Friend,
}

/// One right that something needs.
#[derive(Clone, Debug)]
pub struct Need {
    pub name: String,
    pub who: Who,
    pub entity: Option<Txid>,
    pub right: Permission,
    pub code: &'static str,
    /// Whether it spends a coin of the asset, without an author.
    pub spends: bool,
    /// Its outputs; the second key is the friend's.
    pub outputs: Outputs,
    /// What a grant gives.
    pub granted: Permission,
}

/// Operations, one of each kind in the order of their numbers.
pub fn kinds(entities: &Entities) -> Vec<Operation> {
    let restriction = StreamRestriction::default();
    let change = ParameterChange { name: b"maximum-block-size".to_vec(), value: 9_000_000 };
    let item = Data { format: DataFormat::Raw, bytes: vec![1] };
    let rules = AssetRules { open: true, fungible: true, ..AssetRules::default() };
    vec![
        grant(FIRST, None, &[Permission::Send], BlockRange::ALWAYS).operations.remove(0),
        Operation::CreateStream(CreateStream { name: Vec::new(), restriction, salted: false, details: Vec::new() }),
        Operation::Publish(Publish {
            stream: entities.stream,
            keys: vec![b"key".to_vec()],
            data: ItemData::Onchain(item.clone()),
        }),
        Operation::Data(item),
        Operation::IssueAsset(IssueAsset { name: Vec::new(), multiple: 1, rules, quantity: 0, details: Vec::new() }),
        Operation::IssueMore(IssueMore { asset: entities.asset, token: None, quantity: 1, details: Vec::new() }),
        Operation::UpdateAsset(UpdateAsset { asset: entities.asset, open: true }),
        Operation::CreateVariable(CreateVariable { name: Vec::new(), restrict_write: true, value: b"1".to_vec() }),
        Operation::SetVariable(SetVariable { variable: entities.variable, value: b"2".to_vec() }),
        Operation::CreateUpgrade(CreateUpgrade { name: Vec::new(), start: 500, changes: vec![change] }),
        Operation::CreateFilter(CreateFilter {
            name: Vec::new(),
            kind: FilterKind::Stream,
            entities: Vec::new(),
            libraries: Vec::new(),
            code: Vec::new(),
        }),
        Operation::CreateLibrary(CreateLibrary {
            name: Vec::new(),
            update_mode: LibraryUpdateMode::None,
            code: Vec::new(),
        }),
        Operation::UpdateLibrary(UpdateLibrary { library: entities.stream, name: b"u".to_vec(), code: Vec::new() }),
        Operation::Approve(Approve {
            entity: entities.upgrade,
            stream: None,
            update: Vec::new(),
            approve: false,
            timestamp: 1,
        }),
        Operation::Genesis(Genesis { rules: ParamsHash([1; 32]), description: Vec::new() }),
    ]
}

/// The outputs of an operation that stands alone; more of an asset is paid to somebody.
fn alone(number: usize, entities: &Entities) -> Vec<Output> {
    let operation = kinds(entities).swap_remove(number);
    match operation {
        Operation::IssueMore(_) => {
            let paid = units(FIRST, AssetReference::Existing(entities.asset), 1);
            vec![Output { operations: vec![operation], ..paid }]
        }
        other => vec![Output::operation(other)],
    }
}

/// Why an operation is refused whoever asks.
pub enum Closed {
    /// By this code, and the peer that delivers it is accused or not.
    Always(&'static str, bool),
    /// It depends on rights.
    Never,
}

/// Whether an operation is open at all. A new one does not compile until it is decided here and in [`needs_of`].
pub fn closed(operation: &Operation) -> Closed {
    match operation {
        Operation::CreateFilter(_) | Operation::CreateLibrary(_) | Operation::UpdateLibrary(_) => {
            Closed::Always("tx-operation-off", false)
        }
        Operation::Genesis(_) => Closed::Always("tx-genesis-operation", true),
        Operation::Grant(_)
        | Operation::CreateStream(_)
        | Operation::Publish(_)
        | Operation::Data(_)
        | Operation::IssueAsset(_)
        | Operation::IssueMore(_)
        | Operation::UpdateAsset(_)
        | Operation::CreateVariable(_)
        | Operation::SetVariable(_)
        | Operation::CreateUpgrade(_)
        | Operation::Approve(_) => Closed::Never,
    }
}

/// The rights an operation needs. Create, issue, admin and activate give send too, so that it cannot be missing alone.
fn needs_of(operation: &Operation, entities: &Entities) -> Vec<Need> {
    use Permission::{Admin, Create, Issue, Send, Write};
    let need = |name: &str, entity, right, code, outputs: Outputs| Need {
        name: format!("{name} without {right:?}"),
        who: Who::Actor,
        entity,
        right,
        code,
        spends: false,
        outputs,
        granted: right,
    };
    let Entities { stream, asset, variable, .. } = *entities;
    match operation {
        Operation::Grant(_) => grants(entities),
        Operation::CreateStream(_) => vec![need("create stream", None, Create, "entity-create", |e, _, _| alone(1, e))],
        Operation::Publish(_) => vec![
            need("publish", Some(stream), Write, "stream-write", |e, _, _| alone(2, e)),
            need("publish", None, Send, "tx-send", |e, _, _| alone(2, e)),
        ],
        Operation::Data(_) => vec![need("data", None, Send, "tx-send", |e, _, _| alone(3, e))],
        Operation::IssueAsset(_) => vec![need("issue", None, Issue, "asset-issue", |e, _, _| alone(4, e))],
        Operation::IssueMore(_) => vec![
            need("issue more", Some(asset), Issue, "asset-issue-more", |e, _, _| alone(5, e)),
            need("issue more", None, Send, "tx-send", |e, _, _| alone(5, e)),
        ],
        Operation::UpdateAsset(_) => vec![
            need("update asset", Some(asset), Admin, "asset-update", |e, _, _| alone(6, e)),
            need("update asset", None, Send, "tx-send", |e, _, _| alone(6, e)),
        ],
        Operation::CreateVariable(_) => {
            vec![need("create variable", None, Create, "entity-create", |e, _, _| alone(7, e))]
        }
        Operation::SetVariable(_) => vec![
            need("set variable", Some(variable), Write, "variable-write", |e, _, _| alone(8, e)),
            need("set variable", None, Send, "tx-send", |e, _, _| alone(8, e)),
        ],
        Operation::CreateUpgrade(_) => vec![
            need("propose upgrade", None, Create, "entity-create", |e, _, _| alone(9, e)),
            need("propose upgrade", None, Admin, "upgrade-admin", |e, _, _| alone(9, e)),
        ],
        Operation::Approve(_) => vec![need("approve", None, Admin, "upgrade-vote", |e, _, _| alone(13, e))],
        Operation::CreateFilter(_)
        | Operation::CreateLibrary(_)
        | Operation::UpdateLibrary(_)
        | Operation::Genesis(_) => Vec::new(),
    }
}

/// Every right of the chain and of each entity is granted by somebody who may not.
fn grants(entities: &Entities) -> Vec<Need> {
    let need = |entity, granted, outputs: Outputs| Need {
        name: format!("grant {granted:?} of {entity:?} without {:?}", granted_by(granted)),
        who: Who::Actor,
        entity,
        right: granted_by(granted),
        code: "perm-denied",
        spends: false,
        outputs,
        granted,
    };
    let of_chain = of_chain()
        .into_iter()
        .map(|granted| need(None, granted, |_, to, granted| vec![grant(to, None, &[granted], BlockRange::ALWAYS)]));
    let outputs: [Outputs; 3] = [
        |e, to, granted| vec![grant(to, Some(e.stream), &[granted], BlockRange::ALWAYS)],
        |e, to, granted| vec![grant(to, Some(e.asset), &[granted], BlockRange::ALWAYS)],
        |e, to, granted| vec![grant(to, Some(e.variable), &[granted], BlockRange::ALWAYS)],
    ];
    let of_entities = entities.rights().into_iter().zip(outputs).flat_map(|((entity, rights), outputs)| {
        rights.into_iter().map(move |granted| need(Some(entity), granted, outputs))
    });
    let revoked = need(None, Permission::Send, |_, to, right| vec![grant(to, None, &[right], BlockRange::NEVER)]);
    of_chain.chain(of_entities).chain([revoked]).collect()
}

/// What moving coins needs, of who sends and of who gets them.
fn transfers(entities: &Entities) -> Vec<Need> {
    let pay = |who, entity, right, code| Need {
        name: format!("pay units, {who:?} without {right:?} of {entity:?}"),
        who,
        entity,
        right,
        code,
        spends: true,
        outputs: |e: &Entities, to, _| vec![units(to, AssetReference::Existing(e.asset), 1)],
        granted: right,
    };
    vec![
        pay(Who::Actor, None, Permission::Send, "tx-send"),
        pay(Who::Actor, Some(entities.asset), Permission::Send, "asset-send"),
        pay(Who::Friend, None, Permission::Receive, "tx-receive"),
        pay(Who::Friend, Some(entities.asset), Permission::Receive, "asset-receive"),
    ]
}

/// All rows.
pub fn needs(entities: &Entities) -> Vec<Need> {
    let of_operations = kinds(entities).into_iter().flat_map(|operation| needs_of(&operation, entities));
    of_operations.chain(transfers(entities)).collect()
}
