//! Which methods a caller may call: groups of methods by what they can do, and lists of methods and groups.

use super::{find, methods};
use std::collections::HashSet;
use std::str::FromStr;

/// Answers a question: changes neither chain nor wallet nor node, and shows no private key.
const READ: &[&str] = &[
    "createmultisig",
    "decodehexubjson",
    "decodelicenseconfirmation",
    "decodelicenserequest",
    "decoderawexchange",
    "decoderawtransaction",
    "decodescript",
    "encodehexubjson",
    "estimatefee",
    "estimatepriority",
    "explorergetrawtransaction",
    "explorerlistaddressassets",
    "explorerlistaddressassettransactions",
    "explorerlistaddresses",
    "explorerlistaddressstreams",
    "explorerlistaddresstransactions",
    "explorerlistassetaddresses",
    "explorerlistblocktransactions",
    "explorerlistredeemtransactions",
    "explorerlisttransactions",
    "getaccount",
    "getaddednodeinfo",
    "getaddressbalances",
    "getaddresses",
    "getaddressesbyaccount",
    "getaddresstransaction",
    "getassetbalances",
    "getassetinfo",
    "getassettransaction",
    "getbalance",
    "getbestblockhash",
    "getblock",
    "getblockchaininfo",
    "getblockchainparams",
    "getblockcount",
    "getblockhash",
    "getblocktemplate",
    "getchaintips",
    "getchaintotals",
    "getchunkqueueinfo",
    "getchunkqueuetotals",
    "getconnectioncount",
    "getdatarefdata",
    "getdifficulty",
    "getfiltercode",
    "getgenerate",
    "gethashespersec",
    "gethealthcheck",
    "getinfo",
    "getinitstatus",
    "getlastblockinfo",
    "getlibrarycode",
    "getlicenseconfirmation",
    "getmempoolinfo",
    "getmininginfo",
    "getmultibalances",
    "getnettotals",
    "getnetworkhashps",
    "getnetworkinfo",
    "getpeerinfo",
    "getrawmempool",
    "getrawtransaction",
    "getreceivedbyaccount",
    "getreceivedbyaddress",
    "getruntimeparams",
    "getstreaminfo",
    "getstreamitem",
    "getstreamkeysummary",
    "getstreampublishersummary",
    "gettokenbalances",
    "gettokeninfo",
    "gettotalbalances",
    "gettransaction",
    "gettxout",
    "gettxoutdata",
    "gettxoutsetinfo",
    "getunconfirmedbalance",
    "getvariablehistory",
    "getvariableinfo",
    "getvariablevalue",
    "getwalletinfo",
    "getwallettransaction",
    "help",
    "listaccounts",
    "listaddresses",
    "listaddressgroupings",
    "listaddresstransactions",
    "listassetissues",
    "listassets",
    "listassettransactions",
    "listblocks",
    "listfeeds",
    "listlibraries",
    "listlicenses",
    "listlockunspent",
    "listminers",
    "listpermissions",
    "listreceivedbyaccount",
    "listreceivedbyaddress",
    "listsinceblock",
    "liststorednodes",
    "liststreamblockitems",
    "liststreamfilters",
    "liststreamitems",
    "liststreamkeyitems",
    "liststreamkeys",
    "liststreampublisheritems",
    "liststreampublishers",
    "liststreamqueryitems",
    "liststreams",
    "liststreamtxitems",
    "listtransactions",
    "listtxfilters",
    "listunspent",
    "listupgrades",
    "listvariables",
    "listwallettransactions",
    "rpc.discover",
    "unwatchblocks",
    "unwatchstreamitems",
    "unwatchtransactions",
    "validateaddress",
    "verifymessage",
    "verifypermission",
    "watchblocks",
    "watchstreamitems",
    "watchtransactions",
];

