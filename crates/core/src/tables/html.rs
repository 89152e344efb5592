//! Reads the tables of an HTML fragment that nobody checked. It is never shown from here, so what is odd is passed over.

use super::Grid;

/// Cells that one cell may fill by `rowspan` and `colspan`, and cells of a table: a model may ask for any number.
const SPAN: usize = 1000;
const CELLS: usize = 1_000_000;

/// The tables of a fragment in their order, those inside of others as part of them; and the text around them.
#[must_use]
pub fn tables(fragment: &str) -> (Vec<Grid>, String) {
    let mut reader = Reader::default();
    let mut rest = fragment;
    while let Some(at) = rest.find('<') {
        reader.text(&rest[..at]);
        let tag = &rest[at..];
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let is_tag = tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
        let Some(end) = tag.find('>').filter(|_| is_tag) else {
            reader.text("<");
            rest = &tag[1..];
            continue;
        };
        let (name, attributes) = split(&tag[1..end]);
        rest = &tag[end + 1..];
        if matches!(name.as_str(), "script" | "style") {
            let closing = format!("</{name}");
            let skipped = rest.to_ascii_lowercase().find(&closing).unwrap_or(rest.len());
            rest = &rest[skipped..];
            continue;
        }
        reader.tag(&name, attributes);
    }
    reader.text(rest);
    reader.finish()
}

/// The name of a tag in small letters, with its slash if it closes, and what follows it.
fn split(tag: &str) -> (String, &str) {
    let end = tag.find(|c: char| c.is_whitespace()).unwrap_or(tag.len());
    (tag[..end].trim_end_matches('/').to_ascii_lowercase(), &tag[end..])
}

fn span(attributes: &str, name: &str) -> usize {
    let lower = attributes.to_ascii_lowercase();
    let value = lower.find(&format!("{name}=")).map(|at| &lower[at + name.len() + 1..]);
    let digits: String =
        value.unwrap_or_default().trim_start_matches(['"', '\'']).chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(1).clamp(1, SPAN)
}

#[derive(Default)]
struct Reader {
    tables: Vec<Grid>,
    prose: String,
    depth: usize,
    table: Table,
    cell: Option<Cell>,
}

#[derive(Default)]
struct Table {
    rows: Grid,
    row: Vec<String>,
    /// Cells of rows above that reach down, by column: how many rows still, and their text.
    reaching: Vec<(usize, String)>,
    cells: usize,
}

struct Cell {
    text: String,
    rows: usize,
    columns: usize,
}

impl Reader {
    fn text(&mut self, text: &str) {
        match &mut self.cell {
            Some(cell) => cell.text.push_str(text),
            None if self.depth == 0 => self.prose.push_str(text),
            None => {}
        }
    }

    fn tag(&mut self, name: &str, attributes: &str) {
        match name {
            "table" => {
                self.depth += 1;
                if self.depth == 1 {
                    self.table = Table::default();
                }
            }
            "/table" if self.depth == 1 => {
                self.end_cell();
                self.depth = 0;
                self.tables.push(std::mem::take(&mut self.table).finish());
            }
            "/table" => self.depth = self.depth.saturating_sub(1),
            "tr" | "/tr" if self.depth == 1 => {
                self.end_cell();
                self.table.end_row();
            }
            "td" | "th" if self.depth == 1 => {
                self.end_cell();
                let (rows, columns) = (span(attributes, "rowspan"), span(attributes, "colspan"));
                self.cell = Some(Cell { text: String::new(), rows, columns });
            }
            "/td" | "/th" if self.depth == 1 => self.end_cell(),
            // Words on two lines are two words.
            _ => self.text(" "),
        }
    }

    fn end_cell(&mut self) {
        if let Some(cell) = self.cell.take() {
            self.table.push(&cell);
        }
    }

    fn finish(mut self) -> (Vec<Grid>, String) {
        self.end_cell();
        if self.depth > 0 {
            self.tables.push(std::mem::take(&mut self.table).finish());
        }
        (self.tables, plain(&self.prose))
    }
}

impl Table {
    /// Cells from above that stand in the columns to come.
    fn fill(&mut self) {
        while let Some((rows, text)) = self.reaching.get_mut(self.row.len()).filter(|(rows, _)| *rows > 0) {
            *rows -= 1;
            let text = text.clone();
            self.row.push(text);
        }
    }

    fn push(&mut self, cell: &Cell) {
        let text = plain(&cell.text);
        for _ in 0..cell.columns {
            self.fill();
            self.cells += 1;
            if self.cells > CELLS {
                return;
            }
            let column = self.row.len();
            self.row.push(text.clone());
            if cell.rows > 1 {
                self.reaching.resize(self.reaching.len().max(column + 1), (0, String::new()));
                self.reaching[column] = (cell.rows - 1, text.clone());
            }
        }
    }

    fn end_row(&mut self) {
        if self.row.is_empty() {
            return;
        }
        self.fill();
        self.rows.push(std::mem::take(&mut self.row));
    }

    fn finish(mut self) -> Grid {
        self.end_row();
        self.rows
    }
}

/// Text without entities, its spaces made one.
fn plain(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find(';').filter(|end| *end <= 8);
        match end.and_then(|end| Some((entity(&rest[..end])?, end))) {
            Some((letter, end)) => {
                decoded.push(letter);
                rest = &rest[end + 1..];
            }
            None => decoded.push('&'),
        }
    }
    decoded.push_str(rest);
    decoded.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "minus" => '-',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tables_and_the_text_around_them() {
        let fragment = "<h3>Taxes</h3><table border=1><thead><tr><th></th><th colspan='2'>A &amp; B</th></tr></thead>\
                        <tbody><tr><th rowspan=\"2\">x</th><td>1</td><td>2<br>3</td></tr><tr><td>4</td><td>&#53;</td></tr>\
                        </table><p>in&nbsp;dollars</p><script>if (a < b) '<table>'</script><TABLE><TR><TD>z</TABLE>";
        let (tables, prose) = tables(fragment);
        assert_eq!(tables[0], [["", "A & B", "A & B"], ["x", "1", "2 3"], ["x", "4", "5"]]);
        assert_eq!(tables[1], [["z"]]);
        assert_eq!((tables.len(), prose.as_str()), (2, "Taxes in dollars"));
    }

    #[test]
    fn a_table_without_end_ends() {
        assert_eq!(tables("a < b <table><tr><td>1").0, [[["1"]]]);
        assert_eq!(tables("<table><tr><td rowspan=99999999 colspan=99999999>x</table>").0[0][0].len(), SPAN);
    }

    proptest! {
        #[test]
        fn no_fragment_is_too_odd(text in "(<|>|/|table|tr|td|th| rowspan=3| colspan=2|&#1;|&|;|<!--|-->|é|x){0,40}") {
            let _ = tables(&text);
        }
    }
}
