//! TLS on the port of JSON-RPC: certificate and key, how they are read again while the node runs, and the handshake.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

/// How long a handshake may take: two round trips on the slowest of networks.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// The first byte of every TLS connection.
const HANDSHAKE_BYTE: u8 = 22;

/// Most bytes of either file: chains have a handful of certificates of two kilobytes each.
const FILE_LIMIT: u64 = 1024 * 1024;

/// What a caller without TLS is told.
const PLAIN_REPLY: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 47\r\n\
    Connection: close\r\n\r\nThis port speaks TLS: use https, or -rpcssl=1.\n";

/// Where certificate and key lie.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// `rpcsslcertificatechainfile`: the node's certificate first.
    pub chain: PathBuf,
    /// `rpcsslprivatekeyfile`.
    pub key: PathBuf,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("{setting}={path}: {cause}", path = .path.display())]
    Unreadable {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer, or what is wrong with the content.
        cause: String,
    },
    /// Both were read, and do not belong together or cannot be used.
    #[error(
        "the key in {key} does not serve for the certificate in {chain} ({cause}): see rpcsslprivatekeyfile and rpcsslcertificatechainfile",
        key = .files.key.display(), chain = .files.chain.display()
    )]
    Mismatch {
        /// The files.
        files: TlsFiles,
        /// What the TLS library says.
        cause: rustls::Error,
    },
}

/// The certificate that is shown now.
#[derive(Debug)]
pub struct Certificate {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
}

impl Certificate {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(read(files)?));
        Ok(Self { files: files.clone(), current })
    }

    /// Reads both again, for connections that come from now on. If they do not serve, the ones in use stay.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(read(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Whether a client begins with TLS; one that does not is told, and none that says nothing in time.
    pub(super) async fn is_expected_by(&self, stream: &TcpStream) -> bool {
        let mut first = [0; 1];
        match tokio::time::timeout(HANDSHAKE_TIME, stream.peek(&mut first)).await {
            Ok(Ok(1)) if first == [HANDSHAKE_BYTE] => true,
            Ok(Ok(1)) => {
                // A fresh socket has room for a line, so nothing waits.
                let _ = stream.try_write(PLAIN_REPLY);
                tracing::debug!("a caller did not speak TLS");
                false
            }
            Ok(Ok(_) | Err(_)) | Err(_) => false,
        }
    }

    /// The handshake, none if it fails or takes too long.
    pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Option<TlsStream<S>> {
        let config = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        match tokio::time::timeout(HANDSHAKE_TIME, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!(limit = ?HANDSHAKE_TIME, "a TLS handshake took too long");
                None
            }
        }
    }
}

fn read(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let text = read_file("rpcsslcertificatechainfile", &files.chain)?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, PemError>>();
    let bad_chain = |cause: String| TlsError::Unreadable {
        setting: "rpcsslcertificatechainfile",
        path: files.chain.clone(),
        cause,
    };
    let chain = chain.map_err(|error| bad_chain(format!("it is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(bad_chain("it holds no certificate in PEM form (BEGIN CERTIFICATE)".to_owned()));
    }
    let text = read_file("rpcsslprivatekeyfile", &files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::Unreadable {
        setting: "rpcsslprivatekeyfile",
        path: files.key.clone(),
        cause: "it holds no private key in PEM form without a passphrase (BEGIN PRIVATE KEY)".to_owned(),
    })?;
    warn_of_readers(&files.key);
    let mismatch = |cause| TlsError::Mismatch { files: files.clone(), cause };
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(mismatch)?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key).map_err(mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read_file(setting: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |cause: String| TlsError::Unreadable { setting, path: path.to_owned(), cause };
    let metadata = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > FILE_LIMIT {
        return Err(unreadable(format!("expected a file of at most {FILE_LIMIT} bytes, got {}", metadata.len())));
    }
    std::fs::read(path).map_err(|error| unreadable(error.to_string()))
}

/// A key that others on this machine can read protects nothing from them.
fn warn_of_readers(path: &Path) {
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "others can read the private key of TLS: chmod 600");
    }
}
