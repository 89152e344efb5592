//! `csw models promote`

use csw_client::{Client, ClientError, Version};
use serde_json::Value;

use super::compare;
use crate::{
    failure::{Code, Failure, Outcome},
    output::Printer,
};

pub(crate) async fn run(client: &Client, name: &str, wanted: Option<&str>, skip: bool, printer: Printer) -> Outcome {
    let versions = client.versions(name).await?;
    let version = staged(&versions, name, wanted)?;
    let answer = compared(client, name, &version.id, skip, printer).await?;
    printer.result(&answer, || format!("{name}: version {} is live", version.version))
}

/// The version that is named, or the newest staged one.
pub(super) fn staged<'a>(versions: &'a [Version], name: &str, wanted: Option<&str>) -> Outcome<&'a Version> {
    match wanted {
        Some(wanted) => choose(versions, name, wanted),
        // They come newest first.
        None => versions.iter().find(|version| version.state == "staged").ok_or_else(|| {
            let way_out = format!("`csw models -n {name} stage` builds one; `csw models -n {name} versions` lists all");
            Failure::new(Code::Refused, format!("{name} has no staged version"), way_out)
        }),
    }
}

/// Promotes a version. Where the server compares it with the live one first, that is waited for and shown.
async fn compared(client: &Client, name: &str, version: &str, skip: bool, printer: Printer) -> Outcome<Value> {
    match client.promote(name, version, skip).await {
        Err(refused @ ClientError::Refused { status: 409, .. }) => {
            let Some(found) = compare::waited(client, name, version, printer).await? else {
                return Err(refused.into());
            };
            printer.note(&compare::told(&found));
            Ok(client.promote(name, version, skip).await?)
        }
        other => Ok(other?),
    }
}

/// Makes a version live that may be so already.
pub(in crate::commands) async fn promote_version(
    client: &Client,
    name: &str,
    id: &str,
    skip: bool,
    printer: Printer,
) -> Outcome {
    let versions = client.versions(name).await?;
    let version = choose(&versions, name, id)?;
    if version.state == "live" {
        let answer = serde_json::json!({ "model": name, "version": version.id, "state": version.state });
        return printer.result(&answer, || format!("{name}: version {} is live already", version.version));
    }
    let answer = compared(client, name, &version.id, skip, printer).await?;
    printer.result(&answer, || format!("{name}: version {} is live", version.version))
}

/// The one version that `wanted` names.
pub(in crate::commands) fn choose<'a>(versions: &'a [Version], name: &str, wanted: &str) -> Outcome<&'a Version> {
    the_one(versions, wanted)
        .map_err(|sentence| Failure::new(Code::Refused, sentence, format!("see `csw models -n {name} versions`")))
}

fn the_one<'a>(versions: &'a [Version], wanted: &str) -> Result<&'a Version, String> {
    let exact = versions.iter().find(|version| version.id == wanted || version.digest == wanted);
    if let Some(version) = exact {
        return Ok(version);
    }
    let mut found = versions.iter().filter(|version| {
        version.version == wanted
            || version.version.lines().next() == Some(wanted)
            || (wanted.len() >= 4
                && [&version.id, &version.digest, &version.commit].into_iter().any(|name| name.starts_with(wanted)))
    });
    match (found.next(), found.next()) {
        (Some(version), None) => Ok(version),
        (Some(_), Some(_)) => Err(format!("`{wanted}` is the name of more than one version")),
        (None, _) => Err(format!("no version is called `{wanted}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_named_by_any_beginning_that_is_enough() {
        let version = |id: &str, reported: &str, commit: &str| -> Version {
            serde_json::from_value(serde_json::json!({
                "id": id, "version": reported, "digest": format!("d{id}"), "commit": commit, "state": "retired",
            }))
            .unwrap()
        };
        let versions = [
            version("aaaa1111", "1.0", "c0ffee1"),
            version("aaaa2222", "1.0", "c0ffee2"),
            version("aaaa3333", "2.0\nwith data of 2026", "c0ffee3"),
        ];
        assert_eq!(the_one(&versions, "2.0").unwrap().id, "aaaa3333");
        assert_eq!(the_one(&versions, "aaaa2").unwrap().id, "aaaa2222");
        assert_eq!(the_one(&versions, "c0ffee1").unwrap().id, "aaaa1111");
        assert!(the_one(&versions, "1.0").unwrap_err().contains("more than one"));
        assert!(the_one(&versions, "a").unwrap_err().contains("no version"));
    }
}
