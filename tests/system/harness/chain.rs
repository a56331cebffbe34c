//! A chain of real nodes, described in one sentence and started: created, joined, granted, connected.
//! When a test fails, the data directories are kept and the logs' ends are printed.

use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::link::Links;
use super::node::Node;
use super::wait::{LONG_PATIENCE, check, until, until_within};

/// Where nobody listens: a port that only root could serve, and does not.
const NOWHERE: &str = "127.0.0.1:1";
/// What every later node is granted.
const JOIN_RIGHTS: &str = "connect,send,receive";

/// A chain to be started.
pub struct Plan {
    name: String,
    params: Vec<String>,
    options: Vec<String>,
    nodes: Vec<String>,
    linked: bool,
}

/// A running chain.
pub struct Chain {
    /// The chain's name.
    pub name: String,
    /// The wires between the nodes, when the plan asked for them.
    pub links: Links,
    nodes: Vec<Node>,
    directory: Option<TempDir>,
}

impl Chain {
    /// Begins the description of a chain. Blocks come every 2 s, the least there is; empty ones too.
    pub fn create(name: &str) -> Plan {
        Plan { name: name.to_owned(), params: Vec::new(), options: Vec::new(), nodes: Vec::new(), linked: false }
            .param("target-block-time", "2")
            .param("mine-empty-rounds", "-1")
    }

    /// The node of that name.
    pub fn node(&self, name: &str) -> &Node {
        self.nodes
            .iter()
            .find(|node| node.name == name)
            .unwrap_or_else(|| panic!("no node {name} in chain {}", self.name))
    }

    /// All nodes, the first one first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The directory that holds every node's data directory.
    pub fn root(&self) -> &Path {
        self.directory.as_ref().expect("kept until dropped").path()
    }

    /// Has the first node grant rights to another node's address, and waits for the block.
    pub async fn grant(&self, to: &str, rights: &str) {
        let address = self.node(to).address().await;
        self.change("grant", &address, rights).await;
    }

    /// Has the first node revoke rights of another node's address, and waits for the block.
    pub async fn revoke(&self, from: &str, rights: &str) {
        let address = self.node(from).address().await;
        self.change("revoke", &address, rights).await;
    }

    async fn change(&self, method: &str, address: &str, rights: &str) {
        let admin = &self.nodes[0];
        let txid = admin.call(method, json!([address, rights])).await;
        admin.wait_confirmed(txid.as_str().expect("a txid")).await;
    }

    /// Grants mine to every node but the first, and waits until every node knows.
    pub async fn grant_mine_to_all(&self) {
        for node in &self.nodes[1..] {
            self.grant(&node.name, "mine").await;
        }
        self.wait_agreed().await;
    }

    /// Waits until all nodes have the same tip.
    pub async fn wait_agreed(&self) {
        let names: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        self.wait_agreed_among(&names).await;
    }

    /// Waits until the named nodes have the same tip.
    pub async fn wait_agreed_among(&self, names: &[&str]) {
        until_within(LONG_PATIENCE, &format!("one tip on {names:?}"), async || {
            let mut tips = Vec::new();
            for name in names {
                tips.push(self.node(name).tip().await);
            }
            check(tips.windows(2).all(|pair| pair[0] == pair[1]), tips)
        })
        .await;
    }

    /// Waits until every node has at least this height.
    pub async fn wait_height(&self, height: u64) {
        for node in &self.nodes {
            node.wait_height(height).await;
        }
    }

    /// Adds a node that has not joined.
    pub fn outsider(&self, name: &str) -> Node {
        Node::new(self.root(), &self.name, name, &[])
    }

    /// Brings a node in through `invitation`: asks, is granted by the first node, starts, catches up.
    pub async fn admit(&self, node: &Node, invitation: &str) -> String {
        let asked = node.run_to_end(invitation, &[]).await;
        let line = asked.line_after(&format!("node-cli {} grant ", self.name));
        let address = line.split_whitespace().next().expect("an address in the grant line").to_owned();
        self.change("grant", &address, JOIN_RIGHTS).await;
        node.start_with(invitation, &[]).await;
        let target = self.nodes[0].height().await;
        until(&format!("{} to catch up", node.name), async || {
            let now = node.height().await;
            check(now >= target, now)
        })
        .await;
        address
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        if let Some(directory) = self.directory.take() {
            eprintln!("==== data directories kept in {}", directory.keep().display());
        }
    }
}

impl Plan {
    /// Sets a chain parameter; the last value given counts.
    pub fn param(mut self, name: &str, value: &str) -> Self {
        let start = format!("-{name}=");
        self.params.retain(|param| !param.starts_with(&start));
        self.params.push(format!("{start}{value}"));
        self
    }

    /// Adds a `noded` option for every node.
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// Adds a node.
    pub fn node(mut self, name: &str) -> Self {
        self.nodes.push(name.to_owned());
        self
    }

    /// Adds several nodes.
    pub fn nodes(self, names: &[&str]) -> Self {
        names.iter().fold(self, |plan, name| plan.node(name))
    }

    /// Lets nodes reach each other only through links that the test can cut.
    pub fn linked(mut self) -> Self {
        self.linked = true;
        self
    }

    /// Creates the chain, starts its first node, has every other join, and waits until all agree.
    pub async fn start(self) -> Chain {
        let directory = TempDir::with_prefix("rota-test-").expect("a temporary directory");
        let root: PathBuf = directory.path().to_path_buf();
        let nodes = self.nodes.iter().map(|name| Node::new(&root, &self.name, name, &self.options)).collect();
        let mut chain = Chain { name: self.name.clone(), links: Links::default(), nodes, directory: Some(directory) };
        let invitations = self.lay_out(&mut chain).await;
        let mut words = vec!["create", self.name.as_str()];
        words.extend(self.params.iter().map(String::as_str));
        let first = &chain.nodes[0];
        first.util(&words).await.succeeded();
        first.start().await;
        for (node, invitation) in chain.nodes[1..].iter().zip(&invitations) {
            chain.admit(node, invitation).await;
        }
        chain.wait_agreed().await;
        chain
    }

    /// Tells every node how it reaches the ones before it; gives the invitation of each node but the first.
    async fn lay_out(&self, chain: &mut Chain) -> Vec<String> {
        let ends: Vec<(String, u16)> = chain.nodes.iter().map(|node| (node.name.clone(), node.port)).collect();
        let option = if self.linked { "connect" } else { "addnode" };
        let mut invitations = Vec::new();
        if self.linked {
            // A node told to connect to one dead port alone dials no address that it hears of.
            chain.nodes[0].add_options([format!("-connect={NOWHERE}"), "-listen=1".to_owned()]);
        }
        for (index, node) in chain.nodes.iter_mut().enumerate().skip(1) {
            let mut ports = Vec::new();
            for (name, port) in &ends[..index] {
                let reached = if self.linked { chain.links.lay(&node.name, name, *port).await } else { *port };
                ports.push(reached);
            }
            if self.linked {
                // Being told whom to connect to must not stop a node from being connected to.
                node.add_options(["-listen=1".to_owned()]);
            }
            node.add_options(ports.iter().map(|port| format!("-{option}=127.0.0.1:{port}")));
            invitations.push(format!("{}@127.0.0.1:{}", self.name, ports[0]));
        }
        invitations
    }
}
