//! TLS: who is spoken with, who is not, what stands still meanwhile, and which files serve.

use super::world::{BASIC, World, post};
use crate::rpc::http::{Certificate, TlsError, TlsFiles};
use futures::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rota_api::client::Trust;
use rota_api::{Client, ClientError};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Message;

/// A certificate and its key as PEM.
struct Made {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Made {
    /// For this host, made by itself; with `authority` it says of itself that it issues others, as usual tools do.
    fn new(host: &str, authority: bool) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters(host, authority).self_signed(&key).unwrap();
        Self { certificate, key }
    }

    /// For this host, made by this one.
    fn issue(&self, host: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters(host, false).signed_by(&key, &self.certificate, &self.key).unwrap();
        Self { certificate, key }
    }

    fn trust(&self) -> Trust {
        Trust::read(self.certificate.pem().as_bytes()).unwrap()
    }
}

fn parameters(host: &str, authority: bool) -> CertificateParams {
    let mut parameters = CertificateParams::new(vec![host.to_owned()]).unwrap();
    if authority {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    parameters
}

fn write(folder: &TempDir, made: &Made) -> TlsFiles {
    let files = TlsFiles { chain: folder.path().join("server.cert"), key: folder.path().join("server.pem") };
    std::fs::write(&files.chain, made.certificate.pem()).unwrap();
    std::fs::write(&files.key, made.key.serialize_pem()).unwrap();
    files
}

/// A front that shows a certificate, and the folder of its files.
async fn world(made: &Made) -> (World, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let files = write(&folder, made);
    (World::with(|config| config.tls = Some(files)).await, folder)
}

async fn call(world: &World, trust: Trust) -> Result<serde_json::Value, ClientError> {
    let client = Client::new(world.address.to_string(), "rota", "secret").with_trust(trust);
    client.call("echo", json!([1])).await
}

#[tokio::test]
async fn a_client_that_trusts_the_very_certificate_is_answered_whatever_stands_in_it() {
    for (host, authority) in [("127.0.0.1", false), ("elsewhere.example", false), ("127.0.0.1", true)] {
        let made = Made::new(host, authority);
        let (world, _folder) = world(&made).await;
        assert_eq!(call(&world, made.trust()).await.unwrap(), json!([1]), "{host} {authority}");
    }
}

#[tokio::test]
async fn a_client_that_trusts_an_issuer_is_answered_under_the_right_name_alone() {
    let issuer = Made::new("issuer", true);
    let (right, _folder) = world(&issuer.issue("127.0.0.1")).await;
    assert_eq!(call(&right, issuer.trust()).await.unwrap(), json!([1]));
    let (wrong, _folder) = world(&issuer.issue("127.0.0.2")).await;
    assert!(matches!(call(&wrong, issuer.trust()).await, Err(ClientError::Tls { .. })));
}

#[tokio::test]
async fn a_client_sends_no_password_to_a_stranger_who_shows_another_certificate() {
    let (world, _folder) = world(&Made::new("127.0.0.1", false)).await;
    let other = Made::new("127.0.0.1", false);
    let error = call(&world, other.trust()).await.unwrap_err();
    assert!(matches!(&error, ClientError::Tls { cause, .. } if cause.contains("certificate")), "{error}");
    let plain = World::new().await;
    assert!(matches!(call(&plain, other.trust()).await, Err(ClientError::Tls { .. })));
}

#[tokio::test]
async fn a_websocket_begins_over_tls_as_it_does_without() {
    let made = Made::new("127.0.0.1", false);
    let (world, _folder) = world(&made).await;
    let mut roots = RootCertStore::empty();
    roots.add(made.certificate.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    let stream = TcpStream::connect(world.address).await.unwrap();
    let stream = connector.connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap();
    let mut request = format!("wss://{}/", world.address).into_client_request().unwrap();
    request.headers_mut().insert("Authorization", "Basic cm90YTpzZWNyZXQ=".parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    socket.send(Message::text(r#"{"method":"getinfo","id":1}"#)).await.unwrap();
    let reply = socket.next().await.unwrap().unwrap();
    assert_eq!(reply.to_text().unwrap(), r#"{"jsonrpc":"2.0","id":1,"result":"getinfo"}"#);
}

#[tokio::test]
async fn a_caller_without_tls_is_told_so() {
    let (world, _folder) = world(&Made::new("127.0.0.1", false)).await;
    let mut wire = world.connect().await;
    wire.send(&post(BASIC, r#"{"method":"getinfo","id":1}"#)).await;
    assert_eq!(wire.response().await.both(), (400, "This port speaks TLS: use https, or -rpcssl=1.\n"));
}

#[tokio::test]
async fn handshakes_that_do_not_go_on_keep_nobody_out() {
    let made = Made::new("127.0.0.1", false);
    let folder = tempfile::tempdir().unwrap();
    let files = write(&folder, &made);
    let world = World::with(|config| (config.tls, config.connections) = (Some(files), 4)).await;
    let mut stuck = Vec::new();
    for beginning in ["", "\u{16}\u{3}\u{1}", "", "\u{16}"] {
        let mut wire = world.connect().await;
        wire.send(beginning).await;
        stuck.push(wire);
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(call(&world, made.trust()).await.unwrap(), json!([1]));
    assert!(stuck[0].ends().await, "the first one made room");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_once_it_is_read_again_and_a_broken_one_never() {
    let (old, new) = (Made::new("127.0.0.1", false), Made::new("127.0.0.1", false));
    let (world, folder) = world(&old).await;
    write(&folder, &new);
    let certificate = world.bound.certificate.as_ref().unwrap();
    assert!(call(&world, old.trust()).await.is_ok() && call(&world, new.trust()).await.is_err());
    certificate.reload().unwrap();
    assert!(call(&world, old.trust()).await.is_err() && call(&world, new.trust()).await.is_ok());
    std::fs::write(folder.path().join("server.cert"), old.certificate.pem()).unwrap();
    assert!(matches!(certificate.reload(), Err(TlsError::Mismatch { .. })));
    assert!(call(&world, new.trust()).await.is_ok());
}

#[tokio::test]
async fn files_that_do_not_serve_are_named_with_the_setting_that_chose_them() {
    let folder = tempfile::tempdir().unwrap();
    let (made, other) = (Made::new("127.0.0.1", false), Made::new("127.0.0.1", false));
    let files = write(&folder, &made);
    let told = || Certificate::load(&files).unwrap_err().to_string();
    std::fs::write(&files.key, other.key.serialize_pem()).unwrap();
    assert!(told().contains("does not serve for the certificate"), "{}", told());
    for content in ["", "no PEM", &made.certificate.pem(), "-----BEGIN PRIVATE KEY-----\nAAAA\n"] {
        std::fs::write(&files.key, content).unwrap();
        assert!(told().starts_with("rpcsslprivatekeyfile=") && told().contains("server.pem"), "{}", told());
    }
    std::fs::remove_file(&files.key).unwrap();
    assert!(told().starts_with("rpcsslprivatekeyfile=") && told().contains("No such file"), "{}", told());
    for content in
        ["", "no PEM", &made.key.serialize_pem(), "-----BEGIN CERTIFICATE-----\n%\n-----END CERTIFICATE-----\n"]
    {
        std::fs::write(&files.chain, content).unwrap();
        assert!(told().starts_with("rpcsslcertificatechainfile=") && told().contains("server.cert"), "{}", told());
    }
    std::fs::remove_file(&files.chain).unwrap();
    std::fs::create_dir(&files.chain).unwrap();
    assert!(told().contains("expected a file"), "{}", told());
}
