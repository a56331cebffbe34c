//! Crash points: the places after a step of writing where a process may be made to end at once, as kill -9 would end it.
//! Without the feature `points` nothing happens at them, and nothing of them is left in the program.

#[cfg(feature = "points")]
mod armed;

/// Makes the enum of points, their names and the list of them all from one table.
macro_rules! points {
    ($($point:ident $name:literal $step:literal)*) => {
        /// A place after a step of writing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Point {
            $(#[doc = $step] $point,)*
        }

        impl Point {
            /// Every point.
            pub const ALL: &[Point] = &[$(Point::$point),*];

            /// How the environment and reports name it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Point::$point => $name,)*
                }
            }
        }
    };
}

points! {
    BlockFileMade "block-file-made" "A new block file was made."
    BlockFileCut "block-file-cut" "An unfinished record was cut off a block file."
    BlockWritten "block-written" "A block was appended to the block files."
    UndoWritten "undo-written" "Undo data was appended to the block files."
    BlockFileSynced "block-file-synced" "The block file was synced."
    EntryNoted "entry-noted" "What is known of a block was noted."
    TipMoved "tip-moved" "Blocks were applied, in one batch with the tip."
    TipMovedBack "tip-moved-back" "Blocks were undone, and others applied, in one batch with the tip."
    DatabaseMarked "database-marked" "Format and mark were written to the database that was opened."
    DatabaseEmptied "database-emptied" "The database was removed, to be rebuilt."
    RebuildFinished "rebuild-finished" "The database was noted to be rebuilt."
    JournalAppended "journal-appended" "An acknowledged transaction was appended to the journal."
    JournalSynced "journal-synced" "The journal was synced."
    JournalCut "journal-cut" "An unfinished record was cut off the journal."
    JournalCopied "journal-copied" "What is kept of the journal was written beside it."
    JournalReplaced "journal-replaced" "The new journal took the place of the old one."
    Subscribed "subscribed" "A subscription was noted."
    Unsubscribed "unsubscribed" "A subscription and its index were dropped."
    SubscriptionChanged "subscription-changed" "A subscription was set to fetch or not to fetch off-chain data."
    IndexTrimmed "index-trimmed" "Indexes of a subscription were dropped."
    HistoryIndexed "history-indexed" "A step of history was indexed."
    SeenIndexed "seen-indexed" "Transactions got their place in local order."
    LostKept "lost-kept" "A transaction that lost its place was kept aside."
    WalletIndexed "wallet-indexed" "Addresses of the wallet were listed for its index."
    ChunkWritten "chunk-written" "A chunk of off-chain data was written."
    ChunksSynced "chunks-synced" "Chunks were synced."
    ChunkRemoved "chunk-removed" "A chunk was given up."
    WalletAppended "wallet-appended" "A record was appended to the wallet file."
    WalletSynced "wallet-synced" "The wallet file was synced."
    WalletCopied "wallet-copied" "A whole wallet file was written beside its place."
    WalletReplaced "wallet-replaced" "A whole wallet file was renamed into its place."
    WalletWiped "wallet-wiped" "A replaced wallet file was overwritten."
    WalletTornKept "wallet-torn-kept" "An unfinished record of the wallet file was copied aside."
    WalletCut "wallet-cut" "An unfinished record was cut off the wallet file."
    PeersWritten "peers-written" "The book of known nodes was written beside its place."
    PeersReplaced "peers-replaced" "The book of known nodes took the place of the old one."
}

/// Environment variable that names the point to end at and at which time it is reached, as `tip-moved:3`.
pub const VARIABLE: &str = "ROTA_CRASH_AT";

/// What the process writes to standard error before it ends at a point, before the point's name.
pub const LAST_WORDS: &str = "crash point ";

impl std::str::FromStr for Point {
    type Err = String;

    fn from_str(name: &str) -> Result<Point, String> {
        let found = Point::ALL.iter().copied().find(|point| point.name() == name);
        found.ok_or_else(|| format!("{name} is no crash point"))
    }
}

/// A point, and at which time it is reached a process is to end there: 1 is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The point.
    pub point: Point,
    /// The time.
    pub time: u64,
}

impl std::fmt::Display for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.point.name(), self.time)
    }
}

impl std::str::FromStr for Turn {
    type Err = String;

    fn from_str(text: &str) -> Result<Turn, String> {
        let (name, time) = text.split_once(':').unwrap_or((text, "1"));
        let time = time.parse().ok().filter(|time| *time > 0);
        Ok(Turn { point: name.parse()?, time: time.ok_or("the time it is reached is a number from 1 on")? })
    }
}

/// Says that the process is at a point; does not return if this is where it is to end.
#[cfg(feature = "points")]
pub fn reached(point: Point) {
    armed::reached(point);
}

/// Says that the process is at a point.
#[cfg(not(feature = "points"))]
#[inline(always)]
pub const fn reached(_: Point) {}

/// Looks at the environment variable before anything is done.
///
/// # Errors
/// A sentence, if it names no point or no number of times.
#[cfg(feature = "points")]
pub fn arm() -> Result<(), String> {
    armed::arm()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_found_by_its_name_and_no_two_share_one() {
        for point in Point::ALL {
            assert_eq!(point.name().parse(), Ok(*point));
        }
        assert_eq!("tip".parse::<Point>(), Err("tip is no crash point".to_owned()));
    }

    #[test]
    fn a_point_is_named_with_its_turn() {
        let turn = Turn { point: Point::TipMoved, time: 3 };
        assert_eq!(turn.to_string().parse(), Ok(turn));
        assert_eq!("tip-moved".parse(), Ok(Turn { time: 1, ..turn }));
        for bad in ["", "tip", "tip-moved:0", "tip-moved:x"] {
            assert!(bad.parse::<Turn>().is_err(), "{bad}");
        }
    }
}
