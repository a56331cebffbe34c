//! Signed messages in MultiChain's scheme, so that existing verifiers accept them. See docs/protocol/message.md.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::hash::sha256d;
use crate::key::{PrivateKey, PublicKey, RecoverableBytes};

const MAGIC: &[u8] = b"MultiChain Signed Message:\n";
/// First byte of a compact signature of a compressed key with recovery id 0.
const COMPACT_BASE: u8 = 31;

fn digest(message: &[u8]) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(message.len().saturating_add(48));
    push_length(&mut bytes, MAGIC.len());
    bytes.extend_from_slice(MAGIC);
    push_length(&mut bytes, message.len());
    bytes.extend_from_slice(message);
    sha256d(&bytes)
}

fn push_length(bytes: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short < 0xfd => bytes.push(short),
        _ => match u16::try_from(length) {
            Ok(middle) => {
                bytes.push(0xfd);
                bytes.extend_from_slice(&middle.to_le_bytes());
            }
            Err(_) => {
                bytes.push(0xfe);
                bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
            }
        },
    }
}

/// Signs a message: base64 of a 65-byte compact signature.
#[must_use]
pub fn sign_message(key: &PrivateKey, message: &[u8]) -> String {
    let RecoverableBytes(mut bytes) = key.sign_recoverable(&digest(message));
    if let Some(first) = bytes.first_mut() {
        *first = first.saturating_add(COMPACT_BASE);
    }
    STANDARD.encode(bytes)
}

/// The key that signed a message; none if the text is no base64 of 65 bytes (`Err`) or recovers to no key.
///
/// # Errors
/// [`MessageError`] if the text is not base64 of 65 bytes.
pub fn message_signer(signature: &str, message: &[u8]) -> Result<Option<PublicKey>, MessageError> {
    let bytes = STANDARD.decode(signature).map_err(|_| MessageError)?;
    let Ok(mut bytes) = <[u8; 65]>::try_from(bytes) else {
        return Ok(None);
    };
    if let Some(first) = bytes.first_mut() {
        let Some(id) = first.checked_sub(COMPACT_BASE) else {
            return Ok(None);
        };
        *first = id;
    }
    Ok(RecoverableBytes(bytes).recover(&digest(message)).ok())
}

/// A signature text that is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not base64 text")]
pub struct MessageError;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_signed_message_names_its_signer() {
        let key = PrivateKey::from_bytes([5; 32]).unwrap();
        for message in [&b"hello"[..], b"", &[7; 300], &[7; 70_000]] {
            let text = sign_message(&key, message);
            assert_eq!(message_signer(&text, message), Ok(Some(key.public_key())));
            assert_ne!(message_signer(&text, b"other"), Ok(Some(key.public_key())));
        }
        assert_eq!(message_signer("no base64!", b"x"), Err(MessageError));
        assert_eq!(message_signer("AAAA", b"x"), Ok(None));
    }
}
