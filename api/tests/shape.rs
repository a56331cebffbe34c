//! Answers have their members in the order that was recorded from the original: some clients compare texts.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rota_api::{address, asset, blockchain, control, mining, network, permission, raw, stream, variable, wallet};
use serde::Serialize;
use serde_json::{Value, json};

/// Fails unless the members of an answer stand in the recorded order. Each member the answer has must be in the
/// recording; what may be absent may be missing.
fn same_order(answer: &impl Serialize, recorded: &str) {
    let Value::Object(members) = serde_json::to_value(answer).unwrap() else { unreachable!("an object") };
    let mut rest = recorded.split(',');
    for name in members.keys() {
        assert!(rest.any(|known| known == name), "{name} is not in its place in {recorded}");
    }
}

/// Fails unless all recorded members are there, in order.
fn same_members(answer: &impl Serialize, recorded: &str) {
    same_order(answer, recorded);
    let members = serde_json::to_value(answer).unwrap();
    assert_eq!(members.as_object().unwrap().len(), recorded.split(',').count(), "{recorded}");
}

#[test]
fn the_node_describes_itself_in_the_recorded_order() {
    same_members(
        &control::Info::default(),
        "version,nodeversion,edition,protocolversion,chainname,description,protocol,port,setupblocks,nodeaddress,\
         burnaddress,incomingpaused,miningpaused,offchainpaused,walletversion,balance,walletdbversion,reindex,blocks,\
         chainrewards,assets,streams,timeoffset,connections,proxy,difficulty,testnet,keypoololdest,keypoolsize,\
         paytxfee,relayfee,errors",
    );
    same_members(
        &control::ChainTotals::default(),
        "blocks,rewards,addresses,transactions,assets,streams,filters,variables,libraries,upgrades,licenses",
    );
    same_members(&control::InitStatus::default(), "version,nodeversion,initialized");
    same_members(
        &control::RuntimeParams::default(),
        "port,reindex,rescan,txindex,autocombineminconf,autocombinemininputs,autocombinemaxinputs,autocombinedelay,\
         autocombinesuspend,autosubscribe,handshakelocal,bantx,lockblock,hideknownopdrops,maxshowndata,\
         maxqueryscanitems,v1apicompatible,miningrequirespeers,mineemptyrounds,miningturnover,lockadminminerounds,\
         gen,genproclimit,lockinlinemetadata,acceptfiltertimeout,sendfiltertimeout",
    );
}

#[test]
fn peers_and_blocks_are_described_in_the_recorded_order() {
    same_order(
        &network::PeerInfo { addrlocal: Some(String::new()), ..network::PeerInfo::default() },
        "id,addr,addrlocal,services,lastsend,lastrecv,bytessent,bytesrecv,conntime,pingtime,version,subver,\
         handshakelocal,handshake,inbound,encrypted,startingheight,banscore,synced_headers,synced_blocks,inflight,\
         whitelisted",
    );
    same_members(
        &network::NetworkInfo::default(),
        "version,subversion,protocolversion,localservices,timeoffset,connections,networks,relayfee,localaddresses",
    );
    same_members(
        &blockchain::BlockchainInfo::default(),
        "chain,chainname,description,protocol,setupblocks,reindex,blocks,headers,bestblockhash,difficulty,\
         verificationprogress,chainwork,chainrewards",
    );
    same_members(&blockchain::LastBlockInfo::default(), "hash,height,time,txcount,miner");
    let text = || Some(String::new());
    same_members(
        &blockchain::BlockVerbose { previousblockhash: text(), nextblockhash: text(), ..Default::default() },
        "hash,miner,confirmations,size,height,version,merkleroot,tx,time,nonce,bits,difficulty,chainwork,\
         previousblockhash,nextblockhash",
    );
    same_members(&blockchain::BlockEntry::default(), "hash,miner,confirmations,height,time,txcount");
    same_members(
        &mining::MinerEntry { startblock: Some(0), endblock: Some(1), ..Default::default() },
        "address,islocal,permitted,diversitywaitblocks,startblock,endblock,lastmined,chainstate,localstate",
    );
    same_members(
        &mining::MiningInfo::default(),
        "blocks,currentblocksize,currentblocktx,difficulty,errors,genproclimit,networkhashps,pooledtx,testnet,chain,\
         generate,hashespersec",
    );
}

