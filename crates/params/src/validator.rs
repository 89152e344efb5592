//! Validators as a schema states them.

use serde_json::{Map, Value};

use crate::schema::{SchemaError, object};

/// What a failed validator means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// The adjustment is refused.
    #[default]
    Error,
    /// The adjustment is accepted and the message shown.
    Warn,
}

/// The limits of a `range` or `date_range`. A limit is a literal, the name of another parameter,
/// or `"default"` for the parameter's own current value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bound {
    /// Smallest value allowed.
    pub min: Option<Value>,
    /// Largest value allowed.
    pub max: Option<Value>,
    /// Distance between the values of the grid; for dates an object such as `{"days": 1}`.
    pub step: Option<Value>,
    /// What exceeding it means.
    pub level: Level,
}

/// The test of a `when` validator on the other parameter's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The value equals this.
    EqualTo(Value),
    /// The value is less than this.
    LessThan(Value),
    /// The value is greater than this.
    GreaterThan(Value),
}

/// Validators that depend on the value of another parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct When {
    /// The other parameter.
    pub param: String,
    /// The test; `None` where the schema states none that can be understood.
    pub is: Option<Condition>,
    /// Applied where the test holds.
    pub then: Vec<Validator>,
    /// Applied where it does not.
    pub otherwise: Vec<Validator>,
}

/// One validator.
#[derive(Debug, Clone, PartialEq)]
pub enum Validator {
    /// `range`
    Range(Bound),
    /// `date_range`
    DateRange(Bound),
    /// `choice`
    Choice {
        /// The values allowed, beside null.
        choices: Vec<Value>,
        /// What another value means.
        level: Level,
    },
    /// `when`
    When(Box<When>),
    /// A validator this crate does not know: it never fails.
    Other(String),
}

impl Validator {
    /// Reads a `validators` member. The result is in the order in which `ParamTools` applies them,
    /// whatever the order in the dump.
    pub(crate) fn parse_all(validators: Option<&Value>, place: &str) -> Result<Vec<Self>, SchemaError> {
        let Some(value) = validators.filter(|value| !value.is_null()) else {
            return Ok(Vec::new());
        };
        let members = object(value, &format!("`validators` of {place}"))?;
        let mut parsed = Vec::new();
        for known in ["range", "date_range", "choice", "when"] {
            if let Some(spec) = members.get(known) {
                let place = format!("validator `{known}` of {place}");
                parsed.push(Self::parse(known, object(spec, &place)?, &place)?);
            }
        }
        let unknown = |name: &&String| !matches!(name.as_str(), "range" | "date_range" | "choice" | "when");
        parsed.extend(members.keys().filter(unknown).cloned().map(Self::Other));
        Ok(parsed)
    }

    fn parse(name: &str, spec: &Map<String, Value>, place: &str) -> Result<Self, SchemaError> {
        Ok(match name {
            "range" => Self::Range(Bound::parse(spec)),
            "date_range" => Self::DateRange(Bound::parse(spec)),
            "choice" => {
                Self::Choice {
                    choices: spec.get("choices").and_then(Value::as_array).cloned().ok_or_else(|| {
                        SchemaError::Wrong { place: place.to_owned(), member: "choices".into(), expected: "a list" }
                    })?,
                    level: Level::parse(spec),
                }
            }
            "when" => Self::When(Box::new(When::parse(spec, place)?)),
            other => Self::Other(other.to_owned()),
        })
    }
}

impl Level {
    fn parse(spec: &Map<String, Value>) -> Self {
        match spec.get("level").and_then(Value::as_str) {
            Some("warn") => Self::Warn,
            _ => Self::Error,
        }
    }
}

impl Bound {
    fn parse(spec: &Map<String, Value>) -> Self {
        let member = |name: &str| spec.get(name).filter(|value| !value.is_null()).cloned();
        Self { min: member("min"), max: member("max"), step: member("step"), level: Level::parse(spec) }
    }
}

impl When {
    fn parse(spec: &Map<String, Value>, place: &str) -> Result<Self, SchemaError> {
        Ok(Self {
            param: crate::schema::string(spec, "param", place)?.to_owned(),
            is: spec.get("is").and_then(Condition::parse),
            then: Validator::parse_all(spec.get("then"), &format!("`then` in {place}"))?,
            otherwise: Validator::parse_all(spec.get("otherwise"), &format!("`otherwise` in {place}"))?,
        })
    }
}

impl Condition {
    fn parse(is: &Value) -> Option<Self> {
        let Value::Object(members) = is else {
            return Some(Self::EqualTo(is.clone()));
        };
        let (name, value) = members.iter().next()?;
        match name.as_str() {
            "equal_to" => Some(Self::EqualTo(value.clone())),
            "less_than" => Some(Self::LessThan(value.clone())),
            "greater_than" => Some(Self::GreaterThan(value.clone())),
            _ => None,
        }
    }
}
