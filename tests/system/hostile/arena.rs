//! Where attacks happen: three nodes under publishing load, members and strangers who attack the first, and the figures.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use rota_chain::amount::Height;
use rota_chain::block::SignedHeader;
use rota_chain::codec::decode;
use rota_chain::hash::{BlockHash, ParamsHash, Txid};
use rota_chain::key::PrivateKey;
use rota_p2p::raw::{Greeted, RawPeer};
use rota_p2p::{Hello, PeerKey, Tip};
use rota_params::{ParameterSet, file};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::harness::chain::Chain;
use crate::harness::node::Node;
use crate::harness::rpc;
use crate::harness::view::text;

/// Addresses that may connect and are used by one attack each.
const MEMBERS: usize = 48;
/// Callers that publish at once.
const CALLERS: usize = 3;
/// Longest time to a disconnection that is waited for.
const PATIENCE: Duration = Duration::from_secs(15);
/// Resident memory that a node may take.
const MEMORY: u64 = 1 << 30;
/// Share of its throughput that a node keeps under attack, on what the attacker leaves of the machine.
const KEPT: f64 = 0.8;
/// Longest time from an offence to the end of the connection.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How large attacks are.
pub struct Scale {
    /// How long throughput is counted during an attack, and half as long before and after.
    pub window: Duration,
    /// Malformed frames sent by strangers.
    pub frames: u64,
    /// Whether figures are judged: not on a machine that does other things too.
    judged: bool,
}

impl Scale {
    fn chosen() -> Scale {
        let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
        match std::env::var("ROTA_HOSTILE").as_deref() {
            Ok("long") => Scale {
                window: Duration::from_secs(number("ROTA_HOSTILE_WINDOW").unwrap_or(30)),
                frames: number("ROTA_HOSTILE_FRAMES").unwrap_or(1_000_000),
                judged: true,
            },
            _ => Scale { window: Duration::from_secs(2), frames: 1_000, judged: false },
        }
    }
}

/// What must come of an attack.
pub enum Expected {
    /// The connection ends and a line with this names the offender.
    Named(&'static str),
    /// The connection ends and a line with this says why.
    Refused(&'static str),
    /// It is borne: nothing that an honest node could not do.
    Borne,
}

/// The nodes and who attacks them.
pub struct Arena {
    /// The nodes `a`, `b` and `c`; `a` is attacked.
    pub chain: Chain,
    /// Its parameters.
    pub set: ParameterSet,
    /// Part of the names of protocols.
    pub params_hash: ParamsHash,
    /// The stream that is published to.
    pub stream: Txid,
    /// How large attacks are.
    pub scale: Scale,
    used: AtomicUsize,
    hosts: AtomicU32,
    load: Load,
    complaints: Mutex<Vec<String>>,
}

/// A stretch of time: what was published in it, and what this program took of the machine meanwhile.
struct Stretch {
    published: u64,
    elapsed: Duration,
    own: Duration,
}

impl Stretch {
    fn rate(&self) -> f64 {
        self.published as f64 / self.elapsed.as_secs_f64()
    }

    fn and(&self, other: &Stretch) -> Stretch {
        let (published, own) = (self.published + other.published, self.own + other.own);
        Stretch { published, elapsed: self.elapsed + other.elapsed, own }
    }

    /// Share of the machine that is left when the attacker's own work is taken off: it would have a machine of its own.
    /// What publishing costs this program is known from a calm stretch.
    fn left(&self, calm: &Stretch) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let callers = calm.own.as_secs_f64() * self.published as f64 / calm.published.max(1) as f64;
        1.0 - (self.own.as_secs_f64() - callers).max(0.0) / (cores * self.elapsed.as_secs_f64())
    }
}

/// Processor time of this program so far.
fn own_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system tells what a process takes");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).expect("time goes forward"))
}

/// Callers that publish one item after another.
struct Load {
    published: Arc<AtomicU64>,
    callers: Vec<JoinHandle<()>>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.callers.iter().for_each(JoinHandle::abort);
    }
}

