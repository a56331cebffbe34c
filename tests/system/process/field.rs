//! Fields of answers that strict clients fail without: each method's full list, held against a running chain. A field
//! that is missing breaks a client; one more than listed breaks none.

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::view::text;
use crate::harness::wait::{check, until};

/// Methods without parameters, and what their answers hold.
const PLAIN: &[(&str, &str)] = &[
    (
        "getinfo",
        "version nodeversion edition protocolversion chainname description protocol port setupblocks nodeaddress \
         burnaddress incomingpaused miningpaused offchainpaused walletversion balance walletdbversion reindex blocks \
         chainrewards assets streams addresses transactions peers timeoffset connections proxy difficulty testnet \
         keypoololdest keypoolsize paytxfee relayfee errors",
    ),
    (
        "getblockchaininfo",
        "chain chainname description protocol setupblocks reindex blocks headers bestblockhash difficulty \
         verificationprogress chainwork chainrewards",
    ),
    ("getmempoolinfo", "size bytes"),
    ("gettxoutsetinfo", "height bestblock transactions txouts bytes_serialized hash_serialized total_amount"),
    ("getinitstatus", "version nodeversion initialized"),
    (
        "getruntimeparams",
        "port reindex rescan txindex autocombineminconf autocombinemininputs autocombinemaxinputs autocombinedelay \
         autocombinesuspend autosubscribe handshakelocal bantx lockblock hideknownopdrops maxshowndata \
         maxqueryscanitems v1apicompatible miningrequirespeers mineemptyrounds miningturnover lockadminminerounds gen \
         genproclimit lockinlinemetadata acceptfiltertimeout sendfiltertimeout",
    ),
    (
        "getmininginfo",
        "blocks currentblocksize currentblocktx difficulty errors genproclimit networkhashps pooledtx testnet chain \
         generate hashespersec",
    ),
    ("getnettotals", "totalbytesrecv totalbytessent timemillis"),
    (
        "getnetworkinfo",
        "version subversion protocolversion localservices timeoffset connections networks relayfee localaddresses",
    ),
    ("getwalletinfo", "walletversion balance walletdbversion txcount utxocount keypoololdest keypoolsize"),
    ("getlastblockinfo", "hash height time txcount miner"),
    ("getchunkqueueinfo", "chunks bytes"),
    ("getchunkqueuetotals", "chunks bytes"),
    (
        "getchaintotals",
        "blocks rewards addresses transactions assets streams filters variables libraries upgrades licenses",
    ),
];

const BLOCK: &str = "hash miner confirmations size height version merkleroot tx time nonce bits difficulty chainwork \
                     previousblockhash nextblockhash";
const TRANSACTION: &str = "hex txid version locktime vin vout";
const ADDRESS: &str = "address ismine iswatchonly isscript pubkey iscompressed account synchronized";
const STREAM: &str = "name createtxid streamref restrict salted details creators filters subscribed retrieve canretrieve \
                      indexes synchronized items confirmed keys publishers";
const ASSET: &str = "name issuetxid assetref multiple units open restrict fungible canopen canclose totallimit issuelimit \
                     details issues issuecount issueqty issueraw subscribed";
const QUANTITY: &str = "assetref qty";
const PEER: &str = "id addr services lastsend lastrecv bytessent bytesrecv conntime pingtime version subver handshakelocal \
                    handshake inbound encrypted startingheight banscore synced_headers synced_blocks inflight whitelisted";
const UNSPENT: &str =
    "txid vout address account scriptPubKey amount confirmations cansend spendable assets permissions";

#[track_caller]
fn holds(name: &str, answer: &Value, fields: &str) {
    let missing: Vec<&str> = fields.split_whitespace().filter(|field| answer.get(field).is_none()).collect();
    assert!(missing.is_empty(), "{name} lacks {missing:?}: {answer}");
}

/// Each entry of a list, of which there is at least one.
#[track_caller]
fn all_hold(name: &str, answer: &Value, fields: &str) {
    let entries = answer.as_array().unwrap_or_else(|| panic!("{name} is no list: {answer}"));
    assert!(!entries.is_empty(), "{name} is empty");
    entries.iter().for_each(|entry| holds(name, entry, fields));
}

