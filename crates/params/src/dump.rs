//! A parsed dump: parameters and the schema they follow.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::{
    schema::{ParamType, Schema, SchemaError, dims, kind_of, object, string},
    validator::Validator,
    vo::ValueObject,
};

const SCHEMA: &str = "schema";

/// One parameter of a dump.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// What people call it; its name where the dump has no title.
    pub title: String,
    /// What it means.
    pub description: String,
    /// Remarks.
    pub notes: String,
    /// The type of its value, or of the elements of its value.
    pub kind: ParamType,
    /// 0 for a scalar, 1 for a list, 2 for a table, and so on.
    pub number_dims: u32,
    /// Validators in the order of their application.
    pub validators: Vec<Validator>,
    /// Whether carried values grow by index rates.
    pub indexed: bool,
    value: Vec<ValueObject>,
    members: Map<String, Value>,
}

impl Parameter {
    fn parse(name: &str, value: &Value) -> Result<Self, SchemaError> {
        let place = format!("parameter `{name}`");
        let members = object(value, &place)?;
        let text = |member: &str| members.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
        let given =
            members.get("value").ok_or_else(|| SchemaError::Missing { place: place.clone(), member: "value" })?;
        let title = text("title");
        Ok(Self {
            title: if title.is_empty() { name.to_owned() } else { title },
            description: text("description"),
            notes: text("notes"),
            kind: ParamType::from_name(string(members, "type", &place)?),
            number_dims: dims(members, &place)?,
            validators: Validator::parse_all(members.get("validators"), &place)?,
            indexed: members.get("indexed").is_some_and(|indexed| *indexed == true),
            value: ValueObject::list_from_json(given),
            members: members.clone(),
        })
    }

    /// The value objects.
    pub fn values(&self) -> &[ValueObject] {
        &self.value
    }

    /// All members as the dump has them, additional ones included.
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// A text member such as `section_1`; empty where it is missing or no text.
    pub fn text(&self, member: &str) -> &str {
        self.members.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether the form offers the toggle that is stored as `<name>_checkbox`.
    pub fn has_checkbox(&self) -> bool {
        self.members.get("checkbox").is_some_and(|checkbox| *checkbox == true)
    }

    pub(crate) fn set_values(&mut self, values: Vec<ValueObject>) {
        let json = values.iter().map(ValueObject::to_json).collect();
        self.members.insert("value".into(), Value::Array(json));
        self.value = values;
    }
}

/// A parsed dump. Parameters keep their order, members nobody knows are kept, and
/// [`Dump::to_json`] gives back what was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dump {
    schema: Schema,
    raw_schema: Option<(usize, Value)>,
    parameters: IndexMap<String, Parameter>,
}

impl Dump {
    /// Reads a dump. The error names the parameter or label that cannot be understood.
    pub fn parse(value: &Value) -> Result<Self, SchemaError> {
        let members = value
            .as_object()
            .ok_or_else(|| SchemaError::NotAnObject { place: "a dump of parameters".into(), found: kind_of(value) })?;
        let mut dump = Self::default();
        for (position, (name, value)) in members.iter().enumerate() {
            if name == SCHEMA {
                dump.schema = Schema::parse(value)?;
                dump.raw_schema = Some((position, value.clone()));
            } else {
                dump.parameters.insert(name.clone(), Parameter::parse(name, value)?);
            }
        }
        Ok(dump)
    }

    /// The JSON that was read, with the values as they are now.
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        let mut schema = self.raw_schema.as_ref();
        for (position, (name, parameter)) in self.parameters.iter().enumerate() {
            if let Some((_, raw)) = schema.take_if(|(at, _)| *at == position) {
                members.insert(SCHEMA.into(), raw.clone());
            }
            members.insert(name.clone(), Value::Object(parameter.members.clone()));
        }
        if let Some((_, raw)) = schema {
            members.insert(SCHEMA.into(), raw.clone());
        }
        Value::Object(members)
    }

    /// Labels, additional members and operators.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The `schema` member as it was read.
    pub fn schema_json(&self) -> Option<&Value> {
        self.raw_schema.as_ref().map(|(_, value)| value)
    }

    /// Parameters by name, in the order of the dump.
    pub fn parameters(&self) -> &IndexMap<String, Parameter> {
        &self.parameters
    }

    /// One parameter.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.parameters.get(name)
    }

    pub(crate) fn set_values(&mut self, name: &str, values: Vec<ValueObject>) {
        if let Some(parameter) = self.parameters.get_mut(name) {
            parameter.set_values(values);
        }
    }
}
