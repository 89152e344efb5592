//! Outputs: the eleven media types a model may return, and the rows that point at their bytes.

use serde::{Deserialize, Serialize};

use crate::ids::OutputId;

/// What an output is; section 4.1 of the 1.6 behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaType {
    /// A bokeh `json_item`.
    #[serde(rename = "bokeh")]
    Bokeh,
    /// An HTML fragment, mostly a table.
    #[serde(rename = "table")]
    Table,
    /// Comma-separated values.
    #[serde(rename = "CSV")]
    Csv,
    /// A picture.
    #[serde(rename = "PNG")]
    Png,
    /// A picture.
    #[serde(rename = "JPEG")]
    Jpeg,
    /// Sound.
    #[serde(rename = "MP3")]
    Mp3,
    /// Moving pictures.
    #[serde(rename = "MP4")]
    Mp4,
    /// An HDF5 file.
    #[serde(rename = "HDF5")]
    Hdf5,
    /// A document.
    #[serde(rename = "PDF")]
    Pdf,
    /// Markdown text.
    #[serde(rename = "Markdown")]
    Markdown,
    /// Plain text.
    #[serde(rename = "Text")]
    Text,
}

impl MediaType {
    /// All of them, in the order of the specification.
    pub const ALL: [Self; 11] = [
        Self::Bokeh,
        Self::Table,
        Self::Csv,
        Self::Png,
        Self::Jpeg,
        Self::Mp3,
        Self::Mp4,
        Self::Hdf5,
        Self::Pdf,
        Self::Markdown,
        Self::Text,
    ];

    /// The word models and the REST API use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bokeh => "bokeh",
            Self::Table => "table",
            Self::Csv => "CSV",
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Mp3 => "MP3",
            Self::Mp4 => "MP4",
            Self::Hdf5 => "HDF5",
            Self::Pdf => "PDF",
            Self::Markdown => "Markdown",
            Self::Text => "Text",
        }
    }

    /// The media type with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|media| media.as_str() == word)
    }

    /// The ending of a file of this type, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Bokeh => "json",
            Self::Table => "html",
            Self::Csv => "csv",
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Mp3 => "mp3",
            Self::Mp4 => "mp4",
            Self::Hdf5 => "h5",
            Self::Pdf => "pdf",
            Self::Markdown => "md",
            Self::Text => "txt",
        }
    }

    /// The type to serve its bytes as.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Bokeh => "application/json",
            Self::Table => "text/html; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Mp3 => "audio/mpeg",
            Self::Mp4 => "video/mp4",
            Self::Hdf5 => "application/x-hdf5",
            Self::Pdf => "application/pdf",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    /// How well a thumbnail of it shows a whole simulation, the best first: a plot or a picture, then a table, then words.
    #[must_use]
    pub const fn telling(self) -> u8 {
        match self {
            Self::Bokeh | Self::Png | Self::Jpeg => 0,
            Self::Table | Self::Csv => 1,
            _ => 2,
        }
    }

    /// Whether the REST API carries it as base64 text.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::Png | Self::Jpeg | Self::Mp3 | Self::Mp4 | Self::Hdf5 | Self::Pdf)
    }
}

/// Which of the two lists of a result an output belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputKind {
    /// Shown on the page.
    Renderable,
    /// Offered as a file.
    Downloadable,
}

impl OutputKind {
    /// The key in a result.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Renderable => "renderable",
            Self::Downloadable => "downloadable",
        }
    }

    /// The kind with this key.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Renderable, Self::Downloadable].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// How it stands with the thumbnail of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Thumbnail {
    /// There is none yet.
    Wanted,
    /// It is in object storage, under [`Output::thumbnail_key`].
    Made,
    /// There will be none: nothing is to be seen, or drawing it was given up.
    Nothing,
}

impl Thumbnail {
    /// The stored word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wanted => "wanted",
            Self::Made => "made",
            Self::Nothing => "nothing",
        }
    }

    /// How it stands, by the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Wanted, Self::Made, Self::Nothing].into_iter().find(|state| state.as_str() == word)
    }
}

/// One result of a simulation. The bytes live in object storage under [`Output::object_key`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its identifier, kept by forks.
    pub id: OutputId,
    /// Which list.
    pub kind: OutputKind,
    /// Place in that list, from 0.
    pub position: u32,
    /// As the model gave it; free text, may be empty or repeat.
    pub title: String,
    /// What it is.
    pub media_type: MediaType,
    /// Unique within the kind and safe as a file name; made by [`file_names`].
    pub filename: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
    /// How it stands with its thumbnail; those of files are nobody's wish.
    pub thumbnail: Thumbnail,
}

impl Output {
    /// Where its thumbnail is, in object storage.
    pub fn thumbnail_key(&self) -> String {
        thumbnail_key(&self.sha256, self.media_type)
    }

    /// Where the bytes are, in object storage.
    pub fn object_key(&self) -> String {
        object_key(&self.sha256)
    }
}

