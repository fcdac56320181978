//! What is promised of permit lists.

use serde_json::{Map, Value, json};

use crate::permit::list::Permit;

/// Reads `bytes` as a permit list: what it permits does not depend on the order in which it is written, and is not more
/// than the text says; a fault is answered with its line or the account.
///
/// # Panics
/// Where it is not.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let permit = match Permit::parse(text) {
        Ok(permit) => permit,
        Err(fault) => {
            let names_place = fault.contains(" at line ") || fault.starts_with("account ");
            return assert!(names_place, "no line and no account: {fault}");
        }
    };
    let accounts = permit.listed().expect("a list permits no others");
    let regions = accounts.values().flat_map(|account| account.regions.iter().flatten());
    assert!(12 * accounts.len() + regions.count() <= text.len(), "more than the text says");
    for (id, account) in accounts {
        assert!(id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()), "{id} is no account");
        let regions = account.regions.as_ref();
        assert!(
            regions.into_iter().flatten().all(|region| account.permits(region)),
            "a Region of {id} is not permitted"
        );
        let elsewhere = regions.into_iter().flatten().fold("x".to_owned(), |longer, region| longer + region);
        assert_eq!(account.permits(&elsewhere), regions.is_none(), "{id} elsewhere");
    }

    // Serde takes an array for the members in their order, and that has no other.
    let Ok(document) = serde_json::from_str::<Map<String, Value>>(text) else { return };
    let mut entries: Vec<(&String, Value)> =
        document["accounts"].as_object().into_iter().flatten().map(|(id, account)| (id, account.clone())).collect();
    let both_ways = |entries: &[(&String, Value)]| {
        [list(entries.iter()), list(entries.iter().rev())].map(|text| Permit::parse(&text).ok())
    };
    assert_eq!(both_ways(&entries), [Some(permit.clone()), Some(permit.clone())], "in both orders");
    if let Some((id, _)) = entries.first() {
        entries.push((id, json!({"regions": ["nowhere"]})));
        let [forwards, backwards] = both_ways(&entries);
        assert_eq!(forwards, backwards, "an account that is listed twice, in both orders");
    }
}

fn list<'a>(entries: impl Iterator<Item = &'a (&'a String, Value)>) -> String {
    let entries: Vec<String> =
        entries.map(|(id, account)| format!("{}: {account}", Value::from(id.as_str()))).collect();
    format!("{{\"accounts\": {{{}}}}}", entries.join(", "))
}
