//! What callers send: bodies, parameters of every method, words of a command line, paths, cursors, cache names.

use rota_api::cursor::After;
use rota_api::json::{BODY_DEPTH_LIMIT, parse_strict};
use rota_api::method::{Method, methods, read_words};
use rota_api::path::{Budget, Path};
use rota_api::{Params, RpcError};
use rota_node::notify::Template;
use rota_node::rpc::cache::is_identifier;
use rota_node::rpc::cursor::token::Token;
use rota_node::rpc::http::read_body;
use rota_node::rpc::item::query::condition::Condition;
use serde_json::{Value, json};

use super::file::CHAIN;
use super::{Kind, Target, kind, read, refused, text};

/// Most requests in a batch under test.
const BATCH: usize = 64;
/// What a path may look at: far less than a node allows, so that trials stay short.
const LOOKS: u64 = 10_000;

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "true",
    "1e308",
    "-0",
    "\\u0000",
    "\\ud800",
    "{}",
    "[]",
    "1.0",
    "9223372036854775808",
    "[[[[[[[[",
    "\"a\":",
];

pub(super) const TARGETS: &[Target] = &[
    Target::new("rpc-body", body).speaking(&[
        "\"method\":",
        "\"params\":",
        "\"id\":",
        "\"chain_name\":",
        "\"jsonrpc\":\"2.0\"",
        "[",
        "]",
        "{",
        "}",
        ",",
        "null",
        "\"chain1\"",
        "\"getinfo\"",
        "\\u0061",
    ]),
    Target::new("rpc-params", params).speaking(JSON),
    Target::new("cli-words", words).speaking(JSON),
    Target::new("json", strict_json).speaking(JSON),
    Target::new("json-path", json_path).speaking(&[
        "$",
        ".",
        "..",
        "*",
        "[",
        "]",
        "?",
        "@",
        "==",
        "&&",
        "||",
        "!",
        "(",
        ")",
        "'a'",
        "-1",
        "0:9:2",
        "length(",
        "count(",
        "match(",
        "search(",
        "value(",
        "9007199254740991",
    ]),
    Target::new("condition", condition).speaking(&[
        "\"path\":",
        "\"op\":",
        "\"value\":",
        "\"$.a\"",
        "\">=\"",
        "[",
        "{",
        "}",
    ]),
    Target::new("cursor", cursor).speaking(&["AS", "__", "--", "Ag", "AA"]),
    Target::new("cache-name", cache_name).speaking(&["/", "..", "1", "z", "\0"]),
    Target::new("notify-command", notify_command).speaking(&["%s", "%t", "%j", "'", "\"", "\\", "$(", "`", "%%"]),
];

fn body(bytes: &[u8]) -> Kind {
    match read_body(bytes, CHAIN, BATCH) {
        Ok(asked) => {
            for one in &asked {
                // What passes here is written into the reply as it came, so it must be JSON.
                assert!(serde_json::from_str::<Value>(&one.id).is_ok(), "id {:?} is no JSON", one.id);
                let sound = one.params.as_deref().is_none_or(|raw| serde_json::from_str::<Value>(raw).is_ok());
                assert!(sound || asked.len() > 1, "parameters that are no JSON: {:?}", one.params);
            }
            kind(("read", asked.len(), asked.first().map(|one| one.params.is_some())))
        }
        Err(error) => {
            assert!(serde_json::from_str::<Value>(&error).is_ok(), "{error} is no JSON");
            refused(&error.replace('"', ""), 0)
        }
    }
}

/// A method, chosen by the first two bytes, and the rest.
fn method_of(bytes: &[u8]) -> (&'static Method, &[u8]) {
    let all: Vec<&'static Method> = methods().map(|(_, method)| method).collect();
    let (chosen, rest) =
        bytes.split_first_chunk::<2>().map_or((0, bytes), |(two, rest)| (u16::from_le_bytes(*two), rest));
    let method = all.get(usize::from(chosen) % all.len()).copied().expect("the table has methods");
    (method, rest)
}

