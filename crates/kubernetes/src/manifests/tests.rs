//! Every object is one of the API, in full and with everything on; pods are of the restricted profile.

use csw_kubernetes_testing::strict::decode;
use k8s_openapi::api::{
    apps::v1::Deployment,
    batch::v1::CronJob,
    core::v1::{Namespace, PersistentVolumeClaim, Secret, Service, ServiceAccount},
    networking::v1::{Ingress as IngressObject, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};

use super::*;

fn site() -> Site {
    Site {
        namespace: "studio".to_owned(),
        site: "default".to_owned(),
        image: "ghcr.io/my-name/csw:1".to_owned(),
        pull_secrets: vec!["registry".to_owned()],
        node_selector: BTreeMap::from([("component".to_owned(), "api".to_owned())]),
        settings: "public_url = \"https://studio.example.org\"\n".to_owned(),
        files: BTreeMap::from([("redis.ca_file".to_owned(), "an authority".to_owned())]),
        keeps_secrets: true,
        storage: Storage { class: Some("shared".to_owned()), gigabytes: 100 },
        resources: Resources { cpus: 1.5, memory_gigabytes: 4.0 },
        ingress: Some(Ingress {
            host: "studio.example.org".to_owned(),
            class: Some("nginx".to_owned()),
            certificate: Some("studio-tls".to_owned()),
        }),
        services: None,
        job_cleanup: true,
    }
}

/// The same as several services, with a Redis of its own.
fn several() -> Site {
    let redis = Some(RedisPart { image: "redis:7".to_owned(), users: "user default off\n".to_owned() });
    let thumbnails = Some(ThumbnailsPart { image: "ghcr.io/my-name/csw:1-chromium".to_owned(), parallel: 2 });
    Site { services: Some(Services { webapps: 3, outputs: 2, redis, thumbnails }), ..site() }
}

fn strictly(object: &Value) -> Result<(), String> {
    match object["kind"].as_str().unwrap_or_default() {
        "Namespace" => decode::<Namespace>(object).map(drop),
        "ServiceAccount" => decode::<ServiceAccount>(object).map(drop),
        "Role" => decode::<Role>(object).map(drop),
        "RoleBinding" => decode::<RoleBinding>(object).map(drop),
        "NetworkPolicy" => decode::<NetworkPolicy>(object).map(drop),
        "Secret" => decode::<Secret>(object).map(drop),
        "PersistentVolumeClaim" => decode::<PersistentVolumeClaim>(object).map(drop),
        "Deployment" => decode::<Deployment>(object).map(drop),
        "Service" => decode::<Service>(object).map(drop),
        "PodDisruptionBudget" => decode::<PodDisruptionBudget>(object).map(drop),
        "Ingress" => decode::<IngressObject>(object).map(drop),
        "CronJob" => decode::<CronJob>(object).map(drop),
        other => Err(format!("{other} is no kind that a site has")),
    }
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn every_object_is_one_of_the_api_and_carries_its_labels() {
    let plain = Site {
        ingress: None,
        job_cleanup: false,
        keeps_secrets: false,
        pull_secrets: vec![],
        node_selector: BTreeMap::new(),
        ..site()
    };
    for site in [site(), plain, several()] {
        for object in site.objects() {
            strictly(&object).unwrap_or_else(|error| panic!("{}: {error}\n{object:#}", object["kind"]));
            assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/name"], "csw", "{object:#}");
            if object["kind"] != "Namespace" {
                assert_eq!(object["metadata"]["namespace"], "studio", "{object:#}");
            }
        }
    }
}

#[test]
fn everything_that_a_site_has() {
    insta::assert_json_snapshot!(site().objects());
}

#[test]
fn models_reach_the_services_that_hear_them_and_nothing_else() {
    let objects = several().objects();
    let named = |kind: &str, name: &str| {
        let found = of_kind(&objects, kind).into_iter().find(|object| object["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    };
    let reached: Vec<String> = named("NetworkPolicy", "csw-runs")["spec"]["egress"]
        .as_array()
        .unwrap()
        .iter()
        .skip(1)
        .map(|rule| {
            let of = &rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"];
            format!("{} {}", of.as_str().unwrap(), rule["ports"][0]["port"])
        })
        .collect();
    assert_eq!(reached, ["scheduler 8090", "outputs 8092", "redis 6379"]);
    for (name, replicas, asks) in [("csw", 3, true), ("csw-scheduler", 1, true), ("csw-redis", 1, false)] {
        let spec = &named("Deployment", name)["spec"];
        assert_eq!(spec["replicas"], replicas, "{name}");
        assert_eq!(spec["template"]["spec"]["automountServiceAccountToken"], asks, "{name}");
    }
    let pages = Site { keeps_secrets: false, ..several() }.objects();
    let pages = of_kind(&pages, "Deployment").into_iter().find(|one| one["metadata"]["name"] == "csw").unwrap();
    assert_eq!(pages["spec"]["template"]["spec"]["automountServiceAccountToken"], false, "pages ask no cluster");
    assert_eq!(pages["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"], 0, "somebody always answers");
}

#[test]
fn names_of_a_kind_are_used_once() {
    names_are_used_once(&site());
    names_are_used_once(&several());
}

fn names_are_used_once(site: &Site) {
    let objects = site.objects();
    let mut names: Vec<_> = objects
        .iter()
        .map(|object| (&object["kind"], &object["metadata"]["name"]))
        .map(|(kind, name)| format!("{kind} {name}"))
        .collect();
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn pods_are_of_the_restricted_profile() {
    let objects = site().objects();
    let pods = [
        &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"],
        &of_kind(&objects, "CronJob")[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"],
    ];
    for pod in pods {
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in pod["containers"].as_array().unwrap() {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
            assert!(container["resources"]["requests"]["memory"].is_string());
        }
    }
}

#[test]
fn no_account_may_more_than_it_needs() {
    let objects = site().objects();
    let known = ["create", "get", "list", "watch", "delete", "update", "patch", "deletecollection"];
    let known_resources =
        ["jobs", "pods", "pods/log", "events", "leases", "secrets", "deployments", "deployments/scale"];
    for role in of_kind(&objects, "Role") {
        for rule in role["rules"].as_array().unwrap() {
            for verb in rule["verbs"].as_array().unwrap() {
                assert!(known.contains(&verb.as_str().unwrap()), "{verb}");
            }
            for resource in rule["resources"].as_array().unwrap() {
                assert!(known_resources.contains(&resource.as_str().unwrap()), "{resource}");
                // How many pods an inputs server has is all that may be changed of it.
                let only_looked_at = resource != "deployments" || rule["verbs"] == json!(["list", "watch"]);
                assert!(only_looked_at, "{rule}");
            }
        }
    }
}

#[test]
fn runs_reach_the_server_and_names_unless_their_model_has_a_network() {
    let objects = site().objects();
    let policy = |name: &str| {
        let found = of_kind(&objects, "NetworkPolicy").into_iter().find(|policy| policy["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("no {name}"))["spec"].clone()
    };
    assert_eq!(policy("csw-nothing"), json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] }));
    let runs = policy("csw-runs");
    assert_eq!(runs["ingress"], json!([]));
    let ports: Vec<_> = runs["egress"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|rule| rule["ports"].as_array().unwrap())
        .map(|port| port["port"].as_u64().unwrap())
        .collect();
    assert_eq!(ports, [53, 53, 8090]);
    let open = policy("csw-runs-with-a-network");
    assert_eq!(open["podSelector"]["matchLabels"]["studio.compute/network"], "open");
    assert_eq!(open["policyTypes"], json!(["Egress"]));
    assert!(open["egress"][0]["to"][0]["ipBlock"]["except"].as_array().unwrap().len() > 3);
}

#[test]
fn other_settings_make_another_pod() {
    let mark = |settings: &str| {
        let site = Site { settings: settings.to_owned(), ..site() };
        of_kind(&site.objects(), "Deployment")[0]["spec"]["template"]["metadata"]["annotations"].clone()
    };
    assert_ne!(mark("a = 1"), mark("a = 2"));
    assert_eq!(mark("a = 1"), mark("a = 1"));
    let renewed = |text: &str| {
        let files = BTreeMap::from([("redis.ca_file".to_owned(), text.to_owned())]);
        let objects = Site { files, ..site() }.objects();
        of_kind(&objects, "Deployment")[0]["spec"]["template"]["metadata"]["annotations"].clone()
    };
    assert_ne!(renewed("an authority"), renewed("another authority"));
}
