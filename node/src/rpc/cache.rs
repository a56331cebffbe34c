//! The binary cache: files in which callers collect data before they publish it, and reading the data of outputs,
//! whole or in part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::params::Params;
use rota_chain::data::{Data, DataFormat};
use rota_chain::operation::Operation;
use rota_chain::stream::ItemData;
use serde_json::Value;

use crate::context::Context;
use crate::ledger::SubmitError;
use crate::offchain::Fetched;
use crate::rpc::decode::Moment;
use crate::rpc::{Answer, Answerer, data, refusal, resolve};

/// Random bytes of an identifier.
const IDENTIFIER_BYTES: usize = 8;
/// Most characters of an identifier: eight bytes take at most eleven in base58.
const IDENTIFIER_LENGTH: usize = 11;
/// Most bytes of one cached file: the largest off-chain item that parameters allow, 2,048 chunks of 16 MiB.
pub const CACHE_FILE_BYTES: u64 = 32 << 30;
/// Items of the binary cache.
const CACHE_FILES: usize = if cfg!(test) { 3 } else { 10_000 };
/// Bytes of an answer's data may not reach this: a larger one is read in parts.
const OUTPUT_BYTES: u64 = 64 << 20;
/// Bytes copied to the cache at a time.
const COPY_BYTES: u64 = 16 << 20;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("createbinarycache", Answerer::Later(|ctx, params| resolve::heavy(ctx, params, create))),
    ("appendbinarycache", Answerer::Later(append)),
    ("deletebinarycache", Answerer::Now(delete)),
    ("gettxoutdata", Answerer::Later(output_data)),
    ("txouttobinarycache", Answerer::Later(output_to_cache)),
];

/// A file of the binary cache that exists.
#[derive(Debug)]
pub struct CacheFile {
    path: PathBuf,
    size: u64,
}

impl CacheFile {
    /// Its bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// All of it.
    ///
    /// # Errors
    /// -717 if it cannot be read.
    pub fn read_all(&self) -> Result<Vec<u8>, RpcError> {
        fs::read(&self.path).map_err(file_error)
    }

    /// Its pieces of at most `length` bytes, one at a time, to `each`.
    ///
    /// # Errors
    /// -717 if it cannot be read, and what `each` answers.
    pub fn read_pieces(
        &self,
        length: usize,
        mut each: impl FnMut(&[u8]) -> Result<(), RpcError>,
    ) -> Result<(), RpcError> {
        let mut file = File::open(&self.path).map_err(file_error)?;
        let mut piece = Vec::with_capacity(length);
        loop {
            piece.clear();
            let taken = Read::by_ref(&mut file).take(length as u64).read_to_end(&mut piece).map_err(file_error)?;
            if taken == 0 {
                return Ok(());
            }
            each(&piece)?;
        }
    }
}

/// A file of the binary cache that grows; nobody else adds to it meanwhile.
struct Growing {
    file: File,
    size: u64,
}

impl Growing {
    /// Opens a file, once nobody else adds to it.
    fn open(path: &Path) -> Result<Growing, RpcError> {
        let file = OpenOptions::new().append(true).open(path).map_err(internal)?;
        file.lock().map_err(internal)?;
        let size = file.metadata().map_err(internal)?.len();
        Ok(Growing { file, size })
    }

    /// Adds bytes, all or none.
    fn append(&mut self, bytes: &[u8]) -> Result<(), RpcError> {
        let size = self.size.saturating_add(bytes.len() as u64);
        if size > CACHE_FILE_BYTES {
            let error = RpcError::not_supported(format!("A cached item holds at most {CACHE_FILE_BYTES} bytes"));
            return Err(error.rule("cache-size").got(size).allowed(CACHE_FILE_BYTES));
        }
        if let Err(error) = self.file.write_all(bytes) {
            self.cut(self.size);
            return Err(internal(error));
        }
        self.size = size;
        Ok(())
    }

    /// Takes back what was added above a size.
    fn cut(&mut self, size: u64) {
        match self.file.set_len(size) {
            Ok(()) => self.size = size,
            Err(error) => tracing::error!(%error, "a file of the binary cache keeps part of what was added to it"),
        }
    }
}

fn file_error(error: io::Error) -> RpcError {
    RpcError::new(Code::File, format!("The binary cache cannot be read: {error}"))
}

fn internal(error: io::Error) -> RpcError {
    RpcError::internal(format!("the binary cache cannot be written: {error}"))
}

