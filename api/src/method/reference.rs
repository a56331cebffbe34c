//! The page docs/rpc.md, made from the table: every method with its parameters and a sample call.

use super::{Family, Method, Parameter, TOPICS, help, meaning, sample};
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# JSON-RPC methods

Made from the table of methods in `api/src`; do not edit. After a change of the table write it anew:

```
ROTA_WRITE_DOCS=1 cargo test --release -p rota-api reference
```

How requests, replies and error codes look is said in [protocol/rpc.md](protocol/rpc.md). Parameters are given by
position; trailing optional ones may be left out. The same is answered by `help`, and by `rpc.discover` as an OpenRPC
document for programs. Methods that are marked as not listed do not show in the list of `help`.
";

/// The whole page.
#[must_use]
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    for family in Family::ALL {
        let _ = write!(page, "\n## {}\n", family.title());
        if family == Family::FilterCallback {
            page.push_str("\nCalled by the code of filters alone, never over JSON-RPC.\n");
        }
        if family == Family::Watch {
            page.push_str("\nOver a WebSocket only: see [protocol/rpc.md](protocol/rpc.md#websocket).\n");
        }
        for method in family.methods() {
            page.push_str(&section(method));
        }
    }
    page.push_str("\n## Forms of values\n");
    for (name, text) in TOPICS {
        let _ = write!(page, "\n### {name}\n\n```\n{text}\n```\n");
    }
    page
}

fn section(method: &Method) -> String {
    let mut text = format!("\n### {}\n\n", method.name);
    if let Some(target) = method.alias_of {
        let _ = writeln!(text, "Another name of `{target}`, kept for old clients.");
        return text;
    }
    text.push_str(method.summary);
    if method.hidden {
        text.push_str(" Not listed.");
    }
    text.push('\n');
    if !method.parameters.is_empty() || method.variadic {
        text.push('\n');
    }
    for (index, parameter) in method.parameters.iter().enumerate() {
        let _ = writeln!(text, "{}. {}", index + 1, parameter_line(parameter));
    }
    if method.variadic {
        text.push_str("* Any number of further parameters is taken.\n");
    }
    let (typed, body) = help::call(method.name, method, sample::CHAIN, &help::words(method));
    let _ = write!(text, "\n```\n{typed}\n{body}\n```\n");
    text
}

fn parameter_line(parameter: &Parameter) -> String {
    let need = match (parameter.required, parameter.default) {
        (true, _) => "required".to_owned(),
        (false, "") => "optional".to_owned(),
        (false, default) => format!("default `{default}`"),
    };
    format!("`{}`, {}, {need}: {}", parameter.name, parameter.types.words(), marked(meaning::of(parameter.name)))
}

/// The phrase with what Markdown would take for a mark of its own shown as it is.
fn marked(phrase: &str) -> String {
    let mut text = String::with_capacity(phrase.len());
    for letter in phrase.chars() {
        if matches!(letter, '*' | '_' | '<' | '>' | '|' | '[' | ']') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests;
