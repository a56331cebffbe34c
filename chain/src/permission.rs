//! Permissions: their names, sets, block ranges, and the grant operation. See docs/protocol/permission.md.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::amount::Height;
use crate::hash::Txid;

/// One right, of the whole chain or on one entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Permission {
    /// To connect to other nodes.
    Connect = 0,
    /// To be an author or spend coins.
    Send = 1,
    /// To be the recipient of coins.
    Receive = 2,
    /// To publish in a stream, or set a variable.
    Write = 3,
    /// To read a read-restricted stream.
    Read = 4,
    /// To create streams and other entities.
    Create = 5,
    /// To issue assets.
    Issue = 6,
    /// To create blocks.
    Mine = 7,
    /// To grant and revoke the rights of activators.
    Activate = 8,
    /// To grant and revoke every right.
    Admin = 9,
    /// Of the application's own meaning; granted by activators.
    Low1 = 10,
    /// As `Low1`.
    Low2 = 11,
    /// As `Low1`.
    Low3 = 12,
    /// Of the application's own meaning; granted by administrators.
    High1 = 13,
    /// As `High1`.
    High2 = 14,
    /// As `High1`.
    High3 = 15,
}

impl Permission {
    /// Every permission, in the order lists show them.
    pub const ALL: [Permission; 16] = [
        Permission::Connect,
        Permission::Send,
        Permission::Receive,
        Permission::Write,
        Permission::Read,
        Permission::Create,
        Permission::Issue,
        Permission::Mine,
        Permission::Activate,
        Permission::Admin,
        Permission::Low1,
        Permission::Low2,
        Permission::Low3,
        Permission::High1,
        Permission::High2,
        Permission::High3,
    ];

    /// The name in parameters and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Permission::Connect => "connect",
            Permission::Send => "send",
            Permission::Receive => "receive",
            Permission::Write => "write",
            Permission::Read => "read",
            Permission::Create => "create",
            Permission::Issue => "issue",
            Permission::Mine => "mine",
            Permission::Activate => "activate",
            Permission::Admin => "admin",
            Permission::Low1 => "low1",
            Permission::Low2 => "low2",
            Permission::Low3 => "low3",
            Permission::High1 => "high1",
            Permission::High2 => "high2",
            Permission::High3 => "high3",
        }
    }

    /// The number it is encoded as.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    const fn bit(self) -> u32 {
        1u32.wrapping_shl(self as u32)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown permission {0:?}")]
pub struct PermissionNameError(pub String);

impl FromStr for Permission {
    type Err = PermissionNameError;

    fn from_str(text: &str) -> Result<Permission, PermissionNameError> {
        Permission::ALL.into_iter().find(|p| p.name() == text).ok_or_else(|| PermissionNameError(text.to_owned()))
    }
}

/// A set of permissions; bits without a permission are refused on decode.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, BorshSerialize)]
pub struct PermissionSet(u32);

impl PermissionSet {
    /// The empty set.
    pub const EMPTY: PermissionSet = PermissionSet(0);

    /// The set with `permission` added.
    #[must_use]
    pub const fn with(self, permission: Permission) -> PermissionSet {
        PermissionSet(self.0 | permission.bit())
    }

    /// Whether `permission` is in the set.
    #[must_use]
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members in list order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |p| self.contains(*p))
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> PermissionSet {
        permissions.into_iter().fold(PermissionSet::EMPTY, PermissionSet::with)
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl BorshDeserialize for PermissionSet {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<PermissionSet> {
        let bits = u32::deserialize_reader(reader)?;
        if bits > u32::from(u16::MAX) {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "unknown permission bits"));
        }
        Ok(PermissionSet(bits))
    }
}

/// The blocks a permission holds for: `start <= height < end`.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub struct BlockRange {
    /// First height.
    pub start: u32,
    /// Height to stop before.
    pub end: u32,
}

impl BlockRange {
    /// From the first block on, without end.
    pub const ALWAYS: BlockRange = BlockRange { start: 0, end: u32::MAX };
    /// No block: what a revoke sets.
    pub const NEVER: BlockRange = BlockRange { start: 0, end: 0 };

    /// Whether the range covers `height`.
    #[must_use]
    pub const fn contains(self, height: Height) -> bool {
        self.start <= height.0 && height.0 < self.end
    }

    /// Whether no height is covered.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// Sets ranges of rights of the output's recipient, or votes for it where several administrators must agree.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Grant {
    /// The entity, none for rights of the whole chain.
    pub entity: Option<Txid>,
    /// The rights.
    pub permissions: PermissionSet,
    /// The range that replaces the old one.
    pub range: BlockRange,
    /// Unix seconds, shown and never judged: of one administrator's votes the last in chain order counts.
    pub timestamp: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for permission in Permission::ALL {
            assert_eq!(permission.name().parse(), Ok(permission));
        }
        assert!("Mine".parse::<Permission>().is_err());
    }

    #[test]
    fn a_range_holds_its_start_and_not_its_end() {
        let range = BlockRange { start: 5, end: 7 };
        assert!(!range.contains(Height(4)) && range.contains(Height(5)));
        assert!(range.contains(Height(6)) && !range.contains(Height(7)));
        assert!(BlockRange::NEVER.is_empty() && BlockRange { start: 9, end: 3 }.is_empty());
    }

    #[test]
    fn unknown_bits_are_refused() {
        assert!(crate::codec::decode::<PermissionSet>(&0x1_0000u32.to_le_bytes()).is_err());
    }
}
