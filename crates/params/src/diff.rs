//! Differences: between the schemas of two versions, and between an adjustment and the defaults.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    check::{current_values, read_adjustment},
    coerce::Reading,
    dump::{Dump, Parameter},
    vo::{ValueObject, Vo},
};

/// One member that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemberChange {
    /// Its name, such as `value` or `validators`.
    pub member: String,
    /// What it was; `None` where it is new.
    pub before: Option<Value>,
    /// What it is; `None` where it is gone.
    pub after: Option<Value>,
}

/// A parameter that both dumps have, in different form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ParameterChange {
    /// Its name.
    pub name: String,
    /// What differs.
    pub members: Vec<MemberChange>,
}

/// What became of a dump.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DumpDiff {
    /// Parameters that are new.
    pub added: Vec<String>,
    /// Parameters that are gone.
    pub removed: Vec<String>,
    /// Parameters that differ.
    pub changed: Vec<ParameterChange>,
    /// Members of `schema` that differ.
    pub schema: Vec<MemberChange>,
}

impl DumpDiff {
    /// Both dumps say the same.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares two dumps. The order of keys does not count, that of values does.
pub fn diff(before: &Dump, after: &Dump) -> DumpDiff {
    let names = |of: &Dump, not_in: &Dump| -> Vec<String> {
        of.parameters().keys().filter(|name| not_in.get(name).is_none()).cloned().collect()
    };
    let changed = after.parameters().iter().filter_map(|(name, parameter)| {
        let members = member_changes(before.get(name)?.members(), parameter.members());
        (!members.is_empty()).then(|| ParameterChange { name: name.clone(), members })
    });
    let nothing = Map::new();
    let schema = |dump: &Dump| dump.schema_json().and_then(Value::as_object).unwrap_or(&nothing).clone();
    DumpDiff {
        added: names(after, before),
        removed: names(before, after),
        changed: changed.collect(),
        schema: member_changes(&schema(before), &schema(after)),
    }
}

fn member_changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<MemberChange> {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    after
        .keys()
        .chain(gone)
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| MemberChange {
            member: key.clone(),
            before: before.get(key).cloned(),
            after: after.get(key).cloned(),
        })
        .collect()
}

/// One value that an adjustment sets to something else than the default.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueChange {
    /// The parameter.
    pub parameter: String,
    /// Its title; the name where the dump does not know it.
    pub title: String,
    /// The labels of the adjusted value.
    pub labels: Map<String, Value>,
    /// The defaults that hold there: none where the adjustment adds a value, several where it
    /// overwrites several.
    pub before: Vec<Value>,
    /// The new value; null deletes.
    pub after: Value,
}

/// What an adjustment of one section really changes. Values equal to the default are left out;
/// names the dump does not know are kept, without a default.
pub fn adjustment_changes(dump: &Dump, section: &Value) -> Vec<ValueChange> {
    let Value::Object(members) = section else { return Vec::new() };
    let mut changes = Vec::new();
    for (name, given) in members {
        match dump.get(name) {
            Some(parameter) => changes.extend(parameter_changes(dump, name, parameter, given)),
            None => {
                changes.extend(ValueObject::list_from_json(given).iter().map(|vo| change(name, name, vo, Vec::new())));
            }
        }
    }
    changes
}

fn parameter_changes(dump: &Dump, name: &str, parameter: &Parameter, given: &Value) -> Vec<ValueChange> {
    let current = current_values(dump, parameter);
    let alone = Map::from_iter([(name.to_owned(), given.clone())]);
    let (typed, report) = read_adjustment(dump, &alone, Reading::LOOSE, |_| true);
    if report.has_errors() {
        return ValueObject::list_from_json(given)
            .iter()
            .map(|vo| change(name, &parameter.title, vo, Vec::new()))
            .collect();
    }
    let holds =
        |vo: &Vo, candidate: &Vo| vo.labels.iter().all(|(label, value)| candidate.labels.get(label) == Some(value));
    typed
        .values()
        .flatten()
        .filter_map(|vo| {
            let before: Vec<_> = current.iter().filter(|candidate| holds(vo, candidate)).collect();
            let same = !before.is_empty() && before.iter().all(|held| held.value == vo.value);
            let before = before.iter().map(|held| held.value.to_json()).collect();
            (!same).then(|| change(name, &parameter.title, &vo.to_value_object(), before))
        })
        .collect()
}

fn change(name: &str, title: &str, vo: &ValueObject, before: Vec<Value>) -> ValueChange {
    ValueChange {
        parameter: name.to_owned(),
        title: title.to_owned(),
        labels: vo.labels.iter().map(|(label, value)| (label.clone(), value.clone())).collect(),
        before,
        after: vo.value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn versions() {
        let before = Dump::parse(&json!({
            "schema": {"labels": {}},
            "a": {"type": "int", "value": 1}, "b": {"type": "int", "value": 1}, "c": {"type": "int", "value": 1},
        }))
        .unwrap();
        let after = Dump::parse(&json!({
            "a": {"value": 1, "type": "int"}, "b": {"type": "float", "value": 1, "notes": "n"}, "d": {"type": "int", "value": 1},
        })).unwrap();
        let found = diff(&before, &after);
        assert_eq!((found.added.as_slice(), found.removed.as_slice()), (&["d".to_owned()][..], &["c".to_owned()][..]));
        assert_eq!(found.changed.len(), 1);
        let members: Vec<_> = found.changed[0].members.iter().map(|m| m.member.as_str()).collect();
        assert_eq!(members, ["type", "notes"]);
        assert_eq!(found.schema.len(), 1);
        assert!(diff(&after, &after).is_empty());
    }

    #[test]
    fn adjustments() {
        let dump = Dump::parse(&json!({
            "schema": {"labels": {"year": {"type": "int"}}},
            "a": {"title": "A", "type": "float", "value": [{"year": 1, "value": 1}, {"year": 2, "value": 2}]},
        }))
        .unwrap();
        let section = json!({"a": [{"year": "1", "value": "1"}, {"year": 2, "value": 3}, {"value": 2}], "a_checkbox": [{"value": true}]});
        let changes = adjustment_changes(&dump, &section);
        let before: Vec<_> = changes.iter().map(|change| change.before.len()).collect();
        assert_eq!(before, [1, 2, 0]);
        assert_eq!(changes[0].after, json!(3.0));
    }
}
