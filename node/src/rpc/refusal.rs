//! How the ledger's refusals are told to callers: the code that they branch on, the rule's own code, and the values that
//! the rule looked at.

use rota_api::error::{Code, RpcError};
use rota_chain::address::AddressScheme;
use rota_chain::lock::Lock;
use rota_consensus::rule::{
    AssetRule, CoinRule, EntityRule, Fact, PermissionRule, Rule, StreamRule, TransactionRule, UpgradeRule, VariableRule,
};
use serde_json::Value;

use super::resolve;
use crate::ledger::SubmitError;
use crate::pool::{PoolError, SHARE};

/// The fields of rules that say what is allowed; the others say what was got.
const ALLOWED: [&str; 6] = ["limit", "expected", "until", "median", "spacing", "computed"];

/// What a caller is told when the ledger does not take a transaction.
#[must_use]
pub fn of_submission(scheme: &AddressScheme, error: SubmitError) -> RpcError {
    match error {
        SubmitError::Pool(error) => of_pool(scheme, &error),
        SubmitError::Stopped(stopped) => RpcError::internal(stopped),
        SubmitError::Storage(cause) => RpcError::new(Code::Database, cause.to_string()).rule(cause.code()),
        SubmitError::Refused(cause) => RpcError::new(Code::VerifyRejected, cause),
    }
}

/// What a caller is told when the pool does not take a transaction.
fn of_pool(scheme: &AddressScheme, error: &PoolError) -> RpcError {
    match error {
        PoolError::Rule(rule) => of_rule(scheme, rule),
        PoolError::State(error) => resolve::state_error(error),
        PoolError::Known(txid) => {
            RpcError::new(Code::AlreadyInChain, error.to_string()).rule("pool-known").got(txid.to_string())
        }
        PoolError::Full { bytes, limit } => {
            RpcError::new(Code::VerifyRejected, error.to_string()).rule("pool-full").got(*bytes).allowed(*limit)
        }
        PoolError::AuthorFull { author, bytes, limit } => {
            let author = scheme.encode(author);
            let sentence = format!("{author} has {bytes} bytes in the pool, the limit is {limit} ({SHARE})");
            RpcError::new(Code::VerifyRejected, sentence).rule("pool-author-full").got(*bytes).allowed(*limit)
        }
        PoolError::Fee { fee, least } => {
            RpcError::new(Code::VerifyRejected, error.to_string()).rule("pool-fee").got(fee.0).allowed(least.0)
        }
    }
}

