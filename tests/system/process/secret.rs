//! What must not get out: no private key, passphrase or password comes into any log, however much is logged, and no
//! identifier of cached data leads to another file.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::chain::Chain;
use crate::harness::http;
use crate::harness::node::Node;
use crate::harness::view::text;

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

/// Calls that carry secrets, the right ones and the wrong ones; gives all secrets.
async fn use_secrets(a: &Node) -> Vec<String> {
    let pairs = a.call("createkeypairs", json!([2])).await;
    let keys: Vec<String> = (0..2).map(|index| text(&pairs[index]["privkey"])).collect();
    let mut secrets = keys.clone();
    a.call("importprivkey", json!([keys[0], "", false])).await;
    a.refusal("importprivkey", json!([keys[0].replace(|c: char| c.is_ascii_digit(), "x"), "", false])).await;
    let address = text(&a.call("getnewaddress", json!([])).await);
    secrets.push(text(&a.call("dumpprivkey", json!([address])).await));
    let raw = a.call("createrawsendfrom", json!([a.address().await, {}, [{"text": "x"}]])).await;
    a.call("signrawtransaction", json!([raw, [], [keys[1]]])).await;
    a.refusal("signrawtransaction", json!([raw, [], [keys[1].clone() + "x"]])).await;
    a.call("signmessage", json!([keys[1], "text"])).await;
    let phrases = ["phrase-one-7f3a", "phrase-two-91bc", "phrase-wrong-55d0"].map(str::to_owned);
    a.call("encryptwallet", json!([phrases[0]])).await;
    a.call("walletpassphrase", json!([phrases[0], 600])).await;
    a.refusal("walletpassphrase", json!([phrases[2], 600])).await;
    a.call("walletpassphrasechange", json!([phrases[0], phrases[1]])).await;
    a.refusal("walletpassphrasechange", json!([phrases[2], phrases[1]])).await;
    a.refusal("walletpassphrase", json!([phrases[1], "sixty"])).await;
    a.refusal("importprivkey", json!({"a": keys[1]})).await;
    let batch = json!([{"method": "importprivkey", "params": [keys[1], "", false], "id": 1}]).to_string();
    http::post(a.rpc_port, &a.authorization(), batch.as_bytes()).await;
    http::post(a.rpc_port, &a.authorization(), format!("{{\"method\":\"importprivkey\",[{}", keys[1]).as_bytes()).await;
    let guess = "guess-at-a-password-3c1d";
    http::post(a.rpc_port, &http::basic("rotarpc", guess), b"{}").await;
    let own = std::fs::read_to_string(a.folder().join("node.conf")).expect("a node.conf");
    let password = own.lines().find_map(|line| line.strip_prefix("rpcpassword=")).expect("a password");
    secrets.extend(phrases);
    secrets.extend([guess.to_owned(), password.to_owned()]);
    for authorization in [a.authorization(), http::basic("rotarpc", guess)] {
        secrets.push(authorization.trim_start_matches("Basic ").to_owned());
    }
    secrets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_passphrase_or_password_is_ever_logged() {
    let chain = Chain::create("c").option("-loglevel=trace").option("-debug=1").option("-printtoconsole=1");
    let chain = chain.node("a").start().await;
    let a = chain.node("a");
    let secrets = use_secrets(a).await;
    a.wait_logged(&["call", "walletpassphrasechange"]).await;
    a.stop().await;
    // Everything but the wallet itself and node.conf: the logs, and the databases with their logs.
    let (wallet, conf) = (a.folder().join("wallet"), a.folder().join("node.conf"));
    let written = files(&a.home).into_iter().filter(|path| !path.starts_with(&wallet) && *path != conf);
    let written: Vec<PathBuf> = written.collect();
    for name in ["debug.log", "console.log"] {
        assert!(written.iter().any(|path| path.ends_with(name)), "no {name} in {written:?}");
    }
    for path in written {
        let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        for secret in &secrets {
            let line = content.lines().find(|line| line.contains(secret.as_str()));
            assert!(line.is_none(), "{secret} in {}: {line:?}", path.display());
        }
    }
}

/// Texts that could lead elsewhere if they became names of files.
fn hostile(identifier: &str) -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        ".",
        "..",
        "/",
        "//",
        "~",
        "*",
        "?",
        "-",
        "node.conf",
        "../node.conf",
        "../../c/node.conf",
        "./planted",
        "planted",
        "/etc/passwd",
        "..\\node.conf",
        "%2e%2e%2fnode.conf",
        "..%2fnode.conf",
        "%2fetc%2fpasswd",
        "..%00",
        "\0",
        "\n",
        "file:///etc/passwd",
        "\u{ff0e}\u{ff0e}\u{ff0f}node.conf",
        "..\u{2215}node.conf",
        "CON",
        "a\0b",
        "$HOME",
        "`id`",
        "\u{202e}",
    ]
    .map(str::to_owned)
    .into();
    texts.extend([
        format!("{identifier}\0"),
        format!("{identifier}/"),
        format!("{identifier}/."),
        format!("./{identifier}"),
        format!("../cache/{identifier}"),
        format!("{identifier}/../../node.conf"),
        format!(" {identifier}"),
        format!("{identifier} "),
        format!("{identifier}\n"),
        format!("%{:02x}{}", identifier.as_bytes()[0], &identifier[1..]),
        identifier.repeat(2),
        "1".repeat(11),
        "../".repeat(50) + "etc/passwd",
        "x".repeat(255),
        "x".repeat(5_000),
        "2".repeat(1_000_000),
    ]);
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_identifier_of_cached_data_leads_to_another_file() {
    let chain = Chain::create("c").node("a").start().await;
    let a = chain.node("a");
    a.open_stream("s", true).await;
    let identifier = text(&a.call("createbinarycache", json!([])).await);
    a.call("appendbinarycache", json!([identifier, "00ff"])).await;
    let txid = a.publish("s", "k", "a1b2").await;
    a.wait_confirmed(&txid).await;
    let cached = files(&a.home).into_iter().find(|path| path.ends_with(&identifier)).expect("a cached file");
    let folder = cached.parent().expect("a folder").to_owned();
    let planted =
        [folder.join("planted"), folder.parent().expect("a folder").join("planted"), a.folder().join("planted")];
    for path in &planted {
        std::fs::write(path, "planted").unwrap();
    }
    let before = std::fs::read(a.folder().join("node.conf")).unwrap();
    let mut others: Vec<Value> = hostile(&identifier).into_iter().map(Value::from).collect();
    others.extend([json!(null), json!(1), json!(["a"]), json!({"cache": identifier})]);
    for other in &others {
        let shown: String = other.to_string().chars().take(80).collect();
        for (method, params) in [
            ("appendbinarycache", json!([other, "00"])),
            ("deletebinarycache", json!([other])),
            ("txouttobinarycache", json!([other, txid, 0])),
            ("publish", json!(["s", "k", {"cache": other}])),
            ("publish", json!(["s", "k", {"cache": other}, "offchain"])),
            ("sendwithdata", json!([a.address().await, 0, {"cache": other}])),
            ("createrawsendfrom", json!([a.address().await, {}, [{"cache": other}]])),
        ] {
            let refusal = a.refusal(method, params).await;
            assert!([-8, -1].contains(&refusal.code), "{method} {shown}: {refusal:?}");
        }
    }
    for path in &planted {
        assert_eq!(std::fs::read_to_string(path).unwrap(), "planted", "{}", path.display());
    }
    assert_eq!(std::fs::read(a.folder().join("node.conf")).unwrap(), before);
    assert_eq!(std::fs::read(&cached).unwrap(), [0x00, 0xff]);
    a.call("publish", json!(["s", "k", {"cache": identifier}])).await;
    a.call("deletebinarycache", json!([identifier])).await;
    assert!(!cached.exists() && std::fs::read_dir(&folder).unwrap().count() == 1);
}
