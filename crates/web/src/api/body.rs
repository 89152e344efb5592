//! Bodies: JSON, form or multipart, read alike. In forms, fields of a JSON type are strings that hold JSON, and a field
//! that is absent is left untouched, whatever its type.

use axum::{
    body::Bytes,
    extract::{FromRequest, Multipart, Request},
    http::{StatusCode, header},
};
use csw_core::memo::canonical;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    error::{ApiError, ApiResult},
    layers::BODY_LIMIT,
};

/// A body of any shape.
pub(crate) struct AnyBody {
    /// What it says.
    pub(crate) value: Value,
    form: bool,
}

impl<S: Send + Sync> FromRequest<S> for AnyBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> ApiResult<Self> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind == "multipart/form-data" {
            let parts = Multipart::from_request(request, state).await.map_err(|error| broken(&error.body_text()))?;
            return Ok(Self { value: Value::Object(read_multipart(parts).await?), form: true });
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|error| unreadable(error.status()))?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self { value: json!({}), form: false });
        }
        if kind == "application/x-www-form-urlencoded" {
            // `curl -d '{...}'` says "form" and sends JSON.
            if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_slice(&bytes) {
                return Ok(Self { value, form: false });
            }
            let pairs: Vec<(String, String)> =
                serde_urlencoded::from_bytes(&bytes).map_err(|error| broken(&error.to_string()))?;
            let map = pairs.into_iter().map(|(name, text)| (name, Value::String(text))).collect();
            return Ok(Self { value: Value::Object(map), form: true });
        }
        if kind.is_empty() || kind == "application/json" || kind.ends_with("+json") {
            let value = serde_json::from_slice(&bytes)
                .map_err(|error| ApiError::detail(StatusCode::BAD_REQUEST, format!("JSON parse error - {error}")))?;
            return Ok(Self { value, form: false });
        }
        let sentence = format!("Unsupported media type \"{kind}\" in request.");
        Err(ApiError::detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence))
    }
}

fn unreadable(status: StatusCode) -> ApiError {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large(BODY_LIMIT);
    }
    ApiError::detail(status, "The body ended early, or the client was silent for too long.")
}

/// A body that is longer than `limit` bytes.
pub(crate) fn too_large(limit: usize) -> ApiError {
    let sentence = format!("The body is too large; this route takes at most {} MB.", limit >> 20);
    ApiError::detail(StatusCode::PAYLOAD_TOO_LARGE, sentence)
}

/// A form that can't be read.
pub(crate) fn broken(cause: &str) -> ApiError {
    ApiError::detail(StatusCode::BAD_REQUEST, format!("The form can't be read: {cause}"))
}

async fn read_multipart(mut parts: Multipart) -> ApiResult<Map<String, Value>> {
    let mut map = Map::new();
    while let Some(part) = parts.next_field().await.map_err(|error| multipart_error(&error))? {
        let Some(name) = part.name().map(str::to_owned) else { continue };
        let text = part.text().await.map_err(|error| multipart_error(&error))?;
        map.insert(name, Value::String(text));
    }
    Ok(map)
}

fn multipart_error(error: &axum::extract::multipart::MultipartError) -> ApiError {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE { too_large(BODY_LIMIT) } else { broken(&error.body_text()) }
}

