//! Files of records, as batches of a shard.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;

/// A line, or a file that is one JSON value over many lines, may be this large.
pub const TEXT_BYTES_MAX: usize = 256 << 20;

/// All files below `inputs`, in the order given, folders sorted by name; `-` stays as it is.
///
/// # Errors
/// One line that names the path.
pub fn expand(inputs: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for input in inputs {
        if input.as_os_str() == "-" {
            files.push(input.clone());
        } else {
            add(input, &mut files)?;
        }
    }
    Ok(files)
}

fn add(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    if !std::fs::metadata(path).map_err(named)?.is_dir() {
        files.push(path.into());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>())
        .map_err(named)?;
    entries.sort();
    entries.iter().try_for_each(|entry| add(entry, files))
}

/// Calls `visit` with the bytes of each record in a file, until it has enough: each line, or the whole file where
/// its first line is no JSON value by itself but the file is one.
///
/// # Errors
/// One line that names the path; what `visit` has seen stays seen.
pub fn read(path: &Path, mut visit: impl FnMut(Vec<u8>) -> ControlFlow<()>) -> Result<(), String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let raw: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(File::open(path).map_err(named)?),
    };
    let mut raw = BufReader::with_capacity(1 << 18, raw);
    let gzip = raw.fill_buf().map_err(named)?.starts_with(&[0x1f, 0x8b]);
    let mut text: Box<dyn BufRead> =
        if gzip { Box::new(BufReader::with_capacity(1 << 18, MultiGzDecoder::new(raw))) } else { Box::new(raw) };

    let mut line = next_line(&mut text).map_err(named)?;
    if line.as_ref().is_some_and(|line| !is_json(line)) {
        let mut whole = line.take().unwrap_or_default();
        text.by_ref().take(TEXT_BYTES_MAX as u64).read_to_end(&mut whole).map_err(named)?;
        if !whole.ends_with(b"\n") {
            // The limit may lie within a line, which is then read to its end.
            text.by_ref().take(TEXT_BYTES_MAX as u64).read_until(b'\n', &mut whole).map_err(named)?;
        }
        let lines: Vec<&[u8]> = match is_json(&whole) {
            true => vec![&whole],
            false => whole.split(|byte| *byte == b'\n').filter(|line| !is_blank(line)).collect(),
        };
        for line in lines {
            if visit(line.to_vec()).is_break() {
                return Ok(());
            }
        }
        // What is beyond the limit is read line by line: each is judged, and none is lost.
        line = next_line(&mut text).map_err(named)?;
    }
    while let Some(record) = line {
        if visit(record).is_break() {
            return Ok(());
        }
        line = next_line(&mut text).map_err(named)?;
    }
    Ok(())
}

/// The next line that is not blank; a longer one than the limit comes in parts, each a dead letter.
fn next_line(text: &mut Box<dyn BufRead + '_>) -> std::io::Result<Option<Vec<u8>>> {
    loop {
        let mut line = Vec::new();
        if text.take(TEXT_BYTES_MAX as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if !is_blank(&line) {
            return Ok(Some(line));
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text.trim_ascii()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &[u8]) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("written");
        let mut records = Vec::new();
        let visited = read(file.path(), |record| {
            records.push(String::from_utf8_lossy(record.trim_ascii()).into_owned());
            ControlFlow::Continue(())
        });
        visited.expect("read");
        records
    }

    #[test]
    fn a_file_is_read_by_lines_unless_it_is_one_value_over_many() {
        assert_eq!(records(b"{\"a\":1}\n\n{\"b\":2}\n"), ["{\"a\":1}", "{\"b\":2}"]);
        assert_eq!(records(b"{\n \"a\": 1\n}\n"), ["{\n \"a\": 1\n}"]);
        assert_eq!(records(b"garbage\n{\"b\":2}\n"), ["garbage", "{\"b\":2}"]);
        assert!(records(b"").is_empty());
    }

    #[test]
    fn a_gzip_file_is_recognised_by_its_content() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, b"{\"a\":1}\n{\"b\":2}").expect("memory");
        assert_eq!(records(&gzip.finish().expect("memory")), ["{\"a\":1}", "{\"b\":2}"]);
    }
}
