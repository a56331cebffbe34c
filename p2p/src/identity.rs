//! Identities: a peer's libp2p key is the key of its address, so that Noise proves the address.

use libp2p::PeerId;
use libp2p::identity::{self, Keypair};
use libp2p::multihash::Multihash;
use rota_chain::hash::hash160;
use rota_chain::key::PrivateKey;
use rota_chain::lock::KeyHash;

use crate::peer::PeerHandle;

/// Multihash code under which a peer id carries the public key itself.
const INLINE_KEY: u64 = 0;
/// Prefix of the ids by which the inner protocols know a connection. No public key begins so.
const ALIAS: &[u8; 4] = b"link";

/// A secret that is no secp256k1 key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the secret is no secp256k1 private key")]
pub struct IdentityError;

/// The key a node proves its address with.
#[derive(Clone)]
pub struct PeerKey(Keypair);

impl PeerKey {
    /// The identity of a private key.
    ///
    /// # Errors
    /// [`IdentityError`] if the 32 bytes are zero or not below the curve's order.
    pub fn from_secret(secret: [u8; 32]) -> Result<PeerKey, IdentityError> {
        let secret = identity::secp256k1::SecretKey::try_from_bytes(secret).map_err(|_| IdentityError)?;
        Ok(PeerKey(Keypair::from(identity::secp256k1::Keypair::from(secret))))
    }

    /// The identity of an address' private key.
    ///
    /// # Errors
    /// [`IdentityError`] never for a valid key; the two libraries check alike.
    pub fn from_private_key(key: &PrivateKey) -> Result<PeerKey, IdentityError> {
        PeerKey::from_secret(key.to_bytes())
    }

    /// The address this identity proves.
    #[must_use]
    pub fn address(&self) -> KeyHash {
        address_of(&self.peer_id()).expect("a secp256k1 peer id carries its key")
    }

    pub(crate) fn keypair(&self) -> &Keypair {
        &self.0
    }

    pub(crate) fn peer_id(&self) -> PeerId {
        self.0.public().to_peer_id()
    }
}

impl std::fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PeerKey({:?})", self.address())
    }
}

/// The address a peer id proves; none for keys that are not secp256k1.
pub(crate) fn address_of(peer: &PeerId) -> Option<KeyHash> {
    let hash: &Multihash<64> = peer.as_ref();
    if hash.code() != INLINE_KEY {
        return None;
    }
    let key = identity::PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    let key = key.try_into_secp256k1().ok()?;
    Some(KeyHash(hash160(&key.to_bytes())))
}

/// The id by which the inner protocols know one connection: each is a peer of its own to them.
pub(crate) fn alias(handle: PeerHandle) -> PeerId {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(ALIAS);
    bytes[4..].copy_from_slice(&handle.0.to_le_bytes());
    let hash = Multihash::wrap(INLINE_KEY, &bytes).expect("12 bytes fit into 64");
    PeerId::from_multihash(hash).expect("12 bytes are below the inline limit of 42")
}

/// The connection an alias stands for.
pub(crate) fn handle_of(alias: &PeerId) -> Option<PeerHandle> {
    let hash: &Multihash<64> = alias.as_ref();
    let number = hash.digest().strip_prefix(ALIAS)?;
    Some(PeerHandle(u64::from_le_bytes(number.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]
    use super::*;

    #[test]
    fn a_peer_id_carries_the_address_of_its_key() {
        let secret = [7; 32];
        let key = PeerKey::from_secret(secret).unwrap();
        let public = PrivateKey::from_bytes(secret).unwrap().public_key();
        assert_eq!(key.address(), public.key_hash());
    }

    #[test]
    fn an_identity_of_another_key_type_has_no_address() {
        use libp2p::identity::{KeyType, PublicKey};
        // An Ed25519 key in libp2p's encoding: type 1, 32 bytes (a valid point: the curve's base).
        let mut point = [0x66_u8; 32];
        point[0] = 0x58;
        let mut bytes = vec![8, 1, 18, 32];
        bytes.extend(point);
        if let Ok(key) = PublicKey::try_decode_protobuf(&bytes) {
            assert_eq!(key.key_type(), KeyType::Ed25519);
        }
        let peer = PeerId::from_multihash(Multihash::wrap(0, &bytes).unwrap()).unwrap();
        assert_eq!(address_of(&peer), None);
    }

    #[test]
    fn zero_is_no_identity() {
        assert_eq!(PeerKey::from_secret([0; 32]).unwrap_err(), IdentityError);
    }

    #[test]
    fn an_alias_names_its_connection_and_no_address() {
        let alias = alias(PeerHandle(0x0102_0304_0506_0708));
        assert_eq!(handle_of(&alias), Some(PeerHandle(0x0102_0304_0506_0708)));
        assert_eq!(address_of(&alias), None);
        let real = PeerKey::from_secret([9; 32]).unwrap().peer_id();
        assert_eq!(handle_of(&real), None);
    }
}