/// The place of bytes with this hash.
#[must_use]
pub fn object_key(sha256: &str) -> String {
    let (head, _) = sha256.split_at_checked(2).unwrap_or(("00", ""));
    format!("outputs/{head}/{sha256}")
}

/// The folder of thumbnails in object storage.
pub const THUMBNAILS: &str = "thumbnails";

/// The place of the thumbnail of bytes with this hash: equal outputs look alike.
#[must_use]
pub fn thumbnail_key(sha256: &str, media: MediaType) -> String {
    let (head, _) = sha256.split_at_checked(2).unwrap_or(("00", ""));
    format!("{THUMBNAILS}/{head}/{sha256}.{}.png", media.extension())
}

/// The hash in the key of an output or of a thumbnail.
#[must_use]
pub fn hash_in_key(key: &str) -> &str {
    let name = key.rsplit('/').next().unwrap_or_default();
    name.split('.').next().unwrap_or_default()
}

/// BokehJS, the scripts that draw bokeh documents. Publishing a version stores those of its environment.
pub mod bokeh {
    use serde_json::Value;

    /// The scripts of a version, in the order in which a page needs them.
    pub const SCRIPTS: [&str; 4] =
        ["bokeh.min.js", "bokeh-widgets.min.js", "bokeh-tables.min.js", "bokeh-mathjax.min.js"];

    /// Where a script is, in object storage.
    #[must_use]
    pub fn script_key(version: &str, file: &str) -> String {
        format!("bokeh/{version}/{file}")
    }

    /// The version that a document was made for, in either of the places bokeh has written it.
    #[must_use]
    pub fn version_of(document: &Value) -> Option<&str> {
        document.get("version").or_else(|| document.get("doc")?.get("version")).and_then(Value::as_str)
    }
}

/// Bytes of a name that a file system takes, less those of its ending and of a number.
const STEM_BYTES: usize = 200;

/// Safe and unique file names for titles: no separators, no characters that control the text around them, a length that
/// file systems take, an ending that is not doubled, and ` (2)` where a title repeats.
#[must_use]
pub fn file_names<'a>(outputs: impl IntoIterator<Item = (&'a str, MediaType)>) -> Vec<String> {
    let mut taken = std::collections::HashSet::new();
    outputs
        .into_iter()
        .map(|(title, media)| {
            let stem = file_stem(title, media);
            let extension = media.extension();
            let mut name = format!("{stem}.{extension}");
            let mut count = 2;
            while !taken.insert(name.to_lowercase()) {
                name = format!("{stem} ({count}).{extension}");
                count += 1;
            }
            name
        })
        .collect()
}

fn file_stem(title: &str, media: MediaType) -> String {
    let suffix = format!(".{}", media.extension());
    let trimmed = title.trim();
    let without = match trimmed.len().checked_sub(suffix.len()) {
        Some(at) if trimmed.is_char_boundary(at) && trimmed[at..].eq_ignore_ascii_case(&suffix) => &trimmed[..at],
        _ => trimmed,
    };
    let mut safe: String = without.chars().map(|c| if is_awkward(c) { '_' } else { c }).take(120).collect();
    safe.truncate(safe.floor_char_boundary(STEM_BYTES));
    let safe = safe.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if safe.is_empty() { "output".to_owned() } else { safe.to_owned() }
}

/// Whether a character has another meaning in paths, or changes how the text around it is shown.
fn is_awkward(c: char) -> bool {
    let turns_text =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    c.is_control() || turns_text || "/\\:*?\"<>|".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_safe_and_unique() {
        let names = file_names([
            ("Plot", MediaType::Png),
            ("plot", MediaType::Png),
            ("../../etc/passwd", MediaType::Text),
            ("data.csv", MediaType::Csv),
            ("", MediaType::Table),
            ("..", MediaType::Table),
        ]);
        assert_eq!(
            names,
            ["Plot.png", "plot (2).png", "_.._etc_passwd.txt", "data.csv", "output.html", "output (2).html"]
        );
    }

    #[test]
    fn keys_name_their_hash() {
        assert_eq!(hash_in_key(&object_key("abcd")), "abcd");
        assert_eq!(thumbnail_key("abcd", MediaType::Table), "thumbnails/ab/abcd.html.png");
        assert_eq!(hash_in_key("thumbnails/ab/abcd.html.png"), "abcd");
    }

    #[test]
    fn file_names_fit_and_show_what_they_are() {
        let long = "数".repeat(150);
        let names = file_names([
            (long.as_str(), MediaType::Csv),
            (&long, MediaType::Csv),
            ("gnp.\u{202e}exe", MediaType::Png),
            ("line\nbreak\0", MediaType::Text),
        ]);
        assert!(names.iter().all(|name| name.len() <= 255), "{names:?}");
        assert!(names[0].starts_with("数数") && names[0] != names[1]);
        assert_eq!(names[2..], ["gnp._exe.png", "line_break_.txt"]);
    }
}