/// A boolean, in the words that forms use.
pub(crate) fn flag(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A body with named fields. Readers note what is wrong with a field; [`Fields::check`] reports all of it.
pub(crate) struct Fields {
    map: Map<String, Value>,
    form: bool,
    errors: Map<String, Value>,
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> ApiResult<Self> {
        AnyBody::from_request(request, state).await?.fields()
    }
}

impl AnyBody {
    /// The body as fields.
    pub(crate) fn fields(self) -> ApiResult<Fields> {
        match self.value {
            Value::Object(map) => Ok(Fields { map, form: self.form, errors: Map::new() }),
            other => {
                let sentence = format!("Invalid data. Expected a dictionary, but got {}.", kind_of(&other));
                Err(ApiError::field("non_field_errors", sentence))
            }
        }
    }
}

/// What Python calls a JSON type.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

impl Fields {
    /// A digest of what was sent, the same for the same fields in any order and encoding of the form.
    pub(crate) fn digest(&self) -> String {
        hex::encode(Sha256::digest(canonical(&Value::Object(self.map.clone())).as_bytes()))
    }

    /// Whether a field was sent at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Notes an error.
    pub(crate) fn refuse(&mut self, name: &str, sentence: impl Into<String>) {
        self.errors.insert(name.to_owned(), json!([sentence.into()]));
    }

    /// Reports the errors that were noted.
    pub(crate) fn check(self) -> ApiResult<()> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.errors)) }
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.map.get(name)? {
            Value::String(text) if text.contains('\0') => {
                self.refuse(name, "Null characters are not allowed.");
                None
            }
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null => {
                self.refuse(name, "This field may not be null.");
                None
            }
            _ => {
                self.refuse(name, "Not a valid string.");
                None
            }
        }
    }

    #[allow(clippy::option_option, reason = "left out, null, and given are three wishes")]
    /// A text that may be null; forms say so by an empty one, and the word `null` of old pages counts as well.
    pub(crate) fn nullable_text(&mut self, name: &str) -> Option<Option<String>> {
        match self.map.get(name)? {
            Value::Null => Some(None),
            Value::String(text) if self.form && (text.is_empty() || text == "null") => Some(None),
            _ => self.text(name).map(Some),
        }
    }

    /// A text that has to be there.
    pub(crate) fn required(&mut self, name: &str) -> String {
        if !self.has(name) {
            self.refuse(name, "This field is required.");
            return String::new();
        }
        let text = self.text(name).unwrap_or_default();
        if text.is_empty() && !self.errors.contains_key(name) {
            self.refuse(name, "This field may not be blank.");
        }
        text
    }

    /// A boolean.
    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        let word = match self.map.get(name)? {
            Value::Bool(flag) => return Some(*flag),
            Value::String(text) if text.is_empty() && self.form => return None,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let found = flag(&word);
        if found.is_none() {
            self.refuse(name, "Must be a valid boolean.");
        }
        found
    }

    /// Any JSON.
    pub(crate) fn json(&mut self, name: &str) -> Option<Value> {
        match self.map.get(name)? {
            Value::String(text) if self.form => match serde_json::from_str(text) {
                Ok(value) => Some(value),
                Err(_) if text.is_empty() => None,
                Err(_) => {
                    self.refuse(name, "Value must be valid JSON.");
                    None
                }
            },
            value => Some(value.clone()),
        }
    }

    /// Any JSON; of a form also a text that is none.
    pub(crate) fn json_or_text(&mut self, name: &str) -> Option<Value> {
        match self.map.get(name)? {
            Value::String(text) if self.form => {
                Some(serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())))
            }
            value => Some(value.clone()),
        }
    }

    /// A number.
    pub(crate) fn number(&mut self, name: &str) -> Option<f64> {
        let found = match self.map.get(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if text.is_empty() && self.form => return None,
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let found = found.filter(|number| number.is_finite());
        if found.is_none() {
            self.refuse(name, "A valid number is required.");
        }
        found
    }

    /// A whole number that is not negative; null is none.
    pub(crate) fn whole(&mut self, name: &str) -> Option<u32> {
        let found = match self.map.get(name)? {
            Value::Null => return None,
            Value::Number(number) => number.as_u64(),
            Value::String(text) if self.form && (text.is_empty() || text == "null") => return None,
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let found = found.and_then(|number| u32::try_from(number).ok());
        if found.is_none() {
            self.refuse(name, "A valid integer is required.");
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(value: Value, form: bool) -> Fields {
        AnyBody { value, form }.fields().unwrap()
    }

    #[test]
    fn absent_booleans_are_left_untouched_in_forms_too() {
        let mut form = fields(json!({ "title": "x" }), true);
        assert_eq!(form.flag("is_public"), None);
        assert!(form.check().is_ok());
        assert_eq!(fields(json!({ "is_public": "false" }), true).flag("is_public"), Some(false));
        assert_eq!(fields(json!({ "is_public": true }), false).flag("is_public"), Some(true));
    }

    #[test]
    fn json_in_forms_is_text() {
        let mut form = fields(json!({ "adjustment": "{\"a\": 1}", "readme": "{" }), true);
        assert_eq!(form.json("adjustment"), Some(json!({ "a": 1 })));
        assert_eq!(form.json("readme"), None);
        assert!(form.check().is_err());
        assert_eq!(fields(json!({ "readme": "{" }), false).json("readme"), Some(json!("{")));
    }

    #[test]
    fn the_word_null_of_old_pages_is_null() {
        assert_eq!(fields(json!({ "latest_tag": "null" }), true).nullable_text("latest_tag"), Some(None));
        assert_eq!(fields(json!({ "latest_tag": null }), false).nullable_text("latest_tag"), Some(None));
        assert_eq!(fields(json!({}), false).nullable_text("latest_tag"), None);
    }

    #[test]
    fn a_list_is_no_dictionary() {
        assert!(AnyBody { value: json!([1]), form: false }.fields().is_err());
    }
}
