//! The OpenAPI document: committed as it is made, and complete.

use std::path::PathBuf;

/// Regenerate with `UPDATE_OPENAPI=1 cargo test -p csw-web --test api document`.
#[test]
fn the_committed_document_is_the_one_of_the_routes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(&path, csw_web::openapi()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == csw_web::openapi(), "docs/openapi.json is not up to date; see the comment of this test");
}

#[test]
fn the_document_is_openapi_3_1_and_every_operation_is_described() {
    let document: serde_json::Value = serde_json::from_str(csw_web::openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = std::collections::HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(!operation["summary"].as_str().unwrap_or_default().is_empty(), "{place} has no summary");
            assert!(ids.insert(operation["operationId"].to_string()), "the identifier of {place} repeats");
            for name in path.split('{').skip(1).filter_map(|part| part.split('}').next()) {
                let parameters = operation["parameters"].as_array().unwrap();
                let told = parameters.iter().any(|one| one["in"] == "path" && one["name"] == name);
                assert!(told, "{place} does not describe {name}");
            }
        }
    }
}
