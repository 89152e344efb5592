//! Splitting a comma list.

/// The items of a comma list, trimmed. Commas inside brackets and inside an item that begins with a
/// double quote do not split.
pub(super) fn items(text: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let mut start = 0;
    let mut scan = Scan::default();
    for (at, c) in text.char_indices() {
        if scan.splits(c) {
            items.push(text[start..at].trim());
            start = at + 1;
            scan = Scan::default();
        }
    }
    items.push(text[start..].trim());
    items
}

#[derive(Default)]
struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
    begun: bool,
    /// The item is JSON: it began with a quote or a bracket.
    json: bool,
}

impl Scan {
    fn splits(&mut self, c: char) -> bool {
        if !self.begun && !c.is_whitespace() {
            self.begun = true;
            self.json = matches!(c, '"' | '[');
        }
        if !self.json {
            return c == ',';
        }
        if self.in_string {
            if self.escaped {
                self.escaped = false;
            } else if c == '\\' {
                self.escaped = true;
            } else if c == '"' {
                self.in_string = false;
            }
            return false;
        }
        match c {
            '"' => self.in_string = true,
            '[' => self.depth += 1,
            ']' => self.depth = self.depth.saturating_sub(1),
            ',' => return self.depth == 0,
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas() {
        assert_eq!(items("<, 1,*,3"), ["<", "1", "*", "3"]);
        assert_eq!(items(r#"a "b, c",[1,[2,3]], "x,\",y""#), ["a \"b", "c\"", "[1,[2,3]]", r#""x,\",y""#]);
        assert_eq!(items(""), [""]);
        assert_eq!(items("1,"), ["1", ""]);
    }
}
