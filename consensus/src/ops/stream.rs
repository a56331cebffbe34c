//! Streams: creating one, and publishing in one. See docs/protocol/stream.md.

use rota_chain::data::SALT_BYTES;
use rota_chain::lock::Lock;
use rota_chain::permission::Permission;
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};

use crate::ops::entity::{check_name, creators, put_entity, take_name};
use crate::ops::{Step, data_limit};
use crate::rule::{ApplyError, Rule, StreamRule};
use crate::rules::Rules;
use crate::state::{EntityKind, Overlay, StateView};

/// Checks the creation of a stream without state.
///
/// # Errors
/// [`EntityRule`](crate::rule::EntityRule), [`StreamRule::Restriction`].
pub fn check_create(create: &CreateStream) -> Result<(), Rule> {
    check_name(&create.name)?;
    let StreamRestriction { read, onchain, offchain, .. } = create.restriction;
    if (onchain && offchain) || (read && !(onchain && create.salted)) {
        return Err(StreamRule::Restriction.into());
    }
    Ok(())
}

/// Creates a stream; its creators get all rights on it.
///
/// # Errors
/// [`EntityRule`](crate::rule::EntityRule), or storage.
pub fn apply_create<V: StateView, B: StateView>(
    step: &Step<'_, V>,
    create: &CreateStream,
    overlay: &mut Overlay<B>,
) -> Result<(), ApplyError> {
    let creators = creators(step)?;
    take_name(step, &create.name)?;
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
    let rights = [Permission::Admin, Permission::Activate, Permission::Write, Permission::Read];
    let kind = EntityKind::Stream { restriction: create.restriction, salted: create.salted };
    put_entity(step, kind, &create.name, creators, &rights, overlay)
}

/// Checks an item without state.
///
/// # Errors
/// [`StreamRule`].
pub fn check_publish(publish: &Publish) -> Result<(), StreamRule> {
    if publish.keys.is_empty() {
        return Err(StreamRule::NoKeys);
    }
    if publish.keys.iter().any(|key| key == b"*") {
        return Err(StreamRule::Key);
    }
    match &publish.data {
        ItemData::Offchain(data) if data.salt_size != 0 && data.salt_size != SALT_BYTES => Err(StreamRule::Salt),
        _ => Ok(()),
    }
}

/// Holds an item's sizes against the limits of a state.
///
/// # Errors
/// [`StreamRule::DataSize`], [`StreamRule::Chunks`].
pub fn apply_limits(publish: &Publish, rules: &Rules) -> Result<(), StreamRule> {
    match &publish.data {
        ItemData::Onchain(data) => data_limit(data, rules),
        ItemData::Offchain(data) => {
            let fits = data.chunks.iter().all(|chunk| (1..=rules.maximum_chunk_size).contains(&chunk.size));
            let many = data.chunks.len() > rules.maximum_chunk_count as usize;
            if many || !fits { Err(StreamRule::Chunks) } else { Ok(()) }
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
    // In an open stream anybody may write; an output for which nobody answers has no publisher at all.
    let anybody = !restriction.write && !step.answering.is_empty();
    if anybody || step.any_holds(stream, Permission::Write)? {
        return Ok(());
    }
    Err(StreamRule::Write { stream }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_restricted_stream_is_off_the_chain_and_salted() {
        let create = |read, onchain, offchain, salted| {
            let restriction = StreamRestriction { write: false, read, onchain, offchain };
            check_create(&CreateStream { name: Vec::new(), restriction, salted, details: Vec::new() })
        };
        assert_eq!(create(true, true, false, true), Ok(()));
        for (onchain, offchain, salted) in [(true, false, false), (false, false, true), (true, true, true)] {
            assert_eq!(create(true, onchain, offchain, salted), Err(StreamRule::Restriction.into()));
        }
        assert_eq!(create(false, true, false, false), Ok(()));
    }
}
