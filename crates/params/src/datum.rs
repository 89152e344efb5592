//! A value after type conversion, compared and written as Python would.

use std::cmp::Ordering;

use jiff::civil::Date;
use serde_json::{Map, Number, Value};

use crate::python;

/// One typed value: a parameter's value or part of it, a label value, or a bound.
#[derive(Debug, Clone)]
pub(crate) enum Datum {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    Date(Date),
    List(Vec<Datum>),
    Map(Vec<(String, Datum)>),
}

impl Datum {
    /// The JSON value as it stands, without any conversion.
    pub(crate) fn from_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Number(number) => Self::from_number(number),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from_json).collect()),
            Value::Object(members) => {
                Self::Map(members.iter().map(|(key, value)| (key.clone(), Self::from_json(value))).collect())
            }
        }
    }

    fn from_number(number: &Number) -> Self {
        if let Some(int) = number.as_i128() { Self::Int(int) } else { Self::Float(number.as_f64().unwrap_or(f64::NAN)) }
    }

    /// JSON for a dump: dates as `YYYY-MM-DD`, numbers that JSON lacks as text.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Int(int) => Number::from_i128(*int).map_or_else(|| Value::String(int.to_string()), Value::Number),
            Self::Float(float) => {
                Number::from_f64(*float).map_or_else(|| Value::String(python::float_repr(*float)), Value::Number)
            }
            Self::Text(text) => Value::String(text.clone()),
            Self::Date(date) => Value::String(date.to_string()),
            Self::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), value.to_json())).collect::<Map<_, _>>())
            }
        }
    }

    /// `str(value)`.
    pub(crate) fn str(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.repr(),
        }
    }

    /// `repr(value)`, with dates and numbers in their plain form.
    pub(crate) fn repr(&self) -> String {
        match self {
            Self::Null => "None".into(),
            Self::Bool(true) => "True".into(),
            Self::Bool(false) => "False".into(),
            Self::Int(int) => int.to_string(),
            Self::Float(float) => python::float_repr(*float),
            Self::Text(text) => python::str_repr(text),
            Self::Date(date) => date.to_string(),
            Self::List(items) => {
                let items: Vec<_> = items.iter().map(Self::repr).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Map(members) => {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("{}: {}", python::str_repr(key), value.repr())).collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }

    /// Python's order between two values, `None` where Python would refuse to compare.
    pub(crate) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(b)),
            _ => self.numeric()?.order(other.numeric()?),
        }
    }

    fn numeric(&self) -> Option<Numeric> {
        match self {
            Self::Bool(flag) => Some(Numeric::Int(i128::from(*flag))),
            Self::Int(int) => Some(Numeric::Int(*int)),
            Self::Float(float) => Some(Numeric::Float(*float)),
            _ => None,
        }
    }

    /// The number, where the value is one.
    #[expect(clippy::cast_precision_loss, reason = "Python converts the same way")]
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self.numeric()? {
            Numeric::Int(int) => Some(int as f64),
            Numeric::Float(float) => Some(float),
        }
    }

    /// True when some element of `self` stands in `wanted` order to `other`, with one side spread
    /// over the other as `NumPy` does. Elements that cannot be compared count as false.
    pub(crate) fn any_in_order(&self, other: &Self, wanted: Ordering) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) if self.depth() == other.depth() => {
                if a.len() == b.len() {
                    a.iter().zip(b).any(|(a, b)| a.any_in_order(b, wanted))
                } else if b.len() == 1 {
                    a.iter().any(|a| a.any_in_order(&b[0], wanted))
                } else if a.len() == 1 {
                    b.iter().any(|b| a[0].any_in_order(b, wanted))
                } else {
                    false
                }
            }
            (Self::List(_), Self::List(b)) if self.depth() < other.depth() => {
                b.iter().any(|b| self.any_in_order(b, wanted))
            }
            (Self::List(a), _) => a.iter().any(|a| a.any_in_order(other, wanted)),
            (_, Self::List(b)) => b.iter().any(|b| self.any_in_order(b, wanted)),
            _ => self.order(other) == Some(wanted),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.first().map_or(0, Self::depth),
            _ => 0,
        }
    }

    /// The array shape, `None` when rows differ in length or kind.
    pub(crate) fn shape(&self) -> Option<Vec<usize>> {
        let Self::List(items) = self else { return Some(Vec::new()) };
        let mut shape = vec![items.len()];
        let mut inner = items.iter().map(Self::shape);
        if let Some(first) = inner.next() {
            let first = first?;
            for next in inner {
                if next? != first {
                    return None;
                }
            }
            shape.extend(first);
        }
        Some(shape)
    }

    /// The scalars of a nested list in row order; a scalar gives itself.
    pub(crate) fn leaves(&self) -> Vec<&Datum> {
        match self {
            Self::List(items) => items.iter().flat_map(Self::leaves).collect(),
            scalar => vec![scalar],
        }
    }
}

/// Python's `==`: numbers agree across types, everything else only with its own kind.
impl PartialEq for Datum {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }
}

#[derive(Clone, Copy)]
enum Numeric {
    Int(i128),
    Float(f64),
}

impl Numeric {
    #[expect(clippy::cast_precision_loss, reason = "NumPy compares in doubles too")]
    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Int(a), Self::Float(b)) => (a as f64).partial_cmp(&b),
            (Self::Float(a), Self::Int(b)) => a.partial_cmp(&(b as f64)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn datum(value: &Value) -> Datum {
        Datum::from_json(value)
    }

    #[test]
    fn numbers_agree_across_types() {
        assert_eq!(datum(&json!(1)), datum(&json!(1.0)));
        assert_eq!(datum(&json!(true)), datum(&json!(1)));
        assert_ne!(datum(&json!("1")), datum(&json!(1)));
        assert_ne!(datum(&json!(null)), datum(&json!(false)));
    }

    #[test]
    fn written_as_python_writes() {
        assert_eq!(datum(&json!([1, 2.0, "a", null, {"k": true}])).str(), "[1, 2.0, 'a', None, {'k': True}]");
        assert_eq!(datum(&json!("a")).str(), "a");
    }

    #[test]
    fn spreads_scalars_and_rows() {
        let table = datum(&json!([[1, 5], [2, 6]]));
        assert!(table.any_in_order(&datum(&json!(2)), Ordering::Less));
        assert!(!table.any_in_order(&datum(&json!([1, 5])), Ordering::Less));
        assert!(table.any_in_order(&datum(&json!([1, 5])), Ordering::Greater));
        assert!(!table.any_in_order(&datum(&json!("x")), Ordering::Greater));
    }

    #[test]
    fn shapes() {
        assert_eq!(datum(&json!([[1, 2], [3, 4], [5, 6]])).shape(), Some(vec![3, 2]));
        assert_eq!(datum(&json!([[1, 2], [3]])).shape(), None);
        assert_eq!(datum(&json!(1)).shape(), Some(vec![]));
    }
}
