//! How a registry asks who we are: `WWW-Authenticate`.

use std::collections::BTreeMap;

/// What it wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token from another server.
    Bearer {
        /// Who gives tokens.
        realm: String,
        /// For whom they are.
        service: Option<String>,
        /// What they are good for, where it says so.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads the header; a bearer token is preferred where there is a choice.
    pub(crate) fn parse(headers: &[&str]) -> Option<Self> {
        let all: Vec<Self> = headers.iter().filter_map(|header| Self::parse_one(header)).collect();
        all.iter().find(|found| matches!(found, Self::Bearer { .. })).or_else(|| all.first()).cloned()
    }

    fn parse_one(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        Some(Self::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scope: parameters.remove("scope"),
        })
    }
}

/// `name="value",name=value`; a value in quotes may hold commas.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(name, value.trim().to_owned());
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let header = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let bearer = Challenge::Bearer {
            realm: "https://auth.docker.io/token".to_owned(),
            service: Some("registry.docker.io".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        assert_eq!(Challenge::parse(&["Basic realm=\"x\"", header]), Some(bearer));
        assert_eq!(Challenge::parse(&["basic realm=\"Registry Realm\""]), Some(Challenge::Basic));
        for none in ["", "Digest x=1", "Bearer", "Bearer service=x"] {
            assert_eq!(Challenge::parse(&[none]), None, "{none}");
        }
    }
}
