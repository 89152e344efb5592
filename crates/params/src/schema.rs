//! The `schema` member of a dump: labels, additional members, operators.

use indexmap::IndexMap;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::validator::Validator;

/// Why a dump cannot be used as an input schema. Each message names the place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SchemaError {
    /// Something that must be a JSON object is not.
    #[error("{place} must be a JSON object, not {found}")]
    NotAnObject {
        /// Where in the dump.
        place: String,
        /// The JSON kind found there.
        found: &'static str,
    },
    /// A member that must be present is missing.
    #[error("{place} lacks the member `{member}`; add it to the defaults of the model")]
    Missing {
        /// Where in the dump.
        place: String,
        /// The name of the member.
        member: &'static str,
    },
    /// A member has a value of the wrong kind.
    #[error("`{member}` of {place} must be {expected}")]
    Wrong {
        /// Where in the dump.
        place: String,
        /// The name of the member.
        member: String,
        /// What is expected there.
        expected: &'static str,
    },
}

/// The type of a parameter, label or additional member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamType {
    /// `int`
    Int,
    /// `float`
    Float,
    /// `bool`
    Bool,
    /// `str`
    Str,
    /// `date`: `YYYY-MM-DD`
    Date,
    /// A type the model registered itself; its values are never judged here.
    Other(String),
}

impl ParamType {
    /// The type of this name.
    pub fn from_name(name: &str) -> Self {
        match name {
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "str" => Self::Str,
            "date" => Self::Date,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The name as dumps have it.
    pub fn name(&self) -> &str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Str => "str",
            Self::Date => "date",
            Self::Other(name) => name,
        }
    }
}

/// A label: a dimension along which values of parameters differ.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelSchema {
    /// The type of its values.
    pub kind: ParamType,
    /// Which values are allowed.
    pub validators: Vec<Validator>,
}

/// An attribute that parameters of this dump may have beside the standard ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdditionalMember {
    /// Its type.
    pub kind: ParamType,
    /// 0 for a scalar, 1 for a list, and so on.
    pub number_dims: u32,
}

/// How the model's own `Parameters` class behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operators {
    /// Values are offered to the model as arrays.
    pub array_first: bool,
    /// The label along which values are carried forward.
    pub label_to_extend: Option<String>,
    /// Carried values of indexed parameters grow by index rates.
    pub uses_extend_func: bool,
}

/// The `schema` member of a dump.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Schema {
    /// Labels in their order, which is also the order in which values are sorted.
    pub labels: IndexMap<String, LabelSchema>,
    /// Extra attributes of parameters.
    pub additional_members: IndexMap<String, AdditionalMember>,
    /// Behaviour of the model's class.
    pub operators: Operators,
}

impl Schema {
    pub(crate) fn parse(value: &Value) -> Result<Self, SchemaError> {
        let place = "`schema`";
        let members = object(value, place)?;
        let mut schema = Self::default();
        for (name, label) in optional_object(members, "labels", place)? {
            let place = format!("label `{name}`");
            let label = object(label, &place)?;
            let kind = ParamType::from_name(string(label, "type", &place)?);
            let validators = Validator::parse_all(label.get("validators"), &place)?;
            schema.labels.insert(name.clone(), LabelSchema { kind, validators });
        }
        for (name, member) in optional_object(members, "additional_members", place)? {
            let place = format!("additional member `{name}`");
            let member = object(member, &place)?;
            let kind = ParamType::from_name(string(member, "type", &place)?);
            let number_dims = dims(member, &place)?;
            schema.additional_members.insert(name.clone(), AdditionalMember { kind, number_dims });
        }
        let operators = optional_object(members, "operators", place)?;
        let flag = |name: &str| operators.iter().any(|(key, value)| *key == name && *value == true);
        schema.operators = Operators {
            array_first: flag("array_first"),
            label_to_extend: operators
                .iter()
                .find(|(key, _)| *key == "label_to_extend")
                .and_then(|(_, value)| value.as_str().map(str::to_owned)),
            uses_extend_func: flag("uses_extend_func"),
        };
        Ok(schema)
    }
}

pub(crate) fn object<'a>(value: &'a Value, place: &str) -> Result<&'a Map<String, Value>, SchemaError> {
    value.as_object().ok_or_else(|| SchemaError::NotAnObject { place: place.to_owned(), found: kind_of(value) })
}

fn optional_object<'a>(
    members: &'a Map<String, Value>,
    member: &str,
    place: &str,
) -> Result<Vec<(&'a String, &'a Value)>, SchemaError> {
    match members.get(member) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(value) => Ok(object(value, &format!("`{member}` of {place}"))?.iter().collect()),
    }
}

pub(crate) fn string<'a>(
    members: &'a Map<String, Value>,
    member: &'static str,
    place: &str,
) -> Result<&'a str, SchemaError> {
    match members.get(member) {
        None => Err(SchemaError::Missing { place: place.to_owned(), member }),
        Some(value) => value.as_str().ok_or_else(|| SchemaError::Wrong {
            place: place.to_owned(),
            member: member.to_owned(),
            expected: "a string",
        }),
    }
}

pub(crate) fn dims(members: &Map<String, Value>, place: &str) -> Result<u32, SchemaError> {
    match members.get("number_dims") {
        None | Some(Value::Null) => Ok(0),
        Some(value) => value.as_u64().and_then(|dims| u32::try_from(dims).ok()).ok_or_else(|| SchemaError::Wrong {
            place: place.to_owned(),
            member: "number_dims".into(),
            expected: "a number of dimensions, 0 or more",
        }),
    }
}

pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
