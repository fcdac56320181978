//! Updates of an item.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::expression::{Operand, Parser, Scope};
use super::value::{Item, as_number};
use crate::protocol::Failure;

/// One thing that an update does.
#[derive(Debug)]
enum Action {
    Set(Sum),
    Remove,
    /// `ADD`: the number is added to what is there, or to 0.
    Add(Value),
}

#[derive(Debug)]
enum Sum {
    One(Term),
    Plus(Term, Term),
    Minus(Term, Term),
}

#[derive(Debug)]
enum Term {
    Operand(Operand),
    IfNotExists(String, Operand),
}

/// What an update does to each attribute.
#[derive(Debug)]
pub(super) struct Update(Vec<(String, Action)>);

impl Update {
    pub(super) fn parse(text: &str, scope: &Scope<'_>) -> Result<Self, Failure> {
        let mut parser = Parser::new(text, scope)?;
        let mut actions = Vec::new();
        let mut clauses = BTreeSet::new();
        while parser.peek().is_some() {
            let clause = ["SET", "REMOVE", "ADD"].into_iter().find(|clause| parser.keyword(clause));
            let clause = clause.ok_or_else(|| parser.unexpected("SET, REMOVE or ADD"))?;
            if !clauses.insert(clause) {
                return Err(Failure::invalid(format!("{clause} may stand only once in {text:?}")));
            }
            loop {
                let attribute = parser.attribute()?;
                let action = match clause {
                    "SET" => {
                        parser.expect("=")?;
                        Action::Set(sum(&mut parser)?)
                    }
                    "ADD" => Action::Add(parser.value()?),
                    _ => Action::Remove,
                };
                if actions.iter().any(|(name, _)| *name == attribute) {
                    let message = format!("Two document paths overlap with each other: {attribute} in {text:?}");
                    return Err(Failure::invalid(message));
                }
                actions.push((attribute, action));
                if !parser.sign(",") {
                    break;
                }
            }
        }
        Ok(Self(actions))
    }

    /// The attributes that it writes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(attribute, _)| attribute.as_str())
    }

    /// The item as it will be. Every action sees the item as it was.
    pub(super) fn apply(&self, old: &Item) -> Result<Item, Failure> {
        let mut new = old.clone();
        for (attribute, action) in &self.0 {
            match action {
                Action::Set(sum) => {
                    new.insert(attribute.clone(), sum.of(old)?);
                }
                Action::Remove => {
                    new.remove(attribute);
                }
                Action::Add(value) => {
                    let zero = json!({ "N": "0" });
                    new.insert(attribute.clone(), add(old.get(attribute).unwrap_or(&zero), value, false)?);
                }
            }
        }
        Ok(new)
    }
}

impl Sum {
    fn of(&self, item: &Item) -> Result<Value, Failure> {
        match self {
            Self::One(term) => term.of(item).cloned(),
            Self::Plus(one, other) => add(one.of(item)?, other.of(item)?, false),
            Self::Minus(one, other) => add(one.of(item)?, other.of(item)?, true),
        }
    }
}

impl Term {
    fn of<'a>(&'a self, item: &'a Item) -> Result<&'a Value, Failure> {
        let value = match self {
            Self::Operand(operand) => operand.of(Some(item)),
            Self::IfNotExists(attribute, other) => item.get(attribute).or_else(|| other.of(Some(item))),
        };
        value.ok_or_else(|| {
            Failure::invalid("The provided expression refers to an attribute that does not exist in the item")
        })
    }
}

fn sum(parser: &mut Parser<'_>) -> Result<Sum, Failure> {
    let one = term(parser)?;
    if parser.sign("+") {
        return Ok(Sum::Plus(one, term(parser)?));
    }
    if parser.sign("-") {
        return Ok(Sum::Minus(one, term(parser)?));
    }
    Ok(Sum::One(one))
}

fn term(parser: &mut Parser<'_>) -> Result<Term, Failure> {
    let Some(function) = parser.function() else { return Ok(Term::Operand(parser.operand()?)) };
    if function != "if_not_exists" {
        return Err(Failure::invalid(format!("fake-aws does not know the function {function}")));
    }
    let attribute = parser.attribute()?;
    parser.expect(",")?;
    let other = parser.operand()?;
    parser.expect(")")?;
    Ok(Term::IfNotExists(attribute, other))
}

fn add(one: &Value, other: &Value, negate: bool) -> Result<Value, Failure> {
    let (Some(one), Some(other)) = (as_number(one), as_number(other)) else {
        return Err(Failure::invalid("An operand in the update expression has an incorrect data type: it has to be N"));
    };
    let sum = one.plus(if negate { other.negated() } else { other });
    let sum = sum.ok_or_else(|| Failure::invalid("Attempting to store more than 38 significant digits in a Number"))?;
    Ok(json!({ "N": sum.to_string() }))
}
