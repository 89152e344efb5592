//! The bill of materials of a version, as CycloneDX 1.5, from the lock it was built from.

use serde_json::{Map, Value, json};

use crate::{model::Version, names::ModelName};

/// Where packages without a place of their own come from.
const INDEX: &str = "https://pypi.org/project";

/// The bill of materials of a version. The same version always has the same one.
pub fn bill_of_materials(model: &ModelName, version: &Version) -> Value {
    let fact = |name: &str| version.facts.get(name).filter(|value| !value.is_null());
    let own = format!("{model}@{}", version.digest);
    let lock = fact("lock").and_then(Value::as_str).unwrap_or_default();
    let mut components: Vec<Value> = python(fact("python").and_then(Value::as_str)).into_iter().collect();
    components.extend(packages(lock).iter().map(Package::component));
    let system = fact("system_packages").and_then(Value::as_array);
    components.extend(system.into_iter().flatten().filter_map(Value::as_str).map(system_package));
    let references: Vec<Value> = components.iter().filter_map(|component| component.get("bom-ref")).cloned().collect();
    let property = |name: &str, value: Option<&Value>| {
        let value = value?;
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(json!({ "name": format!("compute-studio:{name}"), "value": text }))
    };
    let (commit, digest) = (json!(version.commit), json!(version.digest));
    let properties: Vec<Value> = [
        property("commit", Some(&commit)),
        property("digest", Some(&digest)),
        property("as_of", fact("as_of")),
        property("committed_at", fact("committed_at")),
    ]
    .into_iter()
    .flatten()
    .collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": format!("urn:uuid:{}", version.id),
        "version": 1,
        "metadata": {
            "timestamp": version.created_at.to_string(),
            "tools": { "components": [{ "type": "application", "name": "csw", "version": env!("CARGO_PKG_VERSION") }] },
            "component": {
                "type": "application",
                "bom-ref": own,
                "group": model.owner.as_str(),
                "name": model.title.as_str(),
                "version": version.reported,
                "properties": properties,
            },
        },
        "components": components,
        "dependencies": [{ "ref": own, "dependsOn": references }],
    })
}

fn python(version: Option<&str>) -> Option<Value> {
    let version = version?;
    let purl = format!("pkg:generic/python@{}", escaped(version));
    Some(json!({ "type": "platform", "bom-ref": purl, "name": "Python", "version": version, "purl": purl }))
}

fn system_package(name: &str) -> Value {
    let purl = format!("pkg:deb/debian/{}", escaped(name));
    json!({ "type": "library", "bom-ref": purl, "name": name, "purl": purl, "scope": "required" })
}

/// A requirement of the lock.
#[derive(Debug, Default, PartialEq, Eq)]
struct Package<'a> {
    name: &'a str,
    /// Empty where it is named by its place.
    version: &'a str,
    /// A URL, where it comes from one.
    place: Option<&'a str>,
    /// SHA-256 of each of its files.
    hashes: Vec<&'a str>,
}

/// The packages of a lock as `uv pip compile` writes it.
fn packages(lock: &str) -> Vec<Package<'_>> {
    let mut packages: Vec<Package<'_>> = vec![];
    for line in lock.lines() {
        let text = line.trim().trim_end_matches('\\').trim();
        if let Some(hash) = text.strip_prefix("--hash=sha256:") {
            if let Some(package) = packages.last_mut() {
                package.hashes.push(hash);
            }
            continue;
        }
        if text.is_empty() || text.starts_with(['#', '-']) {
            continue;
        }
        let requirement = text.split(" ;").next().unwrap_or(text).trim();
        let package = if let Some((name, place)) = requirement.split_once(" @ ") {
            Package { name: name.trim(), place: Some(place.trim()), ..Package::default() }
        } else {
            let (name, version) = requirement.split_once("==").unwrap_or((requirement, ""));
            Package { name: name.trim(), version: version.trim(), ..Package::default() }
        };
        packages.push(package);
    }
    packages
}

