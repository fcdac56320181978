//! As much of CloudWatch's metric math as the templates write: arithmetic, comparisons and `IF`.

use std::collections::BTreeMap;

/// The value of an expression over these values.
///
/// A comparison is 1 or 0, and a condition holds where it is not 0.
pub(crate) fn evaluate(expression: &str, values: &BTreeMap<String, f64>) -> f64 {
    let mut reader = Reader { rest: expression, values };
    let value = reader.comparison();
    assert_eq!(reader.rest.trim(), "", "{expression}");
    value
}

struct Reader<'a> {
    rest: &'a str,
    values: &'a BTreeMap<String, f64>,
}

impl<'a> Reader<'a> {
    fn comparison(&mut self) -> f64 {
        let left = self.sum();
        if self.takes('>') {
            return f64::from(left > self.sum());
        }
        if self.takes('<') {
            return f64::from(left < self.sum());
        }
        left
    }

    fn sum(&mut self) -> f64 {
        let mut value = self.product();
        loop {
            if self.takes('+') {
                value += self.product();
            } else if self.takes('-') {
                value -= self.product();
            } else {
                return value;
            }
        }
    }

    fn product(&mut self) -> f64 {
        let mut value = self.factor();
        loop {
            if self.takes('*') {
                value *= self.factor();
            } else if self.takes('/') {
                value /= self.factor();
            } else {
                return value;
            }
        }
    }

    fn factor(&mut self) -> f64 {
        if self.takes('(') {
            let value = self.comparison();
            self.expect(')');
            return value;
        }
        let word = self.word();
        if word != "IF" {
            return word.parse().unwrap_or_else(|_| *self.values.get(word).unwrap_or_else(|| panic!("no {word:?}")));
        }
        self.expect('(');
        let condition = self.comparison();
        self.expect(',');
        let so = self.comparison();
        self.expect(',');
        let otherwise = self.comparison();
        self.expect(')');
        if condition == 0.0 { otherwise } else { so }
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_').unwrap_or(rest.len());
        self.rest = &rest[end..];
        &rest[..end]
    }

    fn takes(&mut self, wanted: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(wanted);
        rest.inspect(|rest| self.rest = rest).is_some()
    }

    fn expect(&mut self, wanted: char) {
        assert!(self.takes(wanted), "{wanted} is missing before {:?}", self.rest);
    }
}

#[test]
fn expressions_have_their_values() {
    let values = BTreeMap::from([("a".to_owned(), 6.0), ("b_1".to_owned(), 4.0)]);
    for (expression, value) in [
        ("a / b_1", 1.5),
        ("a - 2 * 3 + 1", 1.0),
        ("(a - 2) * 3", 12.0),
        ("IF(a > b_1, 1.5, 1)", 1.5),
        ("IF(a < b_1, 1.5, IF(a > 5, a / 2, 0))", 3.0),
        ("a > 6", 0.0),
    ] {
        assert_eq!(evaluate(expression, &values), value, "{expression}");
    }
}
