//! What all entities share: names, creators and their rights. See docs/protocol/entity.md.

use rota_chain::lock::Lock;
use rota_chain::permission::{BlockRange, Permission};

use crate::ops::Step;
use crate::rule::{ApplyError, EntityRule};
use crate::state::{Entity, EntityKind, Overlay, PermissionKey, PermissionRecord, StateKey, StateValue, StateView};

/// Most bytes of an entity's name.
pub const MAX_ENTITY_NAME: usize = 32;

/// Checks that bytes may name an entity; empty means unnamed.
///
/// # Errors
/// [`EntityRule::NameLong`], [`EntityRule::NameForm`].
pub fn check_name(name: &[u8]) -> Result<(), EntityRule> {
    if name.len() > MAX_ENTITY_NAME {
        return Err(EntityRule::NameLong { length: name.len(), limit: MAX_ENTITY_NAME });
    }
    match std::str::from_utf8(name) {
        Ok("*") | Err(_) => Err(EntityRule::NameForm),
        Ok(text) if is_reference_shaped(text) => Err(EntityRule::NameForm),
        Ok(_) => Ok(()),
    }
}

/// Whether a text has the form of an entity reference: three numbers joined by hyphens, the last up to 65535.
#[must_use]
pub fn is_reference_shaped(text: &str) -> bool {
    let mut parts = text.split('-');
    let number = |part: Option<&str>| {
        part.filter(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit())).and_then(|p| p.parse::<u64>().ok())
    };
    let three = (number(parts.next()), number(parts.next()), number(parts.next()));
    parts.next().is_none() && matches!(three, (Some(_), Some(_), Some(prefix)) if prefix <= u64::from(u16::MAX))
}

/// Who of those that answer for an operation may create an entity.
///
/// # Errors
/// [`EntityRule::Create`] if nobody may, or storage.
pub fn creators<V: StateView>(step: &Step<'_, V>) -> Result<Vec<Lock>, ApplyError> {
    let creators = step.holding(Permission::Create)?;
    if creators.is_empty() { Err(EntityRule::Create.into()) } else { Ok(creators) }
}

/// Checks that no entity has a name; the empty one is none.
///
/// # Errors
/// [`EntityRule::NameTaken`], or storage.
pub fn take_name<V: StateView>(step: &Step<'_, V>, name: &[u8]) -> Result<(), ApplyError> {
    if !name.is_empty() && step.view.entity_named(name)?.is_some() {
        return Err(EntityRule::NameTaken { name: String::from_utf8_lossy(name).into_owned() }.into());
    }
    Ok(())
}

/// Writes a new entity, its name and the rights of its creators on it.
///
/// # Errors
/// Storage alone.
pub fn put_entity<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    kind: EntityKind,
    name: &[u8],
    creators: Vec<Lock>,
    rights: &[Permission],
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let Step { place, txid, .. } = step;
    for address in creators.iter().copied() {
        for permission in rights.iter().copied() {
            let key = PermissionKey { entity: Some(*txid), permission, address };
            let granters = vec![address];
            let record = PermissionRecord { range: BlockRange::ALWAYS, granters, votes: Vec::new() };
            overlay.put(StateKey::Permission(key), Some(StateValue::Permission(record)))?;
        }
    }
    let entity = Entity { kind, name: name.to_vec(), creators, height: place.height, offset: place.offset };
    overlay.put(StateKey::Entity(*txid), Some(StateValue::Entity(entity)))?;
    if !name.is_empty() {
        overlay.put(StateKey::Name(name.to_ascii_lowercase()), Some(StateValue::Name(*txid)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_shaped_like_references_are_refused() {
        for name in ["1-2-3", "0-0-0", "12-345-65535", "*"] {
            assert_eq!(check_name(name.as_bytes()), Err(EntityRule::NameForm), "{name}");
        }
        for name in ["", "a", "1-2", "1-2-65536", "+1-2-3", "1-2-3-4", "stream1"] {
            assert_eq!(check_name(name.as_bytes()), Ok(()), "{name}");
        }
        assert!(check_name(&[b'x'; 33]).is_err());
        assert!(check_name(&[0xff]).is_err());
    }
}
