//! Known secrets on their way into logs and sentences: replaced by `***`, also where they are split over chunks, and in
//! the forms that programs write them in (base64, URL-encoded, as a JSON string, line by line).

use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

use aho_corasick::AhoCorasick;
use base64::{Engine, alphabet, engine::GeneralPurpose, engine::general_purpose::NO_PAD};
use serde_json::Value;

use crate::secret::SecretValue;

/// What stands where a secret was.
pub const MASK: &str = "***";

/// Shorter values are not masked: logs would be full of holes, and whoever guesses so little needs no log.
pub const SHORTEST: usize = 4;

/// A line of a longer value is masked by itself from this length on.
const SHORTEST_LINE: usize = 8;

/// Texts that must not be seen.
#[derive(Debug)]
pub struct Masks {
    patterns: Vec<Vec<u8>>,
    longest: usize,
    finder: Option<AhoCorasick>,
}

impl Masks {
    /// Masks for these values, in all forms.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a SecretValue>) -> Self {
        let mut patterns = BTreeSet::new();
        for value in values.into_iter().filter(|value| value.expose().len() >= SHORTEST) {
            patterns.extend(forms(value.expose()));
        }
        patterns.retain(|pattern| pattern.len() >= SHORTEST);
        let patterns: Vec<Vec<u8>> = patterns.into_iter().map(String::into_bytes).collect();
        // Only a set of patterns beyond all limits of secrets fails; then each is looked for by itself.
        let finder = if patterns.is_empty() { None } else { AhoCorasick::new(&patterns).ok() };
        Self { longest: patterns.iter().map(Vec::len).max().unwrap_or(0), patterns, finder }
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        if self.is_empty() {
            return text.to_owned();
        }
        let mut masked = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in self.spans(text.as_bytes()) {
            // Patterns are whole characters, so their ends are ends of characters.
            masked.push_str(text.get(at..start).unwrap_or_default());
            masked.push_str(MASK);
            at = end;
        }
        masked.push_str(text.get(at..).unwrap_or_default());
        masked
    }

    /// Masks all texts of a document, keys included.
    pub fn json(&self, value: &mut Value) {
        if self.is_empty() {
            return;
        }
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(map) => {
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(key, mut inner)| {
                        self.json(&mut inner);
                        (self.text(&key), inner)
                    })
                    .collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// A masker of text that comes in chunks.
    pub fn stream(self: &Arc<Self>) -> Masker {
        Masker { masks: Arc::clone(self), held: Vec::new(), covered: 0 }
    }

    /// Where secrets are, overlapping ones as one.
    fn spans(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut found: Vec<(usize, usize)> = match &self.finder {
            Some(finder) => finder.find_overlapping_iter(bytes).map(|hit| (hit.start(), hit.end())).collect(),
            None => self.patterns.iter().flat_map(|pattern| occurrences(bytes, pattern)).collect(),
        };
        found.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::with_capacity(found.len());
        for (start, end) in found {
            match merged.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }

    /// Where the longest end begins that may become a secret when more comes.
    fn unfinished(&self, bytes: &[u8]) -> usize {
        let first = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        (first..bytes.len())
            .find(|&at| {
                let tail = &bytes[at..];
                self.patterns.iter().any(|pattern| pattern.len() > tail.len() && pattern.starts_with(tail))
            })
            .unwrap_or(bytes.len())
    }
}

fn occurrences(bytes: &[u8], pattern: &[u8]) -> Vec<(usize, usize)> {
    let windows = bytes.windows(pattern.len()).enumerate();
    windows.filter(|(_, window)| *window == pattern).map(|(at, _)| (at, at + pattern.len())).collect()
}

/// Masks a stream. It holds back only what may be the beginning of a secret.
#[derive(Debug)]
pub struct Masker {
    masks: Arc<Masks>,
    held: Vec<u8>,
    /// So many of the held bytes are part of a secret whose mask is written already.
    covered: usize,
}

impl Masker {
    /// The next chunk; what can be told of it and of what was held.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        if self.masks.is_empty() {
            return chunk.to_vec();
        }
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(chunk);
        let until = self.masks.unfinished(&bytes);
        let masks = Arc::clone(&self.masks);
        self.write(&bytes, &masks.spans(&bytes), until)
    }

    /// The end. A long beginning of a secret is masked as well: a log that is cut off tells no half of one.
    pub fn finish(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.held);
        let mut spans = self.masks.spans(&bytes);
        if bytes.len() >= SHORTEST {
            spans = vec![(0, bytes.len())];
        }
        self.write(&bytes, &spans, bytes.len())
    }

    /// Masks `bytes` up to `until`, and holds the rest.
    fn write(&mut self, bytes: &[u8], spans: &[(usize, usize)], until: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(until);
        let mut at = self.covered.min(bytes.len());
        for &(start, end) in spans {
            if start >= until && start >= at {
                break;
            }
            if start >= at {
                out.extend_from_slice(&bytes[at..start]);
                out.extend_from_slice(MASK.as_bytes());
            }
            at = at.max(end);
        }
        if at < until {
            out.extend_from_slice(&bytes[at..until]);
            at = until;
        }
        self.covered = at - until;
        self.held = bytes[until..].to_vec();
        out
    }
}