/// The file of an identifier. Only texts that an identifier could be become names of files.
///
/// # Errors
/// -8 if there is none.
pub fn open(ctx: &Context, identifier: &str) -> Result<CacheFile, RpcError> {
    let missing = || {
        let error = RpcError::new(Code::InvalidParameter, "Binary cache item with this identifier not found");
        error.rule("cache-missing").got(identifier)
    };
    if !is_identifier(identifier) {
        return Err(missing());
    }
    let path = ctx.directory.cache().join(identifier);
    let size = fs::metadata(&path).ok().filter(fs::Metadata::is_file).ok_or_else(missing)?.len();
    Ok(CacheFile { path, size })
}

/// Whether a text is what `createbinarycache` gives out, and so the name of a file of the cache and of nothing else.
pub fn is_identifier(text: &str) -> bool {
    text.len() <= IDENTIFIER_LENGTH && base58::decode(text).is_some_and(|bytes| bytes.len() == IDENTIFIER_BYTES)
}

fn create(ctx: &Context, _: &Params) -> Answer {
    let folder = ctx.directory.cache();
    fs::create_dir_all(&folder).map_err(internal)?;
    check_count(&folder)?;
    let bytes: [u8; IDENTIFIER_BYTES] = rand::random();
    let identifier = base58::encode(&bytes);
    OpenOptions::new().write(true).create_new(true).open(folder.join(&identifier)).map_err(internal)?;
    Ok(identifier.into())
}

/// Refuses one item more than the cache may hold.
fn check_count(folder: &Path) -> Result<(), RpcError> {
    let count = fs::read_dir(folder).map_err(internal)?.count();
    if count < CACHE_FILES {
        return Ok(());
    }
    let error = RpcError::not_supported(format!("The binary cache holds at most {CACHE_FILES} items: delete some"));
    Err(error.rule("cache-files").got(count).allowed(CACHE_FILES))
}

fn append(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let file = open(&ctx, params.text(0)?)?;
        let bytes = data::hexadecimal(params.value(1))?;
        check_room(&ctx)?;
        let mut file = Growing::open(&file.path)?;
        file.append(&bytes)?;
        Ok(file.size.into())
    })
}

/// Refuses while the disk has less than twice as much free as is to stay free: who fills the cache stops no transaction.
fn check_room(ctx: &Context) -> Result<(), RpcError> {
    ctx.store.check_spare_room().map_err(|low| refusal::of_submission(&ctx.scheme, SubmitError::Storage(low)))
}

fn delete(ctx: &Context, params: &Params) -> Answer {
    let file = open(ctx, params.text(0)?)?;
    fs::remove_file(file.path).map_err(internal)?;
    Ok(Value::Null)
}

/// Runs what may take long or touch files on a thread for such work.
pub fn blocking(work: impl FnOnce() -> Answer + Send + 'static) -> BoxFuture<'static, Answer> {
    Box::pin(async move { tokio::task::spawn_blocking(work).await.map_err(RpcError::internal)? })
}

fn output_data(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let range = Range::read(&params, 2)?;
        let txid = params.text(0)?;
        let vout = params.value(1);
        let vout = vout.as_i64().ok_or_else(|| RpcError::mistyped(vout, "int", "Invalid data reference"))?;
        let data = OutputData::find(&ctx, txid, vout)?;
        let (whole, part) = (data.size(), range.of(data.size()));
        if data.format != DataFormat::Raw && part != (0..whole) {
            let (what, got, allowed) = match part.start {
                0 => ("count, must include all", part.end, whole),
                start => ("start, must be 0 for", start, 0),
            };
            let sentence = format!("Invalid {what} text or JSON data");
            return Err(RpcError::parameter(ParameterRule::Range, sentence).got(got).allowed(allowed));
        }
        let bytes = part.end - part.start;
        if bytes >= OUTPUT_BYTES {
            let sentence = format!("Invalid count, must be below {OUTPUT_BYTES}");
            return Err(RpcError::parameter(ParameterRule::Size, sentence).got(bytes).allowed(OUTPUT_BYTES - 1));
        }
        Ok(data::shown(data.format, &data.read(&ctx, part)?))
    })
}

fn output_to_cache(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let mut file = Growing::open(&open(&ctx, params.text(0)?)?.path)?;
        if file.size > 0 {
            let error = RpcError::new(Code::InternalError, "Binary cache item is not empty");
            return Err(error.rule("cache-not-empty").got(file.size).allowed(0));
        }
        let range = Range::read(&params, 3)?;
        let data = OutputData::find(&ctx, params.text(1)?, params.integer(2)?)?;
        if data.format != DataFormat::Raw {
            let error = RpcError::not_supported("Only raw data can be copied to the binary cache");
            return Err(error.rule("data-format").got(data.format.name()).allowed(DataFormat::Raw.name()));
        }
        match copy(&ctx, &data, range.of(data.size()), &mut file) {
            Ok(()) => Ok(file.size.into()),
            // It is empty again, to be tried again.
            Err(error) => {
                file.cut(0);
                Err(error)
            }
        }
    })
}