/// Parameters of any method, and every way in which a method may read one of them.
fn params(bytes: &[u8]) -> Kind {
    let (method, rest) = method_of(bytes);
    match Params::for_method(method, Some(&text(rest))) {
        Ok(params) => {
            let fits = (0..params.len()).map(|at| look(&params, at)).collect::<Vec<u64>>();
            for (given, parameter) in params.values().iter().zip(method.target().parameters) {
                let _ = parameter.types.admits(given);
            }
            kind(("read", method.name, fits.len(), fits.first().copied()))
        }
        Err(error) => refused(&error.to_string(), method.arity().0),
    }
}

/// Which ways of reading take the parameter at `at`, a bit each.
fn look(params: &Params, at: usize) -> u64 {
    let ways: [Result<(), RpcError>; 17] = [
        params.text(at).map(drop),
        params.text_or(at, "").map(drop),
        params.integer(at).map(drop),
        params.real(at).map(drop),
        params.boolean(at).map(drop),
        params.switch(at, "verbose").map(drop),
        params.verbose(at).map(drop),
        params.detail(at).map(drop),
        params.level(at, 0, 4).map(drop),
        params.count(at, 10).map(drop),
        params.paging(at, at + 1, 10).map(drop),
        params.list(at).map(drop),
        params.secrets(at).map(drop),
        params.identifiers(at).map(drop),
        params.selection(at).map(drop),
        params.identifier_selection(at).map(drop),
        params.hex(at, 64, "txid").map(drop),
    ];
    ways.iter().enumerate().fold(0, |bits, (way, read)| bits | (u64::from(read.is_ok()) << way))
}

/// A command line of any method: a line is a word.
fn words(bytes: &[u8]) -> Kind {
    let (method, rest) = method_of(bytes);
    let words: Vec<String> = text(rest).split('\n').map(str::to_owned).collect();
    match read_words(Some(method), &words) {
        Ok(values) => kind(("read", method.name, values.len().min(8))),
        Err(fault) => refused(&fault.to_string(), 0),
    }
}

fn strict_json(bytes: &[u8]) -> Kind {
    let text = text(bytes);
    match parse_strict(&text, BODY_DEPTH_LIMIT) {
        Ok(value) => {
            let written = value.to_string();
            let again = parse_strict(&written, BODY_DEPTH_LIMIT).expect("what is written can be read");
            assert!(again == value, "a value is read otherwise than it was written");
            read(text.len())
        }
        Err(fault) => refused(&fault.to_string(), 0),
    }
}

fn json_path(bytes: &[u8]) -> Kind {
    match Path::read(&text(bytes)) {
        Ok(path) => {
            let value = json!({"a": [1, 2.5, {"b": null, "c": "text"}, [[], [true]]], "b": {"a": {"a": -1}}, "": "é"});
            let found = path.any(&value, &mut Budget::new(LOOKS), |_, _| Ok(true));
            kind(("read", (bytes.len() / 4).min(40), found.ok()))
        }
        Err(fault) => refused(&fault.to_string(), fault.position / 2),
    }
}

fn condition(bytes: &[u8]) -> Kind {
    let Ok(value) = parse_strict(&text(bytes), BODY_DEPTH_LIMIT) else { return 0 };
    match Condition::read_all(&value) {
        Ok(conditions) => kind(("read", conditions.len(), text(bytes).len().checked_ilog2())),
        Err(error) => refused(&error.to_string(), 0),
    }
}

/// The token of a cursor: as the member of a parameter, and as it is read then.
fn cursor(bytes: &[u8]) -> Kind {
    let text = text(bytes);
    if let Value::Object(map) = json!({"after": text}) {
        let taken = After::read(&map, i64::MAX);
        assert!(taken.is_err() || text.len() <= rota_api::cursor::MAX_TOKEN, "an endless token is taken");
    }
    match Token::from_text(&text) {
        Some(token) => {
            assert!(token.to_text() == text, "a token is written otherwise than it was read");
            read(text.len())
        }
        None => refused("", text.len() / 4),
    }
}

/// A name that is taken becomes that of a file: no way out of the folder, and one text a name.
fn cache_name(bytes: &[u8]) -> Kind {
    let text = text(bytes);
    if is_identifier(&text) {
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !text.is_empty(), "{text:?} names a file");
        return read(text.len());
    }
    refused("", text.len().min(64))
}

fn notify_command(bytes: &[u8]) -> Kind {
    match Template::parse(&text(bytes)) {
        Ok(template) => kind(("read", (format!("{template:?}").len() / 16).min(40))),
        Err(error) => refused(&error.to_string(), 0),
    }
}