/// The forms in which a value is looked for.
fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned(), percent(value, false), percent(value, true)];
    forms.push(percent(value, false).replace("%20", "+"));
    if let Ok(quoted) = serde_json::to_string(value) {
        forms.push(quoted[1..quoted.len() - 1].to_owned());
    }
    forms.push(value.escape_default().to_string());
    forms.push(value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"));
    let lines = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE);
    if value.contains('\n') {
        forms.extend(lines.map(str::to_owned));
    }
    for letters in [&alphabet::STANDARD, &alphabet::URL_SAFE] {
        forms.extend(base64(value.as_bytes(), letters));
    }
    forms
}

/// What of the base64 of any text with `value` in it depends on `value` alone, for each place it may begin at.
fn base64(value: &[u8], letters: &alphabet::Alphabet) -> Vec<String> {
    let engine = GeneralPurpose::new(letters, NO_PAD);
    (0..3)
        .filter_map(|before| {
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(value);
            let text = engine.encode(&bytes);
            // A character that holds bits of what stands before or behind is not the value's own.
            let from = (before * 8).div_ceil(6);
            let to = bytes.len() * 8 / 6;
            text.get(from..to).map(str::to_owned)
        })
        .collect()
}

fn percent(value: &str, small: bool) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing into a text can't fail.
            let _ = if small { write!(text, "%{byte:02x}") } else { write!(text, "%{byte:02X}") };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn masks(values: &[&str]) -> Arc<Masks> {
        let values: Vec<SecretValue> = values.iter().map(|value| SecretValue::from(*value)).collect();
        Arc::new(Masks::of(&values))
    }

    fn streamed(masks: &Arc<Masks>, chunks: &[&[u8]]) -> String {
        let mut masker = masks.stream();
        let mut out: Vec<u8> = chunks.iter().flat_map(|chunk| masker.push(chunk)).collect();
        out.extend(masker.finish());
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn values_are_masked_in_all_forms() {
        let masks = masks(&["p@ss word/1", "abc"]);
        assert_eq!(masks.text("key=p@ss word/1; abc stays"), "key=***; abc stays");
        assert_eq!(masks.text("?k=p%40ss%20word%2F1&l=p%40ss+word%2F1"), "?k=***&l=***");
        for before in ["", "u", "us", "user"] {
            let text = STANDARD.encode(format!("{before}:p@ss word/1:behind"));
            let masked = masks.text(&text);
            assert!(masked.contains(MASK), "{text} {masked}");
            assert!(masked.len() <= text.len() - 11, "{text} {masked}");
        }
        let quoted = self::masks(&["a\"b\nlong enough line"]);
        assert_eq!(quoted.text(&json!("a\"b\nlong enough line").to_string()), "\"***\"");
        assert_eq!(quoted.text("long enough line of its own"), "*** of its own");
    }

    #[test]
    fn documents_are_masked() {
        let mut document = json!({ "hunter2": ["x hunter2", 1, { "a": "b" }] });
        masks(&["hunter2"]).json(&mut document);
        assert_eq!(document, json!({ "***": ["x ***", 1, { "a": "b" }] }));
    }

    #[test]
    fn chunks_hide_nothing_and_hold_little() {
        let masks = masks(&["hunter2"]);
        assert_eq!(streamed(&masks, &[b"a hun", b"te", b"r2 b"]), "a *** b");
        let mut masker = masks.stream();
        assert_eq!(masker.push(b"no beginning"), b"no beginning");
        assert_eq!(masker.push(b" at the h"), b" at the ");
        assert_eq!(masker.push(b"all"), b"hall");
        assert_eq!(masker.push(b" hunte"), b" ");
        assert_eq!(masker.finish(), b"***", "half of one is masked where the text is cut off");
        assert_eq!(masker.finish(), b"");
    }

    proptest! {
        /// However it is cut, the masked stream is the masked text, but for an end that may be half a secret.
        #[test]
        fn a_stream_is_masked_like_its_whole(
            parts in proptest::collection::vec(prop_oneof!["[ab]{0,6}", Just("abab".to_owned()), Just("babba".to_owned())], 0..12),
            cuts in proptest::collection::vec(1..5_usize, 0..30),
            secrets in proptest::collection::vec("[ab]{4,6}", 1..4),
        ) {
            let text = parts.concat() + "\n";
            let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let masks = masks(&names);
            let mut rest = text.as_bytes();
            let mut chunks = Vec::new();
            for cut in cuts {
                let (chunk, more) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = more;
            }
            chunks.push(rest);
            prop_assert_eq!(streamed(&masks, &chunks), masks.text(&text));
        }

        #[test]
        fn no_secret_is_told(
            secret in "[!-~]{4,20}",
            before in "[ -~]{0,20}",
            behind in "[ -~]{0,20}",
            at in 0..60_usize,
        ) {
            let masks = masks(&[&secret]);
            let text = format!("{before}{secret}{behind}");
            let (one, two) = text.as_bytes().split_at(at.min(text.len()));
            let told = streamed(&masks, &[one, two]);
            prop_assert!(!told.contains(&secret) || MASK.contains(&secret) || secret.contains(MASK), "{}", told);
        }

        #[test]
        fn other_text_passes(text in "[a-f ]{0,60}", at in 0..60_usize) {
            let masks = masks(&["XYZ-secret"]);
            let (one, two) = text.as_bytes().split_at(at.min(text.len()));
            prop_assert_eq!(streamed(&masks, &[one, two]), text.clone());
        }
    }
}
