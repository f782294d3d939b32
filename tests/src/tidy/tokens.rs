//! A Rust file as one flat list of tokens with their lines.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One token; a bracket of any kind is a token of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    /// Line, counted from 1.
    pub(super) line: usize,
}

/// A short piece of code to look for, such as `Instant::now` or `todo!`.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<String>);

impl Pattern {
    /// Reads a piece of code with balanced brackets.
    pub(super) fn new(code: &str) -> Self {
        let stream = TokenStream::from_str(code).expect("patterns of this crate are valid tokens");
        let tokens: Vec<String> = flatten(stream).into_iter().map(|token| token.text).collect();
        assert!(!tokens.is_empty(), "an empty pattern would match everywhere");
        Self(tokens)
    }

    /// The lines on which the pattern begins.
    pub(super) fn lines_in(&self, tokens: &[Token]) -> Vec<usize> {
        tokens
            .windows(self.0.len())
            .filter(|window| window.iter().zip(&self.0).all(|(token, text)| token.text == *text))
            .map(|window| window[0].line)
            .collect()
    }
}

/// All tokens of a stream in order, brackets included.
pub(super) fn flatten(stream: TokenStream) -> Vec<Token> {
    let mut tokens = Vec::new();
    push_all(stream, &mut tokens);
    tokens
}

fn push_all(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                push(tokens, open, line);
                push_all(group.stream(), tokens);
                push(tokens, close, group.span_close().start().line);
            }
            other => push(tokens, &other.to_string(), line),
        }
    }
}

fn push(tokens: &mut Vec<Token>, text: &str, line: usize) {
    if !text.is_empty() {
        tokens.push(Token { text: text.to_owned(), line });
    }
}

fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, code: &str, lines: &[usize]) {
        let tokens = flatten(TokenStream::from_str(code).expect("test code is valid tokens"));
        assert_eq!(Pattern::new(pattern).lines_in(&tokens), lines, "{pattern} in {code}");
    }

    #[test]
    fn finds_code_whatever_its_spacing_and_inside_macros() {
        check("Instant::now", "\nlet a = Instant::now();", &[2]);
        check("Instant::now", "vec![\nInstant\n::\nnow()]", &[2]);
        check(".unwrap()", "a\n.unwrap()\n.b.unwrap()", &[2, 3]);
        check("todo!", "fn f() { todo!(\"x\") }", &[1]);
    }

    #[test]
    fn leaves_comments_strings_and_longer_words_alone() {
        check("todo!", "// todo!()\n\"todo!()\"", &[]);
        check("todo!", "/// todo!()\nfn f() {}", &[]);
        check("random", "fn random_timeout() {}", &[]);
        check(".unwrap()", "a.unwrap_or(1)", &[]);
    }
}
