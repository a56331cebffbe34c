//! Rights: who may do what at a height, with implied rights and rights of everybody. See docs/protocol/permission.md.

use rota_chain::amount::Height;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::permission::Permission;

use crate::rules::Rules;
use crate::state::{PermissionKey, StateError, StateView};

/// Rights that each give `permission` too.
const fn implied_by(permission: Permission) -> &'static [Permission] {
    match permission {
        Permission::Send => &[Permission::Issue, Permission::Create, Permission::Admin, Permission::Activate],
        Permission::Receive => &[Permission::Admin, Permission::Activate],
        Permission::Connect => &[Permission::Admin, Permission::Activate, Permission::Mine],
        Permission::Activate => &[Permission::Admin],
        _ => &[],
    }
}

/// Whether the range of exactly this right covers `height`.
///
/// # Errors
/// [`StateError`] if storage fails.
pub fn holds<V: StateView + ?Sized>(
    view: &V,
    entity: Option<Txid>,
    permission: Permission,
    address: &Lock,
    height: Height,
) -> Result<bool, StateError> {
    let record = view.permission(PermissionKey { entity, permission, address: *address })?;
    Ok(record.is_some_and(|record| record.range.contains(height)))
}

/// Whether `address` has a global right at `height`, by grant, implied, or as everybody (which upgrades may change).
///
/// # Errors
/// [`StateError`] if storage fails.
pub fn may<V: StateView + ?Sized>(
    view: &V,
    rules: &Rules,
    permission: Permission,
    address: &Lock,
    height: Height,
) -> Result<bool, StateError> {
    if rules.at(view)?.anyone_may(permission) || holds(view, None, permission, address, height)? {
        return Ok(true);
    }
    for other in implied_by(permission) {
        if holds(view, None, *other, address, height)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether `address` has a right on an entity at `height`, by grant or implied.
///
/// # Errors
/// [`StateError`] if storage fails.
pub fn may_on<V: StateView + ?Sized>(
    view: &V,
    entity: Txid,
    permission: Permission,
    address: &Lock,
    height: Height,
) -> Result<bool, StateError> {
    if holds(view, Some(entity), permission, address, height)? {
        return Ok(true);
    }
    match permission {
        Permission::Activate => holds(view, Some(entity), Permission::Admin, address, height),
        _ => Ok(false),
    }
}

/// The right needed to grant or revoke `permission`.
#[must_use]
pub const fn granting_right(permission: Permission) -> Permission {
    match permission {
        Permission::Connect
        | Permission::Send
        | Permission::Receive
        | Permission::Write
        | Permission::Read
        | Permission::Low1
        | Permission::Low2
        | Permission::Low3 => Permission::Activate,
        Permission::Create
        | Permission::Issue
        | Permission::Mine
        | Permission::Activate
        | Permission::Admin
        | Permission::High1
        | Permission::High2
        | Permission::High3 => Permission::Admin,
    }
}

/// Whether `address` may grant or revoke `permission` on `entity` (none: of the whole chain).
///
/// # Errors
/// [`StateError`] if storage fails.
pub fn may_grant<V: StateView + ?Sized>(
    view: &V,
    rules: &Rules,
    entity: Option<Txid>,
    permission: Permission,
    address: &Lock,
    height: Height,
) -> Result<bool, StateError> {
    let right = granting_right(permission);
    match entity {
        Some(entity) => may_on(view, entity, right, address, height),
        None => Ok(rules.anyone_may(Permission::Admin) || may(view, rules, right, address, height)?),
    }
}

/// Number of addresses whose global right covers `height`.
///
/// # Errors
/// [`StateError`] if storage fails.
pub fn count<V: StateView + ?Sized>(view: &V, permission: Permission, height: Height) -> Result<u32, StateError> {
    let holders = view.holders(None, permission)?;
    let count = holders.iter().filter(|(_, record)| record.range.contains(height)).count();
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}
