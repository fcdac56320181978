//! Values as lines of text for a terminal.

use serde_json::Value;

use crate::clock;

/// A value in one line, as [`visible`] makes it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => visible(text),
        Value::Null => "-".into(),
        other => visible(&other.to_string()),
    }
}

/// A time in milliseconds as RFC 3339.
pub(super) fn time(value: &Value) -> String {
    value.as_i64().map_or_else(|| "-".into(), clock::rfc3339)
}

/// The text, with escapes in place of characters that are not seen themselves. So what others wrote (tags, names of
/// sessions) cannot move the cursor, end the line, or have it read from right to left.
pub(crate) fn visible(text: &str) -> String {
    let escape = |one: char| if is_unseen(one) { one.escape_default().to_string() } else { one.to_string() };
    text.chars().map(escape).collect()
}

/// Control characters, and those that Unicode has for formatting and for ending lines.
fn is_unseen(one: char) -> bool {
    one.is_control()
        || matches!(
            one,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Columns as wide as their widest cell, two spaces apart; the last is not padded.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters_and_end_without_spaces() {
        let rows = [["a", "bb", "c"], ["äää", "b", ""]].map(|row| row.map(String::from).to_vec());
        assert_eq!(table(&rows), "a    bb  c\näää  b\n");
        assert_eq!(table(&[]), "");
    }

    #[test]
    fn what_others_wrote_cannot_move_the_cursor() {
        assert_eq!(plain(&"a\u{1b}[2Jb\nc\u{9b}ä".into()), r"a\u{1b}[2Jb\nc\u{9b}ä");
    }

    #[test]
    fn what_others_wrote_is_read_in_the_order_in_which_it_stands() {
        let unseen = ["\u{202a}", "\u{202e}", "\u{2066}", "\u{2069}", "\u{200e}", "\u{200f}", "\u{61c}", "\u{2028}"];
        for one in unseen.into_iter().chain(["\u{2029}", "\u{feff}", "\u{200b}", "\u{e0041}"]) {
            assert_eq!(visible(&format!("a{one}ב")), format!("a{}ב", one.escape_default()));
        }
    }
}