#[test]
fn streams_and_items_are_described_in_the_recorded_order() {
    let text = || Some(String::new());
    let item = stream::StreamItem {
        blockhash: text(),
        blockheight: Some(8),
        blockindex: Some(1),
        blocktime: Some(1),
        vout: Some(0),
        valid: Some(true),
        time: Some(1),
        timereceived: Some(1),
        ..Default::default()
    };
    same_members(
        &item,
        "publishers,keys,offchain,available,data,confirmations,blockhash,blockheight,blockindex,blocktime,txid,vout,\
         valid,time,timereceived",
    );
    let entry = stream::StreamEntry {
        name: text(),
        salted: Some(false),
        creators: Some(Vec::new()),
        filters: Some(Vec::new()),
        subscribed: Some(true),
        retrieve: Some(true),
        canretrieve: Some(true),
        indexes: Some(stream::StreamIndexes::default()),
        synchronized: Some(true),
        items: Some(0),
        confirmed: Some(0),
        keys: Some(0),
        publishers: Some(0),
        ..Default::default()
    };
    same_members(
        &entry,
        "name,createtxid,streamref,restrict,salted,details,creators,filters,subscribed,retrieve,canretrieve,indexes,\
         synchronized,items,confirmed,keys,publishers",
    );
    same_members(&stream::StreamRestrict::default(), "write,read,onchain,offchain");
    same_members(&stream::StreamIndexes::default(), "items,keys,publishers,items-local,keys-local,publishers-local");
    let key = stream::KeyEntry { key: text(), first: Some(item.clone()), last: Some(item), ..Default::default() };
    same_members(&key, "key,items,confirmed,first,last");
}

#[test]
fn addresses_permissions_assets_and_transactions_are_described_in_the_recorded_order() {
    let text = || Some(String::new());
    let detail = address::AddressDetail {
        iswatchonly: Some(false),
        isscript: Some(false),
        pubkey: text(),
        iscompressed: Some(true),
        account: text(),
        synchronized: Some(true),
        startblock: Some(3),
        ..Default::default()
    };
    same_members(&detail, "address,ismine,iswatchonly,isscript,pubkey,iscompressed,account,synchronized,startblock");
    let entry =
        permission::PermissionEntry { admins: Some(Vec::new()), pending: Some(Vec::new()), ..Default::default() };
    same_members(&entry, "address,for,type,startblock,endblock,admins,pending");
    same_members(&permission::PendingVote::default(), "startblock,endblock,admins,required");
    same_order(
        &asset::AssetEntry { subscribed: Some(true), issues: Some(Vec::new()), ..Default::default() },
        "name,issuetxid,assetref,multiple,units,open,restrict,fungible,canopen,canclose,totallimit,issuelimit,details,\
         issuecount,issueqty,issueraw,subscribed,synchronized,transactions,confirmed,issues",
    );
    same_members(
        &asset::AssetIssue {
            token: Some(Value::Null),
            details: Some(json!({})),
            issuers: Some(Vec::new()),
            ..Default::default()
        },
        "txid,qty,raw,token,details,issuers",
    );
    same_members(
        &variable::VariableEntry {
            name: text(),
            lasttxid: text(),
            lastvout: Some(0),
            ..variable::VariableEntry::default()
        },
        "name,createtxid,variableref,historylen,value,lastwriters,lasttxid,lastvout",
    );
    let place = variable::VariablePlace {
        blockhash: text(),
        blockindex: Some(1),
        blocktime: Some(2),
        ..variable::VariablePlace::default()
    };
    same_members(
        &variable::VariableValue { place: Some(place), ..variable::VariableValue::default() },
        "value,writers,txid,vout,confirmations,blockhash,blockindex,blocktime",
    );
    same_members(&variable::VariableValue::default(), "value,writers");
    same_order(
        &wallet::WalletTransaction { comment: text(), to: text(), ..Default::default() },
        "balance,myaddresses,addresses,permissions,items,data,confirmations,blockhash,blockheight,blockindex,blocktime,\
         txid,valid,time,timereceived,comment,to",
    );
    same_order(
        &raw::TxVerbose { hex: text(), create: Some(json!({})), ..Default::default() },
        "hex,txid,version,locktime,vin,vout,create,blockhash,confirmations,time,blocktime",
    );
    same_members(
        &wallet::WalletInfo::default(),
        "walletversion,balance,walletdbversion,txcount,utxocount,keypoololdest,keypoolsize",
    );
}

#[test]
fn an_entity_is_referred_to_by_kind_name_and_reference() {
    let entity = permission::entity_value("asset", Some("club"), Some("4-265-9933"));
    assert_eq!(entity.to_string(), r#"{"type":"asset","name":"club","assetref":"4-265-9933"}"#);
    assert_eq!(permission::entity_value("stream", None, None).to_string(), r#"{"type":"stream","streamref":null}"#);
}

#[test]
fn reals_in_answers_are_printed_like_all_reals() {
    let info = control::Info { difficulty: 1.0 / 16_777_216.0, balance: 2.0, ..Default::default() };
    let text = serde_json::to_string(&info).unwrap();
    assert!(text.contains(r#""difficulty":5.96046447753906e-8,"#), "{text}");
    assert!(text.contains(r#""balance":2,"#), "{text}");
}
