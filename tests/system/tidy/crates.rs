//! Which crate may use which: the floors of ARCHITECTURE.md as one table, checked against the manifests.

use cargo_metadata::{Metadata, MetadataCommand, Package};

use super::{report, root};

/// Folder, and the crates of ours its manifest may name.
const FLOORS: &[(&str, &[&str])] = &[
    ("chain", &[]),
    ("crash", &[]),
    ("params", &["rota-chain"]),
    ("consensus", &["rota-chain", "rota-params"]),
    ("storage", &["rota-chain", "rota-crash", "rota-params", "rota-consensus"]),
    ("wallet", &["rota-chain", "rota-crash", "rota-params", "rota-consensus", "rota-storage"]),
    ("p2p", &["rota-chain", "rota-params"]),
    ("api", &["rota-chain", "rota-params"]),
    (
        "node",
        &[
            "rota-chain",
            "rota-crash",
            "rota-params",
            "rota-consensus",
            "rota-storage",
            "rota-wallet",
            "rota-p2p",
            "rota-api",
        ],
    ),
    ("cli", &["rota-api", "rota-params"]),
    ("tests", &["rota-api", "rota-chain", "rota-params", "rota-p2p"]),
    ("bench", &["rota-api", "rota-chain"]),
    ("torture", &["rota-api", "rota-crash"]),
    (
        "simulation",
        &["rota-chain", "rota-params", "rota-consensus", "rota-storage", "rota-wallet", "rota-p2p", "rota-node"],
    ),
    (
        "fuzz",
        &[
            "rota-chain",
            "rota-params",
            "rota-consensus",
            "rota-storage",
            "rota-wallet",
            "rota-p2p",
            "rota-api",
            "rota-node",
        ],
    ),
];

/// Heavy or impure crates, and the only folders whose manifest may name them.
const PLACES: &[(&str, &[&str])] = &[
    ("rocksdb", &["storage"]),
    ("libp2p", &["p2p"]),
    ("secp256k1", &["chain"]),
    ("sha2", &["chain"]),
    ("ripemd", &["chain"]),
    ("jsonrpsee", &["api", "node"]),
    ("tokio", &["p2p", "api", "node", "cli", "bench", "tests", "simulation", "torture"]),
    ("hyper", &["api", "node", "bench"]),
    ("tokio-tungstenite", &["node", "tests"]),
    ("tokio-rustls", &["api", "node"]),
    ("rand", &["params", "wallet", "p2p", "node", "simulation"]),
    ("anyhow", &["params", "node", "cli", "bench", "tests", "simulation", "torture", "fuzz"]),
];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().expect("cargo metadata answers")
}

fn folder(package: &Package) -> String {
    let folder = package.manifest_path.parent().expect("a manifest lies in a folder");
    folder.strip_prefix(root().to_str().expect("a UTF-8 path")).map_or_else(|_| folder.to_string(), ToString::to_string)
}

fn allowed<'a>(table: &[(&str, &'a [&'a str])], key: &str) -> Option<&'a [&'a str]> {
    table.iter().find(|(name, _)| *name == key).map(|(_, list)| *list)
}

#[test]
fn every_package_has_a_floor_and_every_floor_a_package() {
    let metadata = metadata();
    let mut found: Vec<String> = metadata.packages.iter().map(folder).collect();
    let mut listed: Vec<String> = FLOORS.iter().map(|(folder, _)| (*folder).to_owned()).collect();
    found.sort();
    listed.sort();
    assert_eq!(found, listed, "the table of floors and the workspace differ");
}

#[test]
fn no_arrow_points_up_or_sideways() {
    let mut complaints = Vec::new();
    for package in &metadata().packages {
        let folder = folder(package);
        let below = allowed(FLOORS, &folder).unwrap_or_default();
        for dependency in &package.dependencies {
            if dependency.name.starts_with("rota-") && !below.contains(&dependency.name.as_str()) {
                complaints.push(format!("{folder}/Cargo.toml: may not use {}", dependency.name));
            }
        }
    }
    report("a crate uses one that is not below it", &complaints);
}

#[test]
fn heavy_crates_stay_in_their_places() {
    let mut complaints = Vec::new();
    for package in &metadata().packages {
        let folder = folder(package);
        for dependency in &package.dependencies {
            if let Some(places) = allowed(PLACES, &dependency.name)
                && !places.contains(&folder.as_str())
            {
                complaints.push(format!("{folder}/Cargo.toml: {} belongs to {places:?} only", dependency.name));
            }
        }
    }
    report("a heavy crate outside its places", &complaints);
}
