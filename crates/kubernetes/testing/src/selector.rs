//! Label and field selectors, as far as anybody here uses them: equality, and a label that has to be there.

use serde_json::Value;

/// What a list or watch is limited to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone)]
enum Term {
    /// A pointer into the object and its value.
    Equal(Vec<String>, String),
    Unequal(Vec<String>, String),
    Exists(Vec<String>),
}

impl Selector {
    /// Reads both selectors of a request; the error is what a server would say.
    pub(crate) fn parse(labels: Option<&str>, fields: Option<&str>) -> Result<Self, String> {
        let mut terms = vec![];
        for term in split(labels) {
            let path = |key: &str| vec!["metadata".to_owned(), "labels".to_owned(), key.trim().to_owned()];
            terms.push(match pair(term) {
                Some((key, value, true)) => Term::Equal(path(key), value.to_owned()),
                Some((key, value, false)) => Term::Unequal(path(key), value.to_owned()),
                None if term.contains([' ', '!', '(']) => return Err(format!("unable to parse requirement: {term}")),
                None => Term::Exists(path(term)),
            });
        }
        for term in split(fields) {
            let path = |key: &str| key.trim().split('.').map(str::to_owned).collect();
            terms.push(match pair(term) {
                Some((key, value, true)) => Term::Equal(path(key), value.to_owned()),
                Some((key, value, false)) => Term::Unequal(path(key), value.to_owned()),
                None => return Err(format!("invalid field selector: {term}")),
            });
        }
        Ok(Self { terms })
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let at = |path: &[String]| path.iter().try_fold(object, |value, key| value.get(key));
        self.terms.iter().all(|term| match term {
            Term::Equal(path, wanted) => at(path).and_then(Value::as_str) == Some(wanted),
            Term::Unequal(path, wanted) => at(path).and_then(Value::as_str) != Some(wanted),
            Term::Exists(path) => at(path).is_some(),
        })
    }
}

fn split(terms: Option<&str>) -> impl Iterator<Item = &str> {
    terms.unwrap_or_default().split(',').filter(|term| !term.is_empty())
}

/// Key, value, and whether they have to be equal.
fn pair(term: &str) -> Option<(&str, &str, bool)> {
    if let Some((key, value)) = term.split_once("!=") {
        return Some((key, value, false));
    }
    let (key, value) = term.split_once("==").or_else(|| term.split_once('='))?;
    Some((key, value, true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_kinds_limit_together() {
        let object = json!({ "metadata": { "name": "n", "labels": { "a/b": "1" } }, "type": "Warning" });
        let matches = |labels, fields| Selector::parse(labels, fields).unwrap().matches(&object);
        assert!(matches(Some("a/b=1"), Some("metadata.name=n,type!=Normal")));
        assert!(matches(Some("a/b"), None));
        assert!(!matches(Some("a/b=2"), None));
        assert!(!matches(None, Some("metadata.name==m")));
        assert!(Selector::parse(Some("a in (b)"), None).is_err());
    }
}