/// A chain with native currency whose first node serves explorers, and what it knows of.
async fn furnished() -> (Chain, String) {
    let plan = Chain::create("c").param("initial-block-reward", "500000000").param("minimum-relay-fee", "1000");
    let chain = plan.option("-explorersupport=2").node("a").node("b").start().await;
    let a = chain.node("a");
    let address = a.address().await;
    a.wait_height(6).await;
    let issued = text(&a.call("issue", json!([address, "gold", 1000, 0.01])).await);
    a.open_stream("s", false).await;
    a.call("subscribe", json!(["s"])).await;
    let sent = a.call("send", json!([address, {"": 1, "data": {"text": "beside"}}])).await;
    for txid in [&issued, &text(&sent)] {
        a.wait_confirmed(txid).await;
    }
    (chain, address)
}

async fn blocks_hold_their_fields(a: &Node) {
    let hash = a.hash_at(3).await;
    for verbosity in 1..=4 {
        let block = a.call("getblock", json!([hash, verbosity])).await;
        holds("getblock", &block, BLOCK);
        match verbosity {
            1 => assert!(block["tx"][0].is_string(), "{block}"),
            2 => all_hold("getblock 2", &block["tx"], "txid hex"),
            3 => all_hold("getblock 3", &block["tx"], "txid version locktime hex"),
            _ => all_hold("getblock 4", &block["tx"], TRANSACTION),
        }
    }
    assert!(a.call("getblock", json!([hash, 0])).await.is_string());
    let short = "hash miner confirmations height time txcount";
    all_hold("listblocks", &a.call("listblocks", json!(["2-4"])).await, short);
    let long = "size version merkleroot nonce bits difficulty chainwork previousblockhash nextblockhash";
    all_hold("listblocks", &a.call("listblocks", json!(["2-4", true])).await, &format!("{short} {long}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_hold_every_field_that_strict_clients_read() {
    let (chain, address) = furnished().await;
    let a = chain.node("a");
    for (method, fields) in PLAIN {
        holds(method, &a.call(method, json!([])).await, fields);
    }
    assert_eq!(a.call("getinfo", json!([])).await["relayfee"], json!(0.00001));
    let queue = a.call("getchunkqueueinfo", json!([])).await;
    let totals = a.call("getchunkqueuetotals", json!([])).await;
    for part in ["chunks", "bytes"] {
        holds("getchunkqueueinfo", &queue[part], "waiting querying retrieving");
        holds(
            "getchunkqueuetotals",
            &totals[part],
            "queries responded unresponded requests delivered undelivered baddelivered",
        );
    }
    holds("validateaddress", &a.call("validateaddress", json!([address])).await, &format!("isvalid {ADDRESS}"));
    assert_eq!(a.call("validateaddress", json!(["no address"])).await, json!({"isvalid": false}));
    all_hold("getaddresses", &a.call("getaddresses", json!([true])).await, ADDRESS);
    blocks_hold_their_fields(a).await;
    until("a peer that was pinged", async || {
        let peers = a.call("getpeerinfo", json!([])).await;
        check(peers[0].get("pingtime").is_some(), peers)
    })
    .await;
    all_hold("getpeerinfo", &a.call("getpeerinfo", json!([])).await, PEER);
    let names = a.call("getblockchainparams", json!([])).await;
    let compact = a.call("getblockchainparams", json!([false])).await;
    holds("getblockchainparams", &names, "chain-name target-block-time genesis-hash chain-params-hash");
    holds("getblockchainparams", &compact, "chainname targetblocktime genesishash chainparamshash");
    assert_eq!(names.as_object().map(|map| map.len()), compact.as_object().map(|map| map.len()));
    all_hold("liststreams", &a.call("liststreams", json!(["s", true])).await, STREAM);
    all_hold("listassets", &a.call("listassets", json!(["*", true])).await, ASSET);
    let rights = a.call("listpermissions", json!(["*", "*", true])).await;
    all_hold("listpermissions", &rights, "address for type startblock endblock admins pending");
    let coins = a.call("listunspent", json!([0])).await;
    all_hold("listunspent", &coins, UNSPENT);
    let with_data: Vec<&Value> = coins.as_array().unwrap().iter().filter(|coin| coin.get("data").is_some()).collect();
    assert!(matches!(with_data.as_slice(), [coin] if coin["data"] == json!([{"text": "beside"}])), "{coins}");
    all_hold("getaddressbalances", &a.call("getaddressbalances", json!([address])).await, QUANTITY);
    let multi = a.call("getmultibalances", json!([])).await;
    all_hold("getmultibalances", &multi["total"], QUANTITY);
    all_hold("getmultibalances", &multi[&address], QUANTITY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explorers_find_every_member_of_every_input_and_output() {
    let (chain, _) = furnished().await;
    let a = chain.node("a");
    let place = "confirmations blockhash blockheight blockindex blocktime txid valid time timereceived tags addresses";
    let list = a.call("explorerlisttransactions", json!([true, 1000, 0])).await;
    let mined: Vec<&Value> = list.as_array().unwrap().iter().filter(|entry| entry["confirmations"] != 0).collect();
    assert!(mined.len() > 8, "{list}");
    let mut kinds = (0, 0, 0);
    for entry in mined {
        holds("explorerlisttransactions", entry, place);
        let shown = a.call("explorergetrawtransaction", json!([entry["txid"], 1])).await;
        holds(
            "explorergetrawtransaction",
            &shown,
            &format!("{TRANSACTION} tags blockhash confirmations time blocktime"),
        );
        for input in shown["vin"].as_array().unwrap() {
            holds("vin", input, "addresses tags assets");
            if input.get("coinbase").is_none() {
                kinds.0 += 1;
                holds("vin", input, "txid vout amount");
                holds("vin", &input["scriptSig"], "asm");
                assert!(!input["addresses"].as_array().unwrap().is_empty(), "{input}");
            } else {
                kinds.1 += 1;
            }
        }
        for output in shown["vout"].as_array().unwrap() {
            kinds.2 += usize::from(output["redeem"].is_object());
            holds("vout", output, "tags redeem assets value n");
            holds("vout", &output["scriptPubKey"], "addresses asm");
        }
    }
    assert!(kinds.0 > 0 && kinds.1 > 0 && kinds.2 > 0, "coins spent, rewards and outputs redeemed: {kinds:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_whose_coins_were_spent_together_are_one_group() {
    let plan = Chain::create("c").param("initial-block-reward", "500000000").param("anyone-can-send", "true");
    let chain = plan.param("anyone-can-receive", "true").node("a").start().await;
    let a = chain.node("a");
    let first = a.address().await;
    let mut others = Vec::new();
    for pair in a.call("createkeypairs", json!([3])).await.as_array().unwrap() {
        let label = if others.len() == 1 { "shop" } else { "" };
        a.call("importprivkey", json!([pair["privkey"], label, false])).await;
        others.push(text(&pair["address"]));
    }
    a.wait_height(5).await;
    a.call("pause", json!(["mining"])).await;
    for other in &others {
        a.call("sendfrom", json!([first, other, 2])).await;
    }
    let groups = |answer: &Value| -> Vec<Vec<String>> {
        let members = |group: &Value| group.as_array().unwrap().iter().map(|entry| text(&entry[0])).collect();
        answer.as_array().unwrap().iter().map(members).collect()
    };
    let before = a.call("listaddressgroupings", json!([])).await;
    assert!(groups(&before).iter().all(|group| group.len() == 1), "{before}");
    assert_eq!(groups(&before).len(), 4);
    let inputs: Vec<Value> = a
        .call("listunspent", json!([0, 9999999, [others[0], others[1]]]))
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|coin| json!({"txid": coin["txid"], "vout": coin["vout"]}))
        .collect();
    assert_eq!(inputs.len(), 2);
    // The third address is paid, and the change goes where nobody was paid before.
    let hidden = text(&a.call("getrawchangeaddress", json!([])).await);
    let outputs = json!({&others[2]: 1, &others[0]: 2, &hidden: 1});
    let sent = a.call("createrawtransaction", json!([inputs, outputs, [], "send"])).await;
    assert!(sent.is_string(), "{sent}");
    let after = a.call("listaddressgroupings", json!([])).await;
    let shown = groups(&after);
    assert_eq!(shown.len(), 3, "{after}");
    let group = shown.iter().find(|group| group.len() > 1).expect("a group");
    assert_eq!(group.len(), 3, "{after}");
    assert!([&others[0], &others[1], &hidden].into_iter().all(|member| group.contains(member)), "{after}");
    let entries: Vec<&Value> = after.as_array().unwrap().iter().flat_map(|group| group.as_array().unwrap()).collect();
    let of = |address: &str| entries.iter().find(|entry| entry[0] == address).copied().unwrap();
    assert_eq!(of(&others[1]), &json!([others[1], 0, "shop"]));
    assert_eq!(of(&others[0]), &json!([others[0], 2]));
    assert_eq!((of(&hidden), of(&others[2])), (&json!([hidden, 1]), &json!([others[2], 3])));
}
