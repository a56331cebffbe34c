//! Streams: creating one, and publishing in one. See docs/protocol/stream.md.

use rota_chain::data::SALT_BYTES;
use rota_chain::lock::Lock;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};

use crate::authority;
use crate::ops::Step;
use crate::rule::{ApplyError, EntityRule, Rule, StreamRule};
use crate::rules::Rules;
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

/// Checks the creation of a stream without state.
///
/// # Errors
/// [`EntityRule`], [`StreamRule::Restriction`].
pub fn check_create(create: &CreateStream) -> Result<(), Rule> {
    check_name(&create.name)?;
    let StreamRestriction { read, onchain, offchain, .. } = create.restriction;
    if (onchain && offchain) || (read && !onchain) {
        return Err(StreamRule::Restriction.into());
    }
    Ok(())
}

/// Creates a stream; its creators get all rights on it.
///
/// # Errors
/// [`EntityRule`], or storage.
pub fn apply_create<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    create: &CreateStream,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let mut creators = Vec::new();
    for lock in step.answering {
        if authority::may(step.view, step.rules, Permission::Create, lock, step.place.height)? {
            creators.push(*lock);
        }
    }
    if creators.is_empty() {
        return Err(EntityRule::Create.into());
    }
    if step.view.entity_named(&create.name)?.is_some_and(|_| !create.name.is_empty()) {
        return Err(EntityRule::NameTaken { name: String::from_utf8_lossy(&create.name).into_owned() }.into());
    }
    put_stream(step, create, creators, overlay)
}

/// Writes a new stream, its name and its creators' rights.
///
/// # Errors
/// Storage alone.
pub fn put_stream<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    create: &CreateStream,
    creators: Vec<Lock>,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    for address in creators.iter().copied() {
        for permission in [Permission::Admin, Permission::Activate, Permission::Write, Permission::Read] {
            let key = PermissionKey { entity: Some(step.txid), permission, address };
            let granters = vec![address];
            let record = PermissionRecord { range: BlockRange::ALWAYS, granters, votes: Vec::new() };
            overlay.put(StateKey::Permission(key), Some(StateValue::Permission(record)))?;
        }
    }
    let kind = EntityKind::Stream { restriction: create.restriction, salted: create.salted };
    let Step { place, txid, .. } = step;
    let entity = Entity { kind, name: create.name.clone(), creators, height: place.height, offset: place.offset };
    overlay.put(StateKey::Entity(*txid), Some(StateValue::Entity(entity)))?;
    if !create.name.is_empty() {
        overlay.put(StateKey::Name(create.name.to_ascii_lowercase()), Some(StateValue::Name(*txid)))?;
    }
    Ok(())
}

/// Checks an item without state.
///
/// # Errors
/// [`StreamRule`].
pub fn check_publish(publish: &Publish, rules: &Rules) -> Result<(), StreamRule> {
    if publish.keys.is_empty() {
        return Err(StreamRule::NoKeys);
    }
    if publish.keys.iter().any(|key| key == b"*") {
        return Err(StreamRule::Key);
    }
    match &publish.data {
        ItemData::Onchain(data) => {
            let size = data.bytes.len();
            let limit = rules.maximum_data_size;
            if size > limit as usize { Err(StreamRule::DataSize { size, limit }) } else { Ok(()) }
        }
        ItemData::Offchain(data) => {
            let sizes = || data.chunks.iter().all(|c| (1..=rules.maximum_chunk_size).contains(&c.size));
            if data.chunks.len() > rules.maximum_chunk_count as usize || !sizes() {
                return Err(StreamRule::Chunks);
            }
            if data.salt_size == 0 || data.salt_size == SALT_BYTES { Ok(()) } else { Err(StreamRule::Salt) }
        }
    }
}

/// Checks an item against its stream. Items are no state: nothing changes.
///
/// # Errors
/// [`StreamRule`], or storage.
pub fn check_publish_state<V: StateView>(step: &Step<'_, V>, publish: &Publish) -> Result<(), ApplyError> {
    let stream = publish.stream;
    let kind = step.view.entity(&stream)?.map(|entity| entity.kind);
    let Some(EntityKind::Stream { restriction, salted }) = kind else {
        return Err(StreamRule::Missing { stream }.into());
    };
    match &publish.data {
        ItemData::Onchain(_) if restriction.onchain => return Err(StreamRule::Onchain.into()),
        ItemData::Offchain(_) if restriction.offchain => return Err(StreamRule::Offchain.into()),
        ItemData::Offchain(data) if !data.chunks.is_empty() && salted != (data.salt_size == SALT_BYTES) => {
            return Err(StreamRule::Salt.into());
        }
        _ => {}
    }
    for lock in step.answering {
        // In an open stream anybody may write; an output for which nobody answers has no publisher at all.
        if !restriction.write {
            return Ok(());
        }
        if authority::may_on(step.view, stream, Permission::Write, lock, step.place.height)? {
            return Ok(());
        }
    }
    Err(StreamRule::Write { stream }.into())
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
