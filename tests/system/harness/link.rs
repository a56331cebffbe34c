//! Wires between nodes: a link is a TCP proxy on loopback that one node dials to reach another, and that a
//! test can cut and heal. Nodes joined only by links can be partitioned without touching the system.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One wire. Dialling its port reaches the target while it is whole.
pub struct Link {
    port: u16,
    whole: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Link {
    /// A whole link to a port of 127.0.0.1.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let (whole, state) = watch::channel(true);
        let task = tokio::spawn(serve(listener, target, state));
        Self { port, whole, task }
    }

    /// The port to dial.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Drops every connection through the link and refuses new ones.
    pub fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Lets connections through again.
    pub fn heal(&self) {
        self.whole.send_replace(true);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: u16, state: watch::Receiver<bool>) {
    while let Ok((inbound, _)) = listener.accept().await {
        if *state.borrow() {
            tokio::spawn(carry(inbound, target, state.clone()));
        }
    }
}

async fn carry(mut inbound: TcpStream, target: u16, mut state: watch::Receiver<bool>) {
    let Ok(mut outbound) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut inbound, &mut outbound) => {}
        _ = state.wait_for(|whole| !whole) => {}
    }
}

/// The links of a network, each named by its two ends.
#[derive(Default)]
pub struct Links {
    wires: BTreeMap<(String, String), Link>,
}

impl Links {
    /// Lays a wire by which `from` reaches `to`.
    pub async fn lay(&mut self, from: &str, to: &str, target: u16) -> u16 {
        let link = Link::to(target).await;
        let port = link.port();
        self.wires.insert((from.to_owned(), to.to_owned()), link);
        port
    }

    /// Cuts every link between the two nodes.
    pub fn cut(&self, one: &str, other: &str) {
        self.between(one, other).for_each(Link::cut);
    }

    /// Mends every link between the two nodes.
    pub fn heal(&self, one: &str, other: &str) {
        self.between(one, other).for_each(Link::heal);
    }

    /// Cuts the links that run between different islands; the others stay as they are.
    pub fn split(&self, islands: &[&[&str]]) {
        let island_of = |name: &str| islands.iter().position(|island| island.contains(&name));
        for ((from, to), link) in &self.wires {
            if island_of(from) != island_of(to) {
                link.cut();
            }
        }
    }

    /// Mends every link.
    pub fn heal_all(&self) {
        self.wires.values().for_each(Link::heal);
    }

    fn between<'a>(&'a self, one: &'a str, other: &'a str) -> impl Iterator<Item = &'a Link> {
        self.wires
            .iter()
            .filter(move |((from, to), _)| (from == one && to == other) || (from == other && to == one))
            .map(|(_, link)| link)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = stream.split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        port
    }

    /// Whether a fresh connection to the port carries a byte there and back.
    async fn carries(port: u16) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
            return false;
        };
        if stream.write_all(b"x").await.is_err() {
            return false;
        }
        let mut byte = [0];
        matches!(stream.read(&mut byte).await, Ok(1))
    }

    #[tokio::test]
    async fn a_cut_link_drops_what_it_carried_and_refuses_more_until_healed() {
        let link = Link::to(echo().await).await;
        let mut old = TcpStream::connect((Ipv4Addr::LOCALHOST, link.port())).await.unwrap();
        old.write_all(b"a").await.unwrap();
        let mut byte = [0];
        assert_eq!(old.read(&mut byte).await.unwrap(), 1);
        link.cut();
        assert_eq!(old.read(&mut byte).await.unwrap_or(0), 0, "the old connection survived the cut");
        assert!(!carries(link.port()).await);
        link.heal();
        assert!(carries(link.port()).await);
    }

    #[tokio::test]
    async fn a_split_cuts_only_between_islands() {
        let target = echo().await;
        let mut links = Links::default();
        let inside = links.lay("b", "a", target).await;
        let across = links.lay("c", "a", target).await;
        links.split(&[&["a", "b"], &["c"]]);
        assert!(carries(inside).await);
        assert!(!carries(across).await);
        links.heal("a", "c");
        assert!(carries(across).await);
        links.cut("a", "b");
        assert!(!carries(inside).await);
        links.heal_all();
        assert!(carries(inside).await);
    }
}
