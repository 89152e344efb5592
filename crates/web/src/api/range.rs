//! `Range` requests: one range of bytes. Several at once are answered with the whole, as the protocol allows.

use std::ops::Range;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::error::ApiError;

/// What part of a thing is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// These bytes.
    Bytes(Range<u64>),
    /// Bytes that it does not have.
    Unsatisfiable,
}

/// Reads the `Range` header for a thing of `length` bytes. With an `If-Range` that is not `etag`, the whole is meant.
pub(crate) fn part(headers: &HeaderMap, length: u64, etag: Option<&str>) -> Part {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(wanted) = text(header::IF_RANGE)
        && Some(wanted) != etag
    {
        return Part::Whole;
    }
    match text(header::RANGE) {
        Some(range) => parse(range, length),
        None => Part::Whole,
    }
}

fn parse(text: &str, length: u64) -> Part {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Part::Whole;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(last)) if first.is_empty() => length.saturating_sub(last)..length,
        _ => return Part::Whole,
    };
    if range.start < range.end { Part::Bytes(range) } else { Part::Unsatisfiable }
}

/// The answer to a range that a thing of `length` bytes does not have.
pub(crate) fn unsatisfiable(length: u64) -> Response {
    let sentence = format!("There are {length} bytes only.");
    let mut response = ApiError::detail(StatusCode::RANGE_NOT_SATISFIABLE, sentence).into_response();
    if let Ok(value) = HeaderValue::try_from(format!("bytes */{length}")) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    response
}

/// Whether `If-None-Match` names this tag.
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|list| list.split(',')).any(|tag| tag.trim() == "*" || bare(tag) == bare(etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_the_protocol() {
        assert_eq!(parse("bytes=0-0", 10), Part::Bytes(0..1));
        assert_eq!(parse("bytes=5-", 10), Part::Bytes(5..10));
        assert_eq!(parse("bytes=-3", 10), Part::Bytes(7..10));
        assert_eq!(parse("bytes=-30", 10), Part::Bytes(0..10));
        assert_eq!(parse("bytes=2-99", 10), Part::Bytes(2..10));
        assert_eq!(parse("bytes=10-", 10), Part::Unsatisfiable);
        assert_eq!(parse("bytes=-0", 10), Part::Unsatisfiable);
        assert_eq!(parse("bytes=3-1", 10), Part::Whole);
        assert_eq!(parse("bytes=0-1,3-4", 10), Part::Whole);
        assert_eq!(parse("lines=0-1", 10), Part::Whole);
        assert_eq!(parse("bytes=18446744073709551615-18446744073709551615", 10), Part::Unsatisfiable);
    }

    #[test]
    fn tags_are_compared_weakly() {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, "\"a\", W/\"b\"".parse().unwrap());
        assert!(is_known(&headers, "\"b\""));
        assert!(!is_known(&headers, "\"c\""));
    }
}