/// What an application does with the wallet: any transaction its keys can sign, grants too; addresses, subscriptions, data.
const WRITE: &[&str] = &[
    "addlibraryupdate",
    "addlibraryupdatefrom",
    "addmultisigaddress",
    "appendbinarycache",
    "appendrawchange",
    "appendrawdata",
    "appendrawexchange",
    "appendrawtransaction",
    "approvefrom",
    "combineunspent",
    "completerawexchange",
    "create",
    "createbinarycache",
    "createfrom",
    "createrawexchange",
    "createrawsendfrom",
    "createrawtransaction",
    "datareftobinarycache",
    "deletebinarycache",
    "disablerawtransaction",
    "getaccountaddress",
    "getlicenserequest",
    "getnewaddress",
    "getrawchangeaddress",
    "grant",
    "grantfrom",
    "grantwithdata",
    "grantwithdatafrom",
    "importaddress",
    "issue",
    "issuefrom",
    "issuemore",
    "issuemorefrom",
    "issuetoken",
    "issuetokenfrom",
    "lockunspent",
    "move",
    "preparelockunspent",
    "preparelockunspentfrom",
    "publish",
    "publishfrom",
    "publishmulti",
    "publishmultifrom",
    "resendwallettransactions",
    "retrievestreamitems",
    "revoke",
    "revokefrom",
    "runstreamfilter",
    "runtxfilter",
    "send",
    "sendasset",
    "sendassetfrom",
    "sendfrom",
    "sendfromaccount",
    "sendmany",
    "sendrawtransaction",
    "sendwithdata",
    "sendwithdatafrom",
    "setaccount",
    "setvariablevalue",
    "setvariablevaluefrom",
    "signmessage",
    "signrawtransaction",
    "storechunk",
    "subscribe",
    "testlibrary",
    "teststreamfilter",
    "testtxfilter",
    "trimsubscribe",
    "txouttobinarycache",
    "unsubscribe",
    "update",
    "updatefrom",
];

/// Shows, takes and locks private keys, and writes or reads wallet files on the node's machine.
const KEYS: &[&str] = &[
    "backupwallet",
    "createkeypairs",
    "dumpprivkey",
    "dumpwallet",
    "encryptwallet",
    "importprivkey",
    "importwallet",
    "keypoolrefill",
    "walletlock",
    "walletpassphrase",
    "walletpassphrasechange",
];

/// Stops, sets and diagnoses the node, and throws away what cannot be had again.
const CONTROL: &[&str] = &[
    "activatelicense",
    "activatelicensefrom",
    "addnode",
    "addtofeed",
    "applycommands",
    "clearmempool",
    "createfeed",
    "debug",
    "deletefeed",
    "getdiagnostics",
    "getstatehash",
    "importlicenserequest",
    "invalidateblock",
    "pause",
    "pausefeed",
    "ping",
    "prioritisetransaction",
    "purgefeed",
    "purgepublisheditems",
    "purgestreamitems",
    "reconsiderblock",
    "resume",
    "resumefeed",
    "setgenerate",
    "setlastblock",
    "setmocktime",
    "setruntimeparam",
    "settxfee",
    "stop",
    "storenode",
    "submitblock",
    "takelicense",
    "transferlicense",
    "updatefeed",
    "verifychain",
];

/// The sign before the name of a group, so that it is never a method's.
const SIGN: char = '@';

/// The word for all methods.
const ALL: &str = "@all";

/// Methods that belong together by what they can do. Each method that can be called is in exactly one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Questions.
    Read,
    /// What an application does with the wallet.
    Write,
    /// Private keys and wallet files.
    Keys,
    /// The node itself.
    Control,
}

impl Group {
    /// All groups.
    pub const ALL: [Group; 4] = [Group::Read, Group::Write, Group::Keys, Group::Control];

    /// Its name in a list of methods.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "@read",
            Self::Write => "@write",
            Self::Keys => "@keys",
            Self::Control => "@control",
        }
    }

    /// What it can do, in one line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Read => "questions: nothing changes, and no private key is shown",
            Self::Write => "what an application does with the wallet: any transaction its keys can sign",
            Self::Keys => "private keys and passphrases, and files with them on the node's machine",
            Self::Control => "the node itself: stop, settings, peers, diagnosis, purging",
        }
    }

    /// Its methods; their old names belong to it too.
    #[must_use]
    pub const fn members(self) -> &'static [&'static str] {
        match self {
            Self::Read => READ,
            Self::Write => WRITE,
            Self::Keys => KEYS,
            Self::Control => CONTROL,
        }
    }
}

/// A word that is neither a method nor a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word} is neither a method nor a group{}", .nearest.as_ref().map_or(String::new(), |near| format!(", did you mean {near}?")))]
pub struct UnknownMethod {
    /// The word.
    pub word: String,
    /// The method or group that looks most like it.
    pub nearest: Option<&'static str>,
}

