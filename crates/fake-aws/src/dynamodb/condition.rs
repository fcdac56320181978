//! Conditions on an item.

use std::cmp::Ordering;

use super::expression::{Operand, Parser, Scope};
use super::tokens::Token;
use super::value::{Item, order};
use crate::protocol::Failure;

/// Nesting that a test would not write.
const DEPTH_MAX: usize = 64;

#[derive(Debug)]
pub(super) enum Condition {
    Or(Box<Condition>, Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
    Exists(String),
    Compare(Operand, Comparison, Operand),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    pub(super) fn parse(text: &str, scope: &Scope<'_>) -> Result<Self, Failure> {
        let mut parser = Parser::new(text, scope)?;
        let condition = either(&mut parser, DEPTH_MAX)?;
        parser.end()?;
        Ok(condition)
    }

    /// Whether it holds; an item that does not exist has no attributes.
    pub(super) fn holds(&self, item: Option<&Item>) -> bool {
        match self {
            Self::Or(one, other) => one.holds(item) || other.holds(item),
            Self::And(one, other) => one.holds(item) && other.holds(item),
            Self::Not(condition) => !condition.holds(item),
            Self::Exists(attribute) => item.is_some_and(|item| item.contains_key(attribute)),
            Self::Compare(one, comparison, other) => comparison.holds(one, other, item),
        }
    }
}

impl Comparison {
    fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "=" => Self::Equal,
            "<>" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn holds(self, one: &Operand, other: &Operand, item: Option<&Item>) -> bool {
        let (Some(one), Some(other)) = (one.of(item), other.of(item)) else {
            // A missing attribute compares with nothing, and so it differs from everything.
            return matches!(self, Self::Unequal);
        };
        match self {
            Self::Equal => one == other,
            Self::Unequal => one != other,
            Self::Less => order(one, other) == Some(Ordering::Less),
            Self::LessOrEqual => order(one, other).is_some_and(Ordering::is_le),
            Self::Greater => order(one, other) == Some(Ordering::Greater),
            Self::GreaterOrEqual => order(one, other).is_some_and(Ordering::is_ge),
        }
    }
}

fn either(parser: &mut Parser<'_>, depth: usize) -> Result<Condition, Failure> {
    let mut condition = both(parser, depth)?;
    while parser.keyword("OR") {
        condition = Condition::Or(condition.into(), both(parser, depth)?.into());
    }
    Ok(condition)
}

fn both(parser: &mut Parser<'_>, depth: usize) -> Result<Condition, Failure> {
    let mut condition = single(parser, depth)?;
    while parser.keyword("AND") {
        condition = Condition::And(condition.into(), single(parser, depth)?.into());
    }
    Ok(condition)
}

fn single(parser: &mut Parser<'_>, depth: usize) -> Result<Condition, Failure> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Failure::invalid("the condition is nested too deeply"));
    };
    if parser.keyword("NOT") {
        return Ok(Condition::Not(single(parser, depth)?.into()));
    }
    if parser.sign("(") {
        let condition = either(parser, depth)?;
        parser.expect(")")?;
        return Ok(condition);
    }
    if let Some(function) = parser.function() {
        let attribute = parser.attribute()?;
        parser.expect(")")?;
        return match function.as_str() {
            "attribute_exists" => Ok(Condition::Exists(attribute)),
            "attribute_not_exists" => Ok(Condition::Not(Condition::Exists(attribute).into())),
            other => Err(Failure::invalid(format!("fake-aws does not know the function {other}"))),
        };
    }
    let one = parser.operand()?;
    let comparison = match parser.peek() {
        Some(Token::Sign(sign)) => Comparison::of(sign),
        _ => None,
    };
    let comparison = comparison.ok_or_else(|| parser.unexpected("a comparison"))?;
    parser.pass();
    Ok(Condition::Compare(one, comparison, parser.operand()?))
}
