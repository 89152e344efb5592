//! What became of the outputs of a simulation: pairs of the same list, title and kind, compared as what they are.

use csw_core::{
    comparison::{OutputChange, OutputDifference},
    output::{MediaType, Output},
    tables::{self, Grid, TableDifference},
};

use crate::conformance::without_ids;

/// Rows of a CSV that are compared.
const ROWS: usize = 100_000;

/// An output with its bytes, where these are compared.
pub(super) struct Read {
    pub(super) output: Output,
    pub(super) bytes: Option<Vec<u8>>,
}

/// Which outputs are compared with which: each of `after` with its partner, and those of `before` that have none.
pub(super) fn pairs(before: &[Output], after: &[Output]) -> (Vec<Option<usize>>, Vec<usize>) {
    let same =
        |one: &Output, two: &Output| (one.kind, one.media_type, &one.title) == (two.kind, two.media_type, &two.title);
    let mut free = vec![true; before.len()];
    let mut partners = Vec::with_capacity(after.len());
    for output in after {
        let found = (0..before.len()).find(|&at| free[at] && same(&before[at], output));
        if let Some(at) = found {
            free[at] = false;
        }
        partners.push(found);
    }
    let gone = (0..before.len()).filter(|&at| free[at]).collect();
    (partners, gone)
}

/// Whether the bytes of two outputs have to be read to tell how different they are.
pub(super) fn is_read(before: &Output, after: &Output) -> bool {
    const LARGEST: u64 = 16 << 20;
    let telling = matches!(
        after.media_type,
        MediaType::Table | MediaType::Csv | MediaType::Bokeh | MediaType::Text | MediaType::Markdown
    );
    telling && before.sha256 != after.sha256 && before.size.max(after.size) <= LARGEST
}

/// An output that only one version has.
pub(super) fn alone(output: &Output, change: OutputChange) -> OutputDifference {
    OutputDifference { title: output.title.clone(), media_type: output.media_type, list: output.kind, change }
}

/// What is different between two outputs.
pub(super) fn between(before: &Read, after: &Read) -> OutputDifference {
    let change = if before.output.sha256 == after.output.sha256 {
        OutputChange::Equal
    } else {
        match (&before.bytes, &after.bytes) {
            (Some(one), Some(two)) => of_bytes(after.output.media_type, one, two),
            _ => changed(format!("{} bytes were {} bytes", after.output.size, before.output.size), None),
        }
    };
    alone(&after.output, change)
}

fn changed(sentence: String, table: Option<Box<TableDifference>>) -> OutputChange {
    OutputChange::Changed { sentence, table }
}

fn of_bytes(kind: MediaType, before: &[u8], after: &[u8]) -> OutputChange {
    let (one, two) = (String::from_utf8_lossy(before), String::from_utf8_lossy(after));
    match kind {
        MediaType::Table => of_tables(tables::html::tables(&one), tables::html::tables(&two)),
        MediaType::Csv => {
            let rows = |text: &str| (vec![tables::csv::rows(text, ROWS).0], String::new());
            of_tables(rows(&one), rows(&two))
        }
        // Its identifiers are random.
        MediaType::Bokeh => match (without_ids(before), without_ids(after)) {
            (Some(one), Some(two)) if one == two => OutputChange::Equal,
            _ => changed("The plot is different".to_owned(), None),
        },
        _ => {
            let lines = one.lines().zip(two.lines()).filter(|(one, two)| one != two).count();
            let more = one.lines().count().abs_diff(two.lines().count());
            match lines + more {
                1 => changed("1 line is different".to_owned(), None),
                many => changed(format!("{many} lines are different"), None),
            }
        }
    }
}

