//! Names that look like one that was not found.

/// The nearest of the known names, at most three, best first.
pub(crate) fn near<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let given = given.to_lowercase();
    let mut scored: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let contains = given.len() > 1 && (lower.contains(&given) || given.contains(&lower));
            let score = if contains { 1 } else { distance(&given, &lower) };
            (score <= 1.max(given.chars().count() / 3)).then_some((score, name))
        })
        .collect();
    scored.sort_unstable();
    scored.dedup();
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Insertions, removals and replacements that make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        assert_eq!(near("mster", ["master", "dev"]), ["master"]);
        assert_eq!(near("1.2.0", ["v1.2.0", "v2", "v1.2.1"]), ["v1.2.0"]);
        assert!(near("feature", ["master"]).is_empty());
    }
}
