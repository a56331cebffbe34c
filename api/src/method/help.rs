//! The texts of `help`: the list, one method's page, and the topics that several methods share.

use super::{Family, Method, find, meaning, read_words, sample};
use serde_json::{Value, json};

/// Pages that are no methods: forms of values that several methods take.
pub const TOPICS: &[(&str, &str)] = &[
    (
        "data-all",
        "Data that a transaction output may carry, in every form:\n\
         \"a1b2\"                                     bytes in hexadecimal\n\
         {\"text\":\"hello\"}                           text\n\
         {\"json\":{...}}                              JSON\n\
         {\"cache\":\"ID\"}                             bytes collected with createbinarycache\n\
         {\"for\":STREAM,\"key\":K,\"data\":D}           an item for a stream; \"keys\":[...] and \"options\":\"offchain\" too\n\
         {\"create\":\"stream\",\"name\":N,...}           a new stream, asset, filter, variable, library or upgrade\n\
         {\"update\":ENTITY,...}                       a change of an entity: more of an asset, a new variable value\n\
         {\"for\":UPGRADE,\"approve\":true}             a vote",
    ),
    (
        "data-with",
        "Data that is sent along with a payment or grant:\n\
         \"a1b2\"                            bytes in hexadecimal\n\
         {\"text\":\"hello\"}                  text\n\
         {\"json\":{...}}                     JSON\n\
         {\"cache\":\"ID\"}                    bytes collected with createbinarycache\n\
         {\"for\":STREAM,\"key\":K,\"data\":D}  an item for a stream",
    ),
    (
        "addresses-all",
        "An object with one member for each receiving address. Its value is an amount, an object with quantities,\n\
         or an array of these:\n\
         {\"ADDRESS\":0.5}\n\
         {\"ADDRESS\":{\"asset1\":10,\"\":0.1}}               the empty name stands for the native currency\n\
         {\"ADDRESS\":{\"permissions\":{\"type\":\"send,receive\",\"startblock\":0,\"endblock\":4294967295}}}\n\
         {\"ADDRESS\":{\"data\":{\"text\":\"inline\"}}}\n\
         {\"ADDRESS\":{\"issue\":{\"raw\":1000}}}            units of an asset created in the same transaction",
    ),
    (
        "amounts-all",
        "What is sent: a number of native currency, or an object with a quantity for each asset:\n\
         10.5\n\
         {\"asset1\":10,\"asset2\":0.5,\"\":1}       the empty name stands for the native currency\n\
         {\"art\":{\"token\":\"mona\",\"qty\":1}}     tokens of a non-fungible asset; an array for several",
    ),
    (
        "feed-options",
        "Options of a feed, an object; members left out keep their defaults. They choose which events are written\n\
         (item, block, transaction, metadata) and how large data is shown.",
    ),
    (
        "filters",
        "A filter is a JavaScript function that every node runs on a transaction or on a stream item. It returns\n\
         nothing to accept, or a string that says why it refuses. Callbacks such as getfiltertransaction() and\n\
         getfilterstreamitem() tell it what it looks at; there is no clock, no randomness and no network.",
    ),
];

/// The list of all visible methods, a usage line each, under the titles of their families. With an allow list
/// only those methods are listed.
#[must_use]
pub fn help_list(allowed: Option<&dyn Fn(&str) -> bool>) -> String {
    let mut text = String::new();
    for family in Family::ALL {
        let shown = |method: &&Method| !method.hidden && allowed.is_none_or(|allowed| allowed(method.name));
        let lines: Vec<String> = family.methods().iter().filter(shown).map(Method::usage).collect();
        if lines.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text += &format!("== {} ==\n{}", family.title(), lines.join("\n"));
    }
    text
}

/// One method's page: usage, summary, parameters, an example for the command line and as JSON.
#[must_use]
pub fn help_text(method: &Method) -> String {
    help_page(method, sample::CHAIN, &words(method.target()))
}

/// The words of a method's example.
#[must_use]
pub fn words(method: &Method) -> Vec<String> {
    method.target().example.iter().map(|word| (*word).to_owned()).collect()
}

/// The page of a method with an example of these words, on this chain.
#[must_use]
pub fn help_page(method: &Method, chain: &str, example: &[String]) -> String {
    let target = method.target();
    let mut text = format!("{}\n\n", method.usage());
    if target.name != method.name {
        text += &format!("Another name of {}. ", target.name);
    }
    text += &format!("{}\n", target.summary);
    if !target.parameters.is_empty() {
        text += "\nParameters:\n";
    }
    let width = target.parameters.iter().map(|parameter| parameter.name.len()).max().unwrap_or(0);
    for (index, parameter) in target.parameters.iter().enumerate() {
        let need = match (parameter.required, parameter.default) {
            (true, _) => "required".to_owned(),
            (false, "") => "optional".to_owned(),
            (false, default) => format!("optional, default {default}"),
        };
        text += &format!("{}. {:width$}  {} ({need})", index + 1, parameter.name, parameter.types.words());
        let meaning = meaning::of(parameter.name);
        if !meaning.is_empty() {
            text += &format!(": {meaning}");
        }
        text.push('\n');
    }
    let (typed, body) = call(method.name, target, chain, example);
    text + &format!("\nExample:\n{typed}\n{body}\n")
}

/// The call of an example as typed at a shell, and as the body of a request.
pub(super) fn call(name: &str, target: &Method, chain: &str, example: &[String]) -> (String, Value) {
    let typed: String = example.iter().map(|word| format!(" {}", quoted(word))).collect();
    let params = read_words(Some(target), example).unwrap_or_default();
    (format!("node-cli {chain} {name}{typed}"), json!({"method": name, "params": Value::Array(params), "id": 1}))
}

/// The word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@=+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// What `help` answers: the list, a page, a topic, or a sentence for an unknown word.
#[must_use]
pub fn help_answer(command: &str) -> String {
    if command.is_empty() {
        return help_list(None);
    }
    if let Some((_, text)) = TOPICS.iter().find(|(name, _)| *name == command) {
        return (*text).to_owned();
    }
    find(command).map_or_else(|| format!("help: unknown command: {command}"), help_text)
}