impl Package<'_> {
    fn component(&self) -> Value {
        // Extras are part of a requirement, and no part of a name.
        let name = self.name.split('[').next().unwrap_or(self.name);
        let mut purl = format!("pkg:pypi/{}", escaped(&name.to_lowercase().replace('_', "-")));
        if !self.version.is_empty() {
            purl.push('@');
            purl.push_str(&escaped(self.version));
        }
        if let Some(place) = self.place {
            let kind = if place.starts_with("git+") { "vcs_url" } else { "download_url" };
            purl.extend(["?", kind, "=", &escaped(place)]);
        }
        let url = self.place.map_or_else(|| format!("{INDEX}/{name}/{}/", self.version), str::to_owned);
        let kind = if url.starts_with("git+") { "vcs" } else { "distribution" };
        let mut reference = Map::from_iter([("type".to_owned(), json!(kind)), ("url".to_owned(), json!(url))]);
        // The lock allows several files of a package; any one of these is what was installed.
        let hashes: Vec<Value> = self.hashes.iter().map(|hash| json!({ "alg": "SHA-256", "content": hash })).collect();
        if !hashes.is_empty() {
            reference.insert("hashes".to_owned(), hashes.into());
        }
        let mut component = Map::from_iter([
            ("type".to_owned(), json!("library")),
            ("bom-ref".to_owned(), json!(purl)),
            ("name".to_owned(), json!(name)),
        ]);
        if !self.version.is_empty() {
            component.insert("version".to_owned(), json!(self.version));
        }
        component.insert("purl".to_owned(), json!(purl));
        component.insert("externalReferences".to_owned(), json!([reference]));
        Value::Object(component)
    }
}

/// As the parts of a package URL are written.
fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' | b':' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{
        ids::{ModelId, VersionId},
        model::{Artifact, Strategy, VersionState},
    };

    const LOCK: &str = "numpy==1.26.4 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\nMy_Pkg[x]==2.0+local ; python_version < '4' \\\n    --hash=sha256:cc\ntool @ git+https://h.org/t@0a1b\n";

    fn version(facts: Value) -> Version {
        Version {
            id: VersionId::new(Timestamp::UNIX_EPOCH, [7; 10]),
            model: ModelId::new(Timestamp::UNIX_EPOCH, [8; 10]),
            digest: "d1".to_owned(),
            commit: "c1".to_owned(),
            reported: "1.0".to_owned(),
            artifact: Artifact::Image { reference: "r".to_owned() },
            strategy: Strategy::Fresh,
            state: VersionState::Live,
            facts,
            created_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_package_of_the_lock_is_named_with_its_origin() {
        let facts = json!({ "python": "3.11.2", "lock": LOCK, "system_packages": ["r-base"], "as_of": null });
        let bill = bill_of_materials(&"ann/Null".parse().unwrap(), &version(facts));
        let purls: Vec<&str> =
            bill["components"].as_array().unwrap().iter().filter_map(|part| part["purl"].as_str()).collect();
        assert_eq!(
            purls,
            [
                "pkg:generic/python@3.11.2",
                "pkg:pypi/numpy@1.26.4",
                "pkg:pypi/my-pkg@2.0%2Blocal",
                "pkg:pypi/tool?vcs_url=git%2Bhttps:%2F%2Fh.org%2Ft%400a1b",
                "pkg:deb/debian/r-base",
            ]
        );
        let hashes = &bill["components"][1]["externalReferences"][0]["hashes"];
        assert_eq!(hashes, &json!([{ "alg": "SHA-256", "content": "aa" }, { "alg": "SHA-256", "content": "bb" }]));
        assert_eq!(bill["dependencies"][0]["dependsOn"].as_array().unwrap().len(), purls.len());
        assert_eq!(bill["metadata"]["component"]["version"], "1.0");
    }

    #[test]
    fn a_version_without_packages_has_a_bill_too() {
        let bill = bill_of_materials(&"ann/Null".parse().unwrap(), &version(json!({})));
        assert_eq!((&bill["specVersion"], &bill["components"]), (&json!("1.5"), &json!([])));
    }
}
