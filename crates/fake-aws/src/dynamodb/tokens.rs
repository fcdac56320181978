//! The words of an expression.

use crate::protocol::Failure;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// An attribute, a keyword or a function.
    Word(String),
    /// `#name`
    Name(String),
    /// `:value`
    Value(String),
    /// `(`, `)`, `,`, `=`, `<>`, `<`, `<=`, `>`, `>=`, `+`, `-`
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 11] = ["<>", "<=", ">=", "=", "<", ">", "(", ")", ",", "+", "-"];

pub(super) fn tokens(expression: &str) -> Result<Vec<Token>, Failure> {
    let mut tokens = Vec::new();
    let mut rest = expression.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            sign.len()
        } else {
            let marked = usize::from(first == '#' || first == ':');
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let length = rest[marked..].find(|c| !word(c)).unwrap_or(rest.len() - marked) + marked;
            let starts_well = marked == 1 || first.is_ascii_alphabetic() || first == '_';
            if length == marked || !starts_well {
                return Err(Failure::invalid(format!(
                    "fake-aws does not understand {first:?} in {expression:?}: paths into documents are not in it"
                )));
            }
            let text = rest[..length].to_owned();
            tokens.push(match first {
                '#' => Token::Name(text),
                ':' => Token::Value(text),
                _ => Token::Word(text),
            });
            length
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}
