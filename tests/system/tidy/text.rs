//! Rust text taken apart just far enough to judge it: code without comments and literals, and comments alone.
//! Both keep the line breaks of the file, so that a position in either names the same line.

/// A file's text in two layers.
pub struct Layers {
    /// Code; comments and the inside of literals are blanks.
    pub code: String,
    /// Comments; everything else is blanks.
    pub comments: String,
}

/// What the scanner is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    Line,
    Block(usize),
    Text,
    Raw(usize),
}

/// Takes a file apart.
pub fn layers(text: &str) -> Layers {
    let chars: Vec<char> = text.chars().collect();
    let mut layers = Layers { code: String::with_capacity(text.len()), comments: String::new() };
    let (mut inside, mut at) = (Inside::Code, 0);
    while at < chars.len() {
        let (next, taken) = step(inside, &chars[at..]);
        let literal = chars[at] == '\'' && taken > 1;
        let is_comment = |state| matches!(state, Inside::Line | Inside::Block(_));
        for &character in &chars[at..at + taken] {
            let breaks = character == '\n';
            let code = inside == Inside::Code && next == Inside::Code && !literal;
            let comment = is_comment(inside) || is_comment(next);
            layers.code.push(if breaks || code { character } else { ' ' });
            layers.comments.push(if breaks || comment { character } else { ' ' });
        }
        at += taken;
        inside = next;
    }
    layers
}

/// The state after the next token, and how many characters that token has.
fn step(inside: Inside, rest: &[char]) -> (Inside, usize) {
    let pair = (rest[0], rest.get(1).copied().unwrap_or(' '));
    match (inside, pair) {
        (Inside::Code, ('/', '/')) => (Inside::Line, 2),
        (Inside::Code, ('/', '*')) => (Inside::Block(1), 2),
        (Inside::Code, ('"', _)) => (Inside::Text, 1),
        (Inside::Code, ('\'', _)) => (Inside::Code, character_literal(rest)),
        (Inside::Code, ('r' | 'b' | 'c', _)) => match raw_opening(rest) {
            Some((hashes, length)) => (Inside::Raw(hashes), length),
            None => (Inside::Code, word_length(rest)),
        },
        (Inside::Code, (letter, _)) if letter.is_alphanumeric() || letter == '_' => (Inside::Code, word_length(rest)),
        (Inside::Line, ('\n', _)) => (Inside::Code, 1),
        (Inside::Block(depth), ('/', '*')) => (Inside::Block(depth + 1), 2),
        (Inside::Block(1), ('*', '/')) => (Inside::Code, 2),
        (Inside::Block(depth), ('*', '/')) => (Inside::Block(depth - 1), 2),
        (Inside::Text, ('\\', _)) => (Inside::Text, rest.len().min(2)),
        (Inside::Text, ('"', _)) => (Inside::Code, 1),
        (Inside::Raw(hashes), ('"', _)) if closes(rest, hashes) => (Inside::Code, 1 + hashes),
        (state, _) => (state, 1),
    }
}

fn word_length(rest: &[char]) -> usize {
    rest.iter().take_while(|letter| letter.is_alphanumeric() || **letter == '_').count().max(1)
}

/// Length of a character literal, or 1 for the quote of a lifetime. Braces inside are passed over as one token.
fn character_literal(rest: &[char]) -> usize {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), _) => rest.iter().skip(3).position(|letter| *letter == '\'').map_or(1, |end| end + 4),
        (Some(_), Some('\'')) => 3,
        _ => 1,
    }
}

/// Number of hashes and length of the opening of a raw string that begins here.
fn raw_opening(rest: &[char]) -> Option<(usize, usize)> {
    let prefix = rest.iter().take_while(|letter| matches!(letter, 'b' | 'r' | 'c')).count();
    if prefix > 2 || rest[prefix - 1] != 'r' {
        return None;
    }
    let hashes = rest[prefix..].iter().take_while(|letter| **letter == '#').count();
    (rest.get(prefix + hashes) == Some(&'"')).then_some((hashes, prefix + hashes + 1))
}

fn closes(rest: &[char], hashes: usize) -> bool {
    rest[1..].iter().take(hashes).filter(|letter| **letter == '#').count() == hashes
}

/// A function with a body: its name, first line and length in lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of `fn`, from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace.
    pub lines: usize,
}

/// The functions with bodies in a code layer.
pub fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        let name: String = code[at + 3..]
            .trim_start()
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect();
        if before.is_alphanumeric() || before == '_' || name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(&code[at..]) {
            let line = code[..at].matches('\n').count() + 1;
            found.push(Function { name, line, lines: code[at..at + end].matches('\n').count() + 1 });
        }
    }
    found
}

/// Where the body that follows ends; `None` for a declaration without one.
fn body_end(code: &str) -> Option<usize> {
    let (mut braces, mut brackets) = (0_usize, 0_usize);
    for (at, letter) in code.char_indices() {
        match letter {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 && brackets == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_told_from_code() {
        let text = "let a = \"// no { \\\" \"; // yes }\nlet b = r#\"{\"#; /* x /* y */ z */ let c = '{';";
        let layers = layers(text);
        assert!(layers.code.contains("let a =") && layers.code.contains("let c ="));
        assert!(!layers.code.contains("no") && !layers.code.contains("yes"));
        assert!(layers.comments.contains("yes }") && layers.comments.contains("z */"));
        assert!(!layers.comments.contains("let"));
        assert!(!layers.code.contains(['{', '}']), "a brace in a literal is no code");
        assert_eq!(layers.code.matches('\n').count(), 1);
        assert_eq!(layers.code.len(), text.len());
    }

    #[test]
    fn a_functions_length_is_counted_over_inner_braces() {
        let code = "trait T {\n fn none(&self);\n}\nfn outer<'a>(x: [u8; 2]) -> u8 {\n if x {\n 1\n }\n}\nfn one() {}";
        let found = functions(&layers(code).code);
        let summary: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(summary, [("outer", 4, 5), ("one", 9, 1)]);
    }
}