/// The key of the member of this number.
fn member_key(number: usize) -> PrivateKey {
    let mut secret = [0x5a; 32];
    secret[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
    PrivateKey::from_bytes(secret).expect("a number below the order of the curve")
}

impl Arena {
    /// Starts the nodes, grants the members, begins to publish.
    pub async fn open() -> Arena {
        let chain = Chain::create("c").nodes(&["a", "b", "c"]).start().await;
        let a = chain.node("a");
        let (set, _) = file::load(&a.folder().join("params.dat"), "c").expect("a parameter file");
        let params_hash = set.chain_params_hash().expect("a chain that was begun");
        let scheme = set.address_scheme();
        let members: Vec<String> =
            (0..MEMBERS).map(|number| scheme.encode_key_hash(&member_key(number).public_key().key_hash())).collect();
        let grant = a.call("grant", json!([members.join(","), "connect,send,receive"])).await;
        let stream = a.call("create", json!(["stream", "s", true])).await;
        for txid in [&grant, &stream] {
            a.wait_confirmed(&text(txid)).await;
        }
        chain.wait_agreed().await;
        let load = Load::begin(a);
        let stream = text(&stream).parse().expect("a txid");
        let (used, hosts) = (AtomicUsize::new(0), AtomicU32::new(1));
        Arena {
            chain,
            set,
            params_hash,
            stream,
            scale: Scale::chosen(),
            used,
            hosts,
            load,
            complaints: Mutex::default(),
        }
    }

    /// The node that is attacked.
    pub fn target(&self) -> &Node {
        self.chain.node("a")
    }

    /// The key of a member that was not used before.
    pub fn member(&self) -> PrivateKey {
        let number = self.used.fetch_add(1, Ordering::Relaxed);
        assert!(number < MEMBERS, "all {MEMBERS} members were used");
        member_key(number)
    }

    /// A key that nobody knows.
    pub fn stranger(&self) -> PeerKey {
        let mut secret = [0x33; 32];
        let number = self.hosts.fetch_add(1, Ordering::Relaxed);
        secret[..4].copy_from_slice(&number.to_be_bytes());
        PeerKey::from_secret(secret).expect("a number below the order of the curve")
    }

    /// A host of this machine that was not used before: honest nodes are at another.
    pub fn host(&self) -> SocketAddr {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed);
        let ip = Ipv4Addr::from_bits(Ipv4Addr::new(127, 16, 0, 1).to_bits() + number);
        SocketAddr::new(ip.into(), 0)
    }

    /// Where the node that is attacked listens.
    pub fn place(&self) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.target().port)
    }

    /// The header of the tip of the node that is attacked.
    pub async fn tip(&self) -> (Tip, SignedHeader) {
        let height = self.target().height().await;
        let block = self.target().call("getblock", json!([height.to_string(), 0])).await;
        let bytes = hex::decode(text(&block)).expect("hexadecimal digits");
        let block: rota_chain::block::Block = decode(&bytes).expect("a block");
        let height = Height(u32::try_from(height).expect("a low height"));
        (Tip { height, hash: block.hash() }, block.signed)
    }

    /// A hello as a node of the chain says it.
    pub fn hello(&self) -> Hello {
        Hello {
            chain_name: "c".to_owned(),
            params_hash: self.params_hash,
            version: 1,
            software: "/Hostile/".to_owned(),
            tip: Tip { height: Height(0), hash: BlockHash::ZERO },
            time: std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs(),
            port: 0,
            nonce: 7,
        }
    }

    /// Connects from a new host, again and again while the node takes no more of such.
    pub async fn connect(&self, key: &PeerKey) -> std::io::Result<RawPeer> {
        let begun = Instant::now();
        loop {
            let connected = RawPeer::connect(self.host(), self.place(), key).await;
            if connected.is_ok() || begun.elapsed() > PATIENCE {
                return connected;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Connects from a host that may have been used before.
    pub async fn connect_from(&self, host: SocketAddr, key: &PeerKey) -> Option<RawPeer> {
        RawPeer::connect(host, self.place(), key).await.ok()
    }

    /// A member that is welcome.
    pub async fn enter(&self) -> RawPeer {
        let key = PeerKey::from_private_key(&self.member()).expect("a key of a peer");
        let peer = self.connect(&key).await.expect("a connection");
        let greeted = peer.greet(&self.params_hash, &self.hello()).await.expect("an answer to a hello");
        assert!(matches!(greeted, Greeted::Welcome(_)), "a member is not welcome: {greeted:?}");
        peer
    }

    /// How long it takes from `offence` until the connection ends; none if it does not.
    pub async fn parted(&self, peer: &RawPeer, offence: Instant) -> Option<Duration> {
        tokio::time::timeout(PATIENCE, peer.closed()).await.ok().map(|()| offence.elapsed())
    }

    /// What is published while something else happens, and what that gives.
    async fn stretch<T>(&self, meanwhile: impl Future<Output = T>) -> (Stretch, T) {
        let (begun, before, own) = (Instant::now(), self.load.published.load(Ordering::Relaxed), own_time());
        let given = meanwhile.await;
        let published = self.load.published.load(Ordering::Relaxed) - before;
        (Stretch { published, elapsed: begun.elapsed(), own: own_time().saturating_sub(own) }, given)
    }

    /// What is published in half a window in which nothing else happens.
    async fn calm(&self) -> Stretch {
        self.stretch(tokio::time::sleep(self.scale.window / 2)).await.0
    }

    /// Has `strike` done at least `least` times and until the window is over, or `most` times; each gives the time from
    /// its offence to the end of the connection. Throughput meanwhile is held against that of the half windows before and
    /// after, since it changes as the chain grows. Prints the figures and judges what came of it.
    pub async fn attack(
        &self,
        name: &str,
        expected: Expected,
        (least, most): (u64, u64),
        strike: impl AsyncFn(u64) -> Option<Duration>,
    ) {
        let before = self.calm().await;
        let logged = self.log().len();
        let (attacked, (rounds, slowest)) = self.stretch(self.strikes(name, &expected, (least, most), strike)).await;
        let line = self.line(&expected, logged).await;
        let calm = before.and(&self.calm().await);
        let ratio = attacked.rate() / calm.rate();
        let kept = ratio / attacked.left(&calm);
        let memory = self.chain.nodes().iter().map(resident_peak).max().unwrap_or(0);
        eprintln!(
            "{name} | {rounds} rounds | disconnected within {:.3} s | throughput {:.0}/s, ratio {ratio:.2}, {kept:.2} of \
             what the attacker left of the machine | {} MB | {line}",
            slowest.as_secs_f64(),
            attacked.rate(),
            memory >> 20
        );
        for node in self.chain.nodes() {
            node.call("getinfo", json!([])).await;
        }
        if self.scale.judged {
            self.judge(name, slowest, kept, memory);
        }
    }

    /// The strikes of an attack, with its progress: how many, and the longest time from an offence to the end of the
    /// connection.
    async fn strikes(
        &self,
        name: &str,
        expected: &Expected,
        (least, most): (u64, u64),
        strike: impl AsyncFn(u64) -> Option<Duration>,
    ) -> (u64, Duration) {
        let (mut rounds, mut slowest) = (0, Duration::ZERO);
        let begun = Instant::now();
        let mut reported = begun;
        while rounds < most && (rounds < least || begun.elapsed() < self.scale.window) {
            let parted = strike(rounds).await;
            rounds += 1;
            if !matches!(expected, Expected::Borne) {
                slowest = slowest.max(parted.unwrap_or_else(|| panic!("{name}: the connection does not end")));
            }
            if reported.elapsed() > Duration::from_secs(10) {
                reported = Instant::now();
                let left = begun.elapsed().as_secs_f64() / rounds as f64 * (least.saturating_sub(rounds)) as f64;
                eprintln!("{name}: {rounds} of {least} rounds, {left:.0} s left");
            }
        }
        tokio::time::sleep(self.scale.window.saturating_sub(begun.elapsed())).await;
        (rounds, slowest)
    }

    /// Notes what is not as promised; the test fails at its end, so that every attack gets its line.
    fn judge(&self, name: &str, slowest: Duration, kept: f64, memory: u64) {
        let promises = [
            (slowest <= AT_ONCE, format!("{name}: disconnected after {slowest:?}")),
            (kept >= KEPT, format!("{name}: {kept:.2} of the throughput is left")),
            (memory < MEMORY, format!("{name}: {memory} bytes resident")),
        ];
        let broken = promises.into_iter().filter(|(held, _)| !held).map(|(_, complaint)| complaint);
        self.complaints.lock().expect("nobody panicked").extend(broken);
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.target().folder().join("debug.log")).unwrap_or_default())
            .into_owned()
    }

    /// The first line since `from` that says what is expected.
    async fn line(&self, expected: &Expected, from: usize) -> String {
        let parts: &[&str] = match expected {
            Expected::Named(part) => &["misbehaving peer ip=127.", "address=", "reason=", part],
            Expected::Refused(part) => &["a connection was refused", part],
            Expected::Borne => return "borne".to_owned(),
        };
        crate::harness::wait::until(&format!("a line with {parts:?}"), async || {
            let log = self.log();
            let new = log.get(from..).unwrap_or_default();
            let found = new.lines().find(|line| parts.iter().all(|part| line.contains(part)));
            found
                .map(str::to_owned)
                .ok_or_else(|| new.chars().rev().take(600).collect::<String>().chars().rev().collect())
        })
        .await
    }

    /// The honest nodes are still each other's peers.
    pub async fn settle(self) {
        let (b, c) = (self.chain.node("b").address().await, self.chain.node("c").address().await);
        let peers = self.target().peers().await;
        for honest in [&b, &c] {
            assert!(peers.contains(honest), "{honest} is no longer connected: {peers:?}");
        }
        self.chain.wait_agreed().await;
        let complaints = self.complaints.lock().expect("nobody panicked");
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

impl Load {
    fn begin(node: &Node) -> Load {
        let published = Arc::new(AtomicU64::new(0));
        let caller = |number: usize| {
            let client = rpc::client(node.rpc_port, &node.folder().join("node.conf")).expect("credentials");
            let published = Arc::clone(&published);
            tokio::spawn(async move {
                loop {
                    let item = json!(["s", format!("key{number}"), {"text": "an item of the load"}]);
                    match client.call("publish", item).await {
                        Ok(_) => drop(published.fetch_add(1, Ordering::Relaxed)),
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
            })
        };
        let callers = (0..CALLERS).map(caller).collect();
        Load { published, callers }
    }
}

/// The most memory a node has had resident, in bytes.
fn resident_peak(node: &Node) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kilobytes| kilobytes.parse::<u64>().ok()).unwrap_or(0) << 10
}