/// What a caller is told when a rule refuses a transaction: text and `data` quote the rule's stable code, and `data` has
/// the values that the rule looked at.
#[must_use]
pub fn of_rule(scheme: &AddressScheme, rule: &Rule) -> RpcError {
    let code = match rule {
        Rule::Entity(EntityRule::NameTaken { name }) => {
            return RpcError::name_taken().rule(rule.code()).got(name.as_str());
        }
        Rule::Transaction(TransactionRule::Send { .. } | TransactionRule::Receive { .. })
        | Rule::Permission(PermissionRule::Denied { .. })
        | Rule::Entity(EntityRule::Create)
        | Rule::Stream(StreamRule::Write { .. })
        | Rule::Asset(
            AssetRule::Issue | AssetRule::IssueMore { .. } | AssetRule::Update { .. } | AssetRule::Send { .. },
        )
        | Rule::Variable(VariableRule::Write { .. })
        | Rule::Upgrade(UpgradeRule::Admin | UpgradeRule::Vote { .. }) => Code::InsufficientPermissions,
        Rule::Permission(PermissionRule::MineMultisig)
        | Rule::Stream(StreamRule::Onchain | StreamRule::Offchain)
        | Rule::Asset(
            AssetRule::Closed { .. }
            | AssetRule::Fixed { .. }
            | AssetRule::Fungible { .. }
            | AssetRule::TokenTaken { .. }
            | AssetRule::IssueLimit { .. }
            | AssetRule::TotalLimit { .. }
            | AssetRule::Receive { .. },
        )
        | Rule::Upgrade(UpgradeRule::Approved { .. }) => Code::NotAllowed,
        Rule::Permission(PermissionRule::NoEntity { .. })
        | Rule::Stream(StreamRule::Missing { .. })
        | Rule::Asset(AssetRule::Missing { .. })
        | Rule::Variable(VariableRule::Missing { .. })
        | Rule::Upgrade(UpgradeRule::Missing { .. }) => Code::EntityNotFound,
        Rule::Transaction(TransactionRule::Known { .. }) | Rule::Coin(CoinRule::Missing { .. }) => Code::AlreadyInChain,
        _ => Code::VerifyRejected,
    };
    let address = |lock: &Lock| scheme.encode(lock);
    let error = RpcError::new(code, rule.told(&address)).rule(rule.code());
    let value = |fact: &Fact| match fact {
        Fact::Number(number) => Value::from(*number),
        fact => Value::from(fact.text(&address)),
    };
    let (allowed, got): (Vec<_>, Vec<_>) = rule.facts().into_iter().partition(|(name, _)| ALLOWED.contains(name));
    let error = match got.as_slice() {
        [] => error,
        facts => error.got_parts(facts.iter().map(|(name, fact)| ((*name).to_owned(), value(fact))).collect()),
    };
    match allowed.first() {
        Some((_, fact)) => error.allowed(value(fact)),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use rota_chain::amount::Height;
    use rota_chain::hash::Txid;
    use rota_chain::lock::KeyHash;
    use rota_chain::permission::Permission;

    use super::*;

    fn scheme() -> AddressScheme {
        AddressScheme {
            pubkeyhash_version: vec![0],
            scripthash_version: vec![5],
            private_key_version: vec![128],
            checksum: [0; 4],
        }
    }

    #[test]
    fn refusals_keep_the_codes_that_callers_branch_on() {
        let lock = Lock::Key(KeyHash([1; 20]));
        let id = Txid([2; 32]);
        let cases = [
            (Rule::Entity(EntityRule::NameTaken { name: "a".to_owned() }), Code::DuplicateName),
            (Rule::Entity(EntityRule::Create), Code::InsufficientPermissions),
            (Rule::Transaction(TransactionRule::Send { address: lock }), Code::InsufficientPermissions),
            (Rule::Permission(PermissionRule::Denied { permission: Permission::Mine }), Code::InsufficientPermissions),
            (Rule::Stream(StreamRule::Write { stream: id }), Code::InsufficientPermissions),
            (Rule::Stream(StreamRule::Onchain), Code::NotAllowed),
            (Rule::Stream(StreamRule::Missing { stream: id }), Code::EntityNotFound),
            (Rule::Transaction(TransactionRule::Known { txid: id, height: Height(1) }), Code::AlreadyInChain),
            (Rule::Transaction(TransactionRule::NoOutputs), Code::VerifyRejected),
        ];
        for (rule, code) in cases {
            assert_eq!(of_rule(&scheme(), &rule).code, code, "{rule}");
        }
        let text = of_rule(&scheme(), &Rule::Transaction(TransactionRule::NoOutputs)).message;
        assert!(text.starts_with("tx-no-outputs: "), "{text}");
    }

    #[test]
    fn a_refusal_tells_values_apart_from_limits_and_writes_addresses() {
        let size = Rule::Transaction(TransactionRule::Size { size: 70_000, limit: 65_536 });
        let data = of_rule(&scheme(), &size).data();
        assert_eq!((data.rule.as_ref(), data.allowed), ("tx-size", Some(Value::from(65_536))));
        assert_eq!(data.got, Some(serde_json::json!({ "size": 70_000 })));

        let lock = Lock::Key(KeyHash([1; 20]));
        let send = of_rule(&scheme(), &Rule::Transaction(TransactionRule::Send { address: lock }));
        let address = scheme().encode(&lock);
        assert_eq!(send.message, format!("tx-send: {address} has no send permission"));
        assert_eq!(send.data().got, Some(serde_json::json!({ "address": address })));
    }
}
