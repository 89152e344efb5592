//! Who may do what: the server, and nobody else, looks after Jobs in its namespace.

use serde_json::{Value, json};

use super::{NAME, Site};

/// The account of the CronJob that removes finished Jobs.
pub(super) const CLEANER: &str = "csw-job-cleanup";

/// Accounts, roles and bindings.
pub(super) fn objects(site: &Site) -> Vec<Value> {
    let mut rules = json!([
        { "apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "watch", "delete"] },
        { "apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"] },
        { "apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"] },
        { "apiGroups": [""], "resources": ["events"], "verbs": ["list", "watch"] },
        // Inputs servers are made by whoever applies them.
        { "apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list", "watch"] },
        { "apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"] },
        { "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update", "patch"] },
    ]);
    if site.keeps_secrets
        && let Some(rules) = rules.as_array_mut()
    {
        // Kubernetes knows no rule for names that begin with something: nothing else should be kept in this namespace.
        let verbs = ["get", "create", "update", "patch", "delete"];
        rules.push(json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": verbs }));
    }
    let mut all = account(site, NAME, &rules);
    if site.job_cleanup {
        let rules =
            json!([{ "apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["list", "delete", "deletecollection"] }]);
        all.extend(account(site, CLEANER, &rules));
    }
    all
}

fn account(site: &Site, name: &str, rules: &Value) -> Vec<Value> {
    let subject = json!({ "kind": "ServiceAccount", "name": name, "namespace": site.namespace });
    let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name });
    vec![
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": site.metadata(name),
            "automountServiceAccountToken": false,
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": site.metadata(name),
            "rules": rules,
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": site.metadata(name),
            "roleRef": role,
            "subjects": [subject],
        }),
    ]
}
