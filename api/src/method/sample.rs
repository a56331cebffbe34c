//! What the examples of the table name. A node puts what its own chain has in their place, so that an example works as it
//! is pasted; `docs/rpc.md` and `node-cli help` without a node show them as they stand here.

/// The chain.
pub const CHAIN: &str = "chain1";
/// An address of the caller's wallet.
pub const ADDRESS: &str = "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR";
/// Somebody else's address.
pub const OTHER_ADDRESS: &str = "17wieKcTqYsoo2icnqjtw9562t2SNX3BqgnjZf";
/// A private key.
pub const PRIVATE_KEY: &str = "VGRAp2LEwBY163NbBwBfKiguJske5mLK9EwoNnitYQPxF95r2x7Fq2iG";
/// A public key.
pub const PUBLIC_KEY: &str = "035d31dcbe4facc54bf1b34ed322062668c663100455fdcf43d55b417286a867a2";
/// What signs [`MESSAGE`] with the key of [`ADDRESS`].
pub const SIGNATURE: &str = "H1kGxoiyXWsVHJ2b9EHSBcXtJ+UHkHhk";
/// A message to sign.
pub const MESSAGE: &str = "hello";
/// A transaction.
pub const TXID: &str = "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32";
/// A block.
pub const BLOCK: &str = "00b4decca1d42652529af2667341257954debda86fbc3ba6e085c0b26f64cef2";
/// The bytes of a transaction.
pub const RAW_TRANSACTION: &str = "0100000001aa";
/// A stream.
pub const STREAM: &str = "stream1";
/// An asset.
pub const ASSET: &str = "asset1";
/// An asset of tokens.
pub const TOKENS: &str = "art";
/// A token of it.
pub const TOKEN: &str = "mona";
/// A variable.
pub const VARIABLE: &str = "variable1";
/// An upgrade.
pub const UPGRADE: &str = "upgrade1";
/// An item of the binary cache.
pub const CACHE: &str = "hCTZz7Nt";
