//! What conditions and updates are written in: attributes, values, and the scope that gives them their meaning.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::reserved;
use super::tokens::{Token, tokens};
use super::value::{self, Item};
use crate::protocol::{Failure, Input};

/// The names and values of a request, of which none may be left unused.
pub(super) struct Scope<'a> {
    names: Option<&'a Map<String, Value>>,
    values: Option<&'a Map<String, Value>>,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Scope<'a> {
    pub(super) fn of(input: Input<'a>) -> Result<Self, Failure> {
        let names = input.map("ExpressionAttributeNames")?;
        let values = input.map("ExpressionAttributeValues")?;
        Ok(Self { names, values, used: RefCell::default() })
    }

    /// Refuses names and values that no expression has used.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        let used = self.used.borrow();
        for (what, given) in [("ExpressionAttributeNames", self.names), ("ExpressionAttributeValues", self.values)] {
            if let Some(unused) = given.into_iter().flat_map(Map::keys).find(|name| !used.contains(*name)) {
                let message = format!("Value provided in {what} unused in expressions: keys: {{{unused}}}");
                return Err(Failure::invalid(message));
            }
        }
        Ok(())
    }

    fn name(&self, name: &str) -> Result<String, Failure> {
        let attribute = self.names.and_then(|names| names.get(name)).and_then(Value::as_str);
        self.used.borrow_mut().insert(name.into());
        attribute.map(Into::into).ok_or_else(|| Failure::invalid(format!("{name} is not in ExpressionAttributeNames")))
    }

    fn value(&self, name: &str) -> Result<Value, Failure> {
        let value = self.values.and_then(|values| values.get(name));
        self.used.borrow_mut().insert(name.into());
        value::normal(value.ok_or_else(|| Failure::invalid(format!("{name} is not in ExpressionAttributeValues")))?)
    }
}

/// An attribute of the item, or a value of the request.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Attribute(String),
    Value(Value),
}

impl Operand {
    /// None if the item has no such attribute.
    pub(super) fn of<'a>(&'a self, item: Option<&'a Item>) -> Option<&'a Value> {
        match self {
            Self::Attribute(name) => item?.get(name),
            Self::Value(value) => Some(value),
        }
    }
}

/// Reads an expression from left to right.
pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    scope: &'a Scope<'a>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, scope: &'a Scope<'a>) -> Result<Self, Failure> {
        let parser = Self { text, tokens: tokens(text)?, at: 0, scope };
        if parser.tokens.is_empty() {
            return Err(Failure::invalid("The expression can not be empty"));
        }
        Ok(parser)
    }

    pub(super) fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn pass(&mut self) {
        self.at += 1;
    }

    /// Goes on if the next token is this sign.
    pub(super) fn sign(&mut self, sign: &str) -> bool {
        self.skip_if(|token| matches!(token, Token::Sign(found) if *found == sign))
    }

    /// Goes on if the next token is this keyword, in either case.
    pub(super) fn keyword(&mut self, keyword: &str) -> bool {
        self.skip_if(|token| matches!(token, Token::Word(found) if found.eq_ignore_ascii_case(keyword)))
    }

    fn skip_if(&mut self, expected: impl Fn(&Token) -> bool) -> bool {
        let found = self.peek().is_some_and(expected);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<(), Failure> {
        if self.sign(sign) { Ok(()) } else { Err(self.unexpected(sign)) }
    }

    /// A function's name, if its parenthesis follows; both are passed.
    pub(super) fn function(&mut self) -> Option<String> {
        match (self.peek(), self.tokens.get(self.at + 1)) {
            (Some(Token::Word(name)), Some(Token::Sign("("))) => {
                let name = name.clone();
                self.at += 2;
                Some(name)
            }
            _ => None,
        }
    }

    pub(super) fn attribute(&mut self) -> Result<String, Failure> {
        match self.operand()? {
            Operand::Attribute(name) => Ok(name),
            Operand::Value(_) => {
                self.at -= 1;
                Err(self.unexpected("an attribute"))
            }
        }
    }

    pub(super) fn value(&mut self) -> Result<Value, Failure> {
        match self.operand()? {
            Operand::Value(value) => Ok(value),
            Operand::Attribute(_) => {
                self.at -= 1;
                Err(self.unexpected("a value"))
            }
        }
    }

    pub(super) fn operand(&mut self) -> Result<Operand, Failure> {
        let operand = match self.peek() {
            Some(Token::Word(word)) if reserved::is_reserved(word) => {
                return Err(Failure::invalid(format!(
                    "Attribute name is a reserved keyword; reserved keyword: {word}, in {:?}",
                    self.text
                )));
            }
            Some(Token::Word(word)) => Operand::Attribute(word.clone()),
            Some(Token::Name(name)) => Operand::Attribute(self.scope.name(name)?),
            Some(Token::Value(name)) => Operand::Value(self.scope.value(name)?),
            _ => return Err(self.unexpected("an attribute or a value")),
        };
        self.at += 1;
        Ok(operand)
    }

    pub(super) fn end(&self) -> Result<(), Failure> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("the end")) }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Failure {
        let found = match self.peek() {
            None => "the end",
            Some(Token::Sign(sign)) => sign,
            Some(Token::Word(text) | Token::Name(text) | Token::Value(text)) => text,
        };
        Failure::invalid(format!("Invalid expression {:?}: found {found} where {wanted} is needed", self.text))
    }
}
