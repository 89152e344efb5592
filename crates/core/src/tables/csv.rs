//! Reads comma-separated values.

use super::Grid;

/// The first rows of a text, and whether there are more. Quoted values may hold commas, line ends and doubled quotes;
/// a quote that is never closed goes on to the end.
#[must_use]
pub fn rows(text: &str, limit: usize) -> (Grid, bool) {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut value = String::new();
    let mut quoted = false;
    let mut letters = text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                value.push('"');
            }
            '"' if quoted || value.is_empty() => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut value)),
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut value));
                rows.push(std::mem::take(&mut row));
                if rows.len() == limit {
                    return (rows, letters.peek().is_some());
                }
            }
            _ => value.push(letter),
        }
    }
    if !value.is_empty() || !row.is_empty() {
        row.push(value);
        rows.push(row);
    }
    (rows, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Vec<String>> {
        rows(text, 10).0
    }

    #[test]
    fn values_may_hold_anything() {
        assert_eq!(read("a,b\n1,2\n"), [["a", "b"], ["1", "2"]]);
        assert_eq!(read("a,b\r\n\"x, \"\"y\"\"\n\",\r\n"), [["a", "b"], ["x, \"y\"\n", ""]]);
        assert_eq!(read("\u{feff}a"), [["a"]]);
        assert_eq!(read(""), Vec::<Vec<String>>::new());
        assert_eq!(read("5\" pipe,1"), [["5\" pipe", "1"]]);
    }

    #[test]
    fn long_ones_are_cut() {
        assert_eq!(rows("a\nb\nc\n", 2), (vec![vec!["a".to_owned()], vec!["b".to_owned()]], true));
        assert!(!rows("a\nb\n", 2).1);
    }
}