/// Methods that may be called. `help` always may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodList {
    /// None for all.
    names: Option<HashSet<String>>,
}

impl MethodList {
    /// Every method.
    pub const ALL: MethodList = MethodList { names: None };

    /// Reads methods and groups separated by commas, and gives the words that are neither; these are in the list too, as
    /// a configuration may name methods of another version.
    #[must_use]
    pub fn read(text: &str) -> (Self, Vec<UnknownMethod>) {
        let (mut names, mut unknown) = (HashSet::new(), Vec::new());
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            if word == ALL {
                return (Self::ALL, unknown);
            }
            if let Some(group) = Group::ALL.into_iter().find(|group| group.name() == word) {
                let belongs = |name: &str| group.members().contains(&name);
                let members = methods().map(|(_, method)| method).filter(|method| belongs(method.target().name));
                names.extend(members.map(|method| method.name.to_owned()));
                continue;
            }
            if find(word).is_none() {
                unknown.push(UnknownMethod { word: word.to_owned(), nearest: nearest(word) });
            }
            names.insert(word.to_owned());
        }
        (Self { names: Some(names) }, unknown)
    }

    /// Whether a method may be called.
    #[must_use]
    pub fn admits(&self, name: &str) -> bool {
        name == "help" || self.names.as_ref().is_none_or(|names| names.contains(name))
    }
}

impl FromStr for MethodList {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        let (list, unknown) = Self::read(text);
        unknown.into_iter().next().map_or(Ok(list), Err)
    }
}

fn nearest(word: &str) -> Option<&'static str> {
    let groups = Group::ALL.map(Group::name).into_iter().chain([ALL]).filter(|_| word.starts_with(SIGN));
    let names = methods().map(|(_, method)| method.name).filter(|_| !word.starts_with(SIGN));
    rota_params::nearest::nearest(word, groups.chain(names))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{Group, MethodList};
    use crate::method::{Family, find, methods};

    fn list(text: &str) -> MethodList {
        text.parse().unwrap()
    }

    #[test]
    fn every_method_that_can_be_called_is_in_exactly_one_group() {
        for (family, method) in methods().filter(|(_, method)| method.alias_of.is_none()) {
            let groups = Group::ALL.into_iter().filter(|group| group.members().contains(&method.name)).count();
            assert_eq!(groups, usize::from(family != Family::FilterCallback), "{}", method.name);
        }
        for name in Group::ALL.into_iter().flat_map(Group::members) {
            assert!(find(name).is_some_and(|method| method.alias_of.is_none()), "{name}");
        }
    }

    #[test]
    fn questions_alone_can_be_asked_by_who_may_only_read() {
        let read = list("@read");
        for name in ["getinfo", "liststreamitems", "watchblocks", "unwatchblocks", "rpc.discover", "help", "getbalance"]
        {
            assert!(read.admits(name), "{name}");
        }
        let refused =
            ["publish", "grant", "sendtoaddress", "dumpprivkey", "dumpwallet", "stop", "subscribe", "getnewaddress"];
        for name in refused {
            assert!(!read.admits(name), "{name}");
        }
        assert!(list("@write").admits("sendtoaddress"), "old names belong to the group of the new ones");
        assert!(!list("@read,@write,@control").admits("backupwallet"));
    }

    #[test]
    fn a_list_holds_what_it_names_and_help() {
        let few = list(" getinfo, @keys ,");
        assert!(few.admits("getinfo") && few.admits("dumpprivkey") && few.admits("help"));
        assert!(!few.admits("getblockcount") && !few.admits("nosuch"));
        assert!(list("@all").admits("stop") && MethodList::ALL.admits("stop"));
        assert!(list("").admits("help") && !list("").admits("getinfo"), "an empty list is no list of everything");
    }

    #[test]
    fn a_word_that_is_nothing_is_told_with_what_it_may_mean() {
        let told = |text: &str| text.parse::<MethodList>().unwrap_err().to_string();
        assert_eq!(told("getinfo,getinfos"), "getinfos is neither a method nor a group, did you mean getinfo?");
        assert_eq!(told("@reads"), "@reads is neither a method nor a group, did you mean @read?");
        assert_eq!(told("read"), "read is neither a method nor a group");
        let (list, unknown) = MethodList::read("ofanotherversion,getinfo");
        assert_eq!((unknown.len(), list.admits("ofanotherversion"), list.admits("getinfo")), (1, true, true));
    }
}