fn of_tables((before, old_prose): (Vec<Grid>, String), (after, new_prose): (Vec<Grid>, String)) -> OutputChange {
    let mut found = TableDifference::default();
    for (one, two) in before.iter().zip(&after) {
        found.add(tables::difference(one, two));
    }
    let mut told = Vec::new();
    if found.changed > 0 {
        let largest =
            found.largest.map_or_else(String::new, |largest| format!(", by up to {}", tables::percent(largest)));
        let verb = if found.changed == 1 { "is" } else { "are" };
        told.push(format!("{} of {} cells {verb} different{largest}", found.changed, found.compared));
    }
    for (list, what) in [
        (&found.rows_came, ("row", "came")),
        (&found.rows_went, ("row", "went")),
        (&found.columns_came, ("column", "came")),
        (&found.columns_went, ("column", "went")),
    ] {
        let (thing, happened) = what;
        match list.0 {
            0 => {}
            1 => told.push(format!("1 {thing} {happened}")),
            many => told.push(format!("{many} {thing}s {happened}")),
        }
    }
    if before.len() != after.len() {
        told.push(format!("there are {} tables instead of {}", after.len(), before.len()));
    }
    if old_prose != new_prose {
        told.push("the text around is different".to_owned());
    }
    if told.is_empty() {
        // What is left is markup.
        return OutputChange::Equal;
    }
    changed(told.join("; "), Some(found).filter(|found| !found.is_empty()).map(Box::new))
}

#[cfg(test)]
mod tests {
    use csw_core::{
        ids::OutputId,
        output::{OutputKind, Thumbnail},
    };

    use super::*;

    fn output(title: &str, media_type: MediaType, sha256: &str) -> Output {
        Output {
            id: OutputId::new(jiff::Timestamp::UNIX_EPOCH, [1; 10]),
            kind: OutputKind::Renderable,
            position: 0,
            title: title.to_owned(),
            media_type,
            filename: String::new(),
            size: 9,
            sha256: sha256.to_owned(),
            thumbnail: Thumbnail::Nothing,
        }
    }

    fn read(media_type: MediaType, text: &str) -> Read {
        Read { output: output("t", media_type, text), bytes: Some(text.as_bytes().to_vec()) }
    }

    fn sentence(kind: MediaType, before: &str, after: &str) -> String {
        match between(&read(kind, before), &read(kind, after)).change {
            OutputChange::Changed { sentence, .. } => sentence,
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn outputs_find_their_partners() {
        let before =
            [output("a", MediaType::Csv, "1"), output("a", MediaType::Csv, "2"), output("b", MediaType::Text, "3")];
        let after = [output("b", MediaType::Csv, "4"), output("a", MediaType::Csv, "5")];
        assert_eq!(pairs(&before, &after), (vec![None, Some(0)], vec![1, 2]));
    }

    #[test]
    fn each_kind_is_compared_as_what_it_is() {
        let cells = |value: &str| {
            format!("<p>Taxes</p><table><tr><th></th><th>a</th></tr><tr><th>x</th><td>{value}</td></tr></table>")
        };
        assert_eq!(
            sentence(MediaType::Table, &cells("10"), &cells("12.5")),
            "1 of 2 cells is different, by up to 25 %"
        );
        assert_eq!(sentence(MediaType::Table, &cells("1"), &cells("<b>1</b>")), "Equal");
        assert_eq!(sentence(MediaType::Csv, "y,a\n1,2\n", "y,a\n1,2\n2,3\n"), "1 row came");
        assert_eq!(sentence(MediaType::Bokeh, r#"{"id":"p1","x":1}"#, r#"{"id":"p2","x":1}"#), "Equal");
        assert_eq!(sentence(MediaType::Bokeh, r#"{"id":"p1","x":1}"#, r#"{"id":"p1","x":2}"#), "The plot is different");
        assert_eq!(sentence(MediaType::Text, "a\nb", "a\nc\nd"), "2 lines are different");
        let (one, two) = (read(MediaType::Png, "x"), read(MediaType::Png, "yy"));
        assert!(
            !is_read(&one.output, &two.output)
                && is_read(&read(MediaType::Csv, "x").output, &read(MediaType::Csv, "y").output)
        );
    }
}