/// Adds a part of an output's data to a file, a piece at a time.
fn copy(ctx: &Context, data: &OutputData, part: std::ops::Range<u64>, file: &mut Growing) -> Result<(), RpcError> {
    let mut start = part.start;
    while start < part.end {
        let end = part.end.min(start.saturating_add(COPY_BYTES));
        check_room(ctx)?;
        file.append(&data.read(ctx, start..end)?)?;
        start = end;
    }
    Ok(())
}

/// Which bytes of an output a caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    count: Option<u64>,
    start: i64,
}

impl Range {
    fn read(params: &Params, at: usize) -> Result<Range, RpcError> {
        let integer = |index: usize, name: &str| {
            let read = |value: &Value| {
                value.as_i64().ok_or_else(|| RpcError::mistyped(value, "int", format!("Invalid {name}")))
            };
            params.given(index).map(read).transpose()
        };
        let natural = |count: i64| {
            let refused =
                |_| RpcError::parameter(ParameterRule::Range, "Invalid count").got(count).allowed("0 or more");
            u64::try_from(count).map_err(refused)
        };
        let count = integer(at, "count")?.map(natural).transpose()?;
        Ok(Range { count, start: integer(at + 1, "start")?.unwrap_or(0) })
    }

    /// The bytes of data of this size; a negative start counts from the end.
    fn of(self, size: u64) -> std::ops::Range<u64> {
        let from_end = self.start.unsigned_abs();
        let start = if self.start < 0 { size.saturating_sub(from_end) } else { from_end.min(size) };
        let end = self.count.map_or(size, |count| start.saturating_add(count).min(size));
        start..end
    }
}

/// The data of an output: of its item, or data of no stream; nothing for an output that only does other things.
struct OutputData {
    format: DataFormat,
    place: ItemData,
}

impl OutputData {
    fn find(ctx: &Context, txid: &str, vout: i64) -> Result<OutputData, RpcError> {
        let missing = || RpcError::new(Code::TxNotFound, "No information available about transaction").got(txid);
        let id = txid.parse().map_err(|_| missing())?;
        let known = Moment::now(ctx).transaction(&id)?.ok_or_else(missing)?;
        let no_output = || RpcError::new(Code::OutputNotFound, "Invalid vout").got(vout);
        let index = usize::try_from(vout).map_err(|_| no_output())?;
        let output = known.tx.body.outputs.get(index).ok_or_else(no_output)?;
        let mut pieces = output.operations.iter().filter_map(|operation| match operation {
            Operation::Publish(publish) => Some(publish.data.clone()),
            Operation::Data(data) => Some(ItemData::Onchain(data.clone())),
            _ => None,
        });
        let place = match (pieces.next(), pieces.next()) {
            (Some(place), None) => place,
            (Some(_), Some(_)) => {
                return Err(RpcError::not_allowed("This output has several pieces of data").rule("data-several"));
            }
            (None, _) if output.recipient.is_none() => {
                ItemData::Onchain(Data { format: DataFormat::Raw, bytes: Vec::new() })
            }
            (None, _) => return Err(RpcError::new(Code::OutputNotData, "Output doesn't contain data").got(vout)),
        };
        Ok(OutputData { format: place.format(), place })
    }

    fn size(&self) -> u64 {
        match &self.place {
            ItemData::Onchain(data) => data.bytes.len() as u64,
            ItemData::Offchain(chunked) => chunked.size(),
        }
    }

    fn read(&self, ctx: &Context, part: std::ops::Range<u64>) -> Result<Vec<u8>, RpcError> {
        let chunked = match &self.place {
            ItemData::Onchain(data) => {
                let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                return Ok(data.bytes.get(place(part.start)..place(part.end)).unwrap_or_default().to_vec());
            }
            ItemData::Offchain(chunked) => chunked,
        };
        match ctx.offchain.read_part(chunked, part).map_err(resolve::storage_error)? {
            Fetched::Here(bytes) => Ok(bytes),
            Fetched::Missing => {
                let error = RpcError::new(Code::OutputNotFound, "Data of this output is not available yet");
                Err(error.rule("data-missing"))
            }
            Fetched::Broken(error) => Err(RpcError::new(Code::Verify, error).rule("data-broken")),
        }
    }
}

