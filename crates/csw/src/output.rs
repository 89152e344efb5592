//! Everything that is printed: data to stdout, words about it to stderr. The one place that does.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::failure::{Failure, Outcome};

/// How the user wants to read results.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
}

impl Printer {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read it.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// One result: a line of JSON, or `text`.
    pub(crate) fn result(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Outcome {
        if self.json {
            let line = serde_json::to_string(value)
                .map_err(|error| Failure::local(format!("the result is no JSON: {error}"), "leave `--json` away"))?;
            say(&line)
        } else {
            let text = text();
            if text.is_empty() { Ok(()) } else { say(&text) }
        }
    }

    /// A remark for people; programs are spared it.
    pub(crate) fn note(self, text: &str) {
        if !self.json {
            complain(text);
        }
    }

    /// Text as it comes, without a line's end: to stdout for people, to stderr where stdout carries JSON.
    pub(crate) fn stream(self, text: &str) -> Outcome {
        if self.json {
            let _ = io::stderr().lock().write_all(text.as_bytes());
            return Ok(());
        }
        write(&mut io::stdout().lock(), text.as_bytes())
    }
}

fn write(out: &mut impl Write, bytes: &[u8]) -> Outcome {
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::local(format!("stdout: {error}"), "is the disk full?")),
        Ok(()) => Ok(()),
    }
}

/// A line to stdout.
pub(crate) fn say(text: &str) -> Outcome {
    write(&mut io::stdout().lock(), format!("{text}\n").as_bytes())
}

/// A line to stderr; if even that fails, nobody is listening.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether words on stderr may have colours: on a terminal, unless its user does not want them.
pub(crate) fn is_coloured() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !unwanted && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Rows under headings, in columns.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: [&str; N]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        text.trim_end().to_owned()
    };
    let mut lines = vec![line(headings)];
    lines.extend(rows.iter().map(|row| line(std::array::from_fn(|column| row[column].as_str()))));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a".to_owned(), "1".to_owned()], ["ééé".to_owned(), "22".to_owned()]];
        assert_eq!(table(["NAME", "N"], &rows), "NAME  N\na     1\nééé   22");
    }
}