/// Base58 of identifiers: the digits of addresses, without a checksum.
mod base58 {
    const DIGITS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

    /// The text of a number given as big-endian bytes; leading zero bytes are ones.
    pub fn encode(bytes: &[u8; super::IDENTIFIER_BYTES]) -> String {
        let mut number = u64::from_be_bytes(*bytes);
        let mut text = Vec::with_capacity(super::IDENTIFIER_LENGTH);
        while number > 0 {
            text.push(DIGITS.get((number % 58) as usize).copied().unwrap_or(b'1'));
            number /= 58;
        }
        text.extend(bytes.iter().take_while(|byte| **byte == 0).map(|_| b'1'));
        text.reverse();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// The bytes of such a text, none if it is none or too long.
    pub fn decode(text: &str) -> Option<Vec<u8>> {
        let mut number = 0u64;
        for digit in text.bytes() {
            let value = DIGITS.iter().position(|known| *known == digit)?;
            number = number.checked_mul(58)?.checked_add(value as u64)?;
        }
        let zeros = text.bytes().take_while(|digit| *digit == b'1').count();
        let significant = number.to_be_bytes().into_iter().skip_while(|byte| *byte == 0);
        Some(std::iter::repeat_n(0, zeros).chain(significant).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::process::Command;

    use super::*;

    /// Names the file to add to, in the process that can write little.
    const FILE: &str = "ROTA_TEST_CACHE_FILE";

    #[test]
    fn a_cache_takes_no_items_without_end() {
        let folder = tempfile::tempdir().unwrap();
        for item in 0..CACHE_FILES {
            check_count(folder.path()).unwrap();
            fs::write(folder.path().join(item.to_string()), b"").unwrap();
        }
        let error = check_count(folder.path()).unwrap_err();
        assert!(error.message.contains("at most 3 items"), "{}", error.message);
    }

    #[test]
    fn an_append_that_fails_leaves_the_file_as_it_was() {
        if let Some(path) = std::env::var_os(FILE) {
            let mut file = Growing::open(Path::new(&path)).unwrap();
            assert!(file.append(&vec![7; 8 << 20]).is_err(), "more than a file may hold here");
            assert_eq!((file.size, fs::metadata(&path).unwrap().len()), (3, 3));
            return file.append(b"def").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("item");
        fs::write(&path, b"abc").unwrap();
        // A limit holds for a whole process: this test runs again in one that has it.
        let mut limited = Command::new("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$0\" --exact \"$1\""]);
        limited.arg(std::env::current_exe().unwrap());
        limited.arg("rpc::cache::tests::an_append_that_fails_leaves_the_file_as_it_was");
        let done = limited.env(FILE, &path).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        assert_eq!(fs::read(&path).unwrap(), b"abcdef");
    }

    #[test]
    fn appends_to_one_file_wait_for_each_other_and_keep_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("item");
        // A sparse file that has room for one of them.
        File::create(&path).unwrap().set_len(CACHE_FILE_BYTES - 5).unwrap();
        let append = || Growing::open(&path).and_then(|mut file| file.append(b"abcd")).is_ok();
        let taken = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(append)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|taken| *taken).count()
        });
        assert_eq!((taken, fs::metadata(&path).unwrap().len()), (1, CACHE_FILE_BYTES - 1));
    }

    #[test]
    fn identifiers_round_trip_and_nothing_else_becomes_a_name_of_a_file() {
        for bytes in [[0; 8], [255; 8], [0, 0, 1, 2, 3, 4, 5, 6], *b"abcdefgh"] {
            let text = base58::encode(&bytes);
            assert_eq!(base58::decode(&text).as_deref(), Some(&bytes[..]), "{text}");
            assert!(is_identifier(&text), "{text}");
        }
        for text in ["", ".", "..", "../params", "nonsense", "a/b", "*", "0OIl", "zzzzzzzzzzzz", "zzzzzzzzzzz"] {
            assert!(!is_identifier(text), "{text}");
        }
    }

    #[test]
    fn a_range_is_cut_to_the_data_and_counts_from_the_end_where_negative() {
        let of = |count, start| Range { count, start }.of(600);
        assert_eq!(of(None, 0), 0..600);
        assert_eq!(of(Some(10), 5), 5..15);
        assert_eq!(of(Some(1000), 590), 590..600);
        assert_eq!(of(Some(10), 1000), 600..600);
        assert_eq!(of(Some(10), -1), 599..600);
        assert_eq!(of(Some(4), i64::MIN), 0..4);
    }
}
