//! `csw svc config`: the objects of a site, for `kubectl apply -f -`.

use std::{collections::BTreeMap, net::IpAddr, path::Path};

use csw_kubernetes::{
    manifests::{
        CALLBACK_PORT, CLAIM, DATA, Ingress, OUTPUTS_PORT, RedisPart, Resources, SCHEDULER_PORT, SERVER_PORT, Services,
        Site, Storage, ThumbnailsPart,
    },
    redis::acl_file,
};
use serde_json::{Value, json};
use toml::Table;

use super::{files, namespace};
use crate::{
    cli::build::Manifests,
    failure::{Failure, Outcome},
    folder::write_privately,
    output::Printer,
    settings::{
        self, ObjectBackend, Settings,
        known::{self, Secrecy},
    },
    wiring::redis_passwords,
};

/// Settings of commands that ask a server, and of places on the machine they were written for.
const NOT_OF_A_SERVER: [&str; 7] =
    ["url", "token", "cache", "images.folder", "images.cache", "images.builder", "kubernetes.token_key_file"];

pub(super) fn run(settings: &Settings, file: Option<&Path>, options: &Manifests, printer: Printer) -> Outcome {
    let site = site(settings, file, options, printer)?;
    let objects = site.objects();
    if let Some(folder) = &options.out {
        let files = write(folder, &objects)?;
        let answer = json!({ "folder": folder, "files": files });
        return printer.result(&answer, || {
            format!("{} objects are in {}: `kubectl apply -f {}`", files.len(), folder.display(), folder.display())
        });
    }
    let text = documents(&objects)?;
    if options.output != Path::new("-") {
        write_privately(&options.output, &text)?;
        let answer = json!({ "file": options.output, "objects": objects.len() });
        return printer.result(&answer, || format!("{} objects are in {}", objects.len(), options.output.display()));
    }
    printer.result(&json!({ "objects": objects }), || text.trim_end().to_owned())
}

fn site(settings: &Settings, file: Option<&Path>, options: &Manifests, printer: Printer) -> Outcome<Site> {
    let namespace = namespace(settings, options.namespace.as_deref());
    let image = options.image.clone().or_else(|| settings.cluster.image.clone()).ok_or_else(|| {
        Failure::usage("which image does the server run in?", "name it with `--image`: what `csw svc push` printed")
    })?;
    let url =
        options.public_url.clone().or_else(|| settings.public_url.clone()).ok_or_else(|| {
            Failure::usage("where do browsers find the site?", "say so with `--public-url https://HOST`")
        })?;
    let ingress = if options.ingress {
        let host = host(&url)?;
        Some(Ingress { host, class: options.ingress_class.clone(), certificate: options.certificate.clone() })
    } else {
        None
    };
    let mut table = match settings::file(file) {
        Some(path) => known::read(&path).ok_or_else(|| {
            Failure::usage(format!("{} is no settings file", path.display()), "name another with `--config`")
        })?,
        None => Table::new(),
    };
    for known in known::ALL.iter().filter(|known| known.secrecy != Secrecy::Open && !known.key.is_empty()) {
        if let Some(value) = settings::variable(known.variable) {
            set(&mut table, known.key, value);
        }
    }
    for key in NOT_OF_A_SERVER {
        unset(&mut table, key);
    }
    for (key, value) in [
        ("data", DATA.to_owned()),
        ("listen", format!("0.0.0.0:{SERVER_PORT}")),
        ("public_url", url),
        ("executor", "kubernetes".to_owned()),
        ("kubernetes.namespace", namespace.clone()),
        ("kubernetes.callback_listen", format!("0.0.0.0:{CALLBACK_PORT}")),
        ("kubernetes.callback_url", Site::callback_url(&namespace)),
        ("kubernetes.image", image.clone()),
        ("kubernetes.volume_claim", CLAIM.to_owned()),
        ("kubernetes.volume_path", DATA.to_owned()),
    ] {
        set(&mut table, key, value);
    }
    let services = services(settings, options, &namespace, &mut table)?;
    let files = files::take(&mut table, printer)?;
    if ingress.is_some() && !table.contains_key("trust_forwarded") {
        // Who asks is behind the Ingress, and only it says who.
        table.insert("trust_forwarded".to_owned(), true.into());
    }
    let settings_file =
        toml::to_string(&table).map_err(|error| Failure::local(error.to_string(), "this is a defect"))?;
    Ok(Site {
        namespace,
        site: settings.cluster.site.clone().unwrap_or_else(|| "default".to_owned()),
        image,
        pull_secrets: settings.cluster.pull_secrets.clone(),
        node_selector: labels(&options.node_selector)?,
        settings: settings_file,
        files,
        keeps_secrets: settings.secrets.store == settings::SecretBackend::Kubernetes,
        storage: Storage { class: options.storage_class.clone(), gigabytes: options.storage_gigabytes },
        resources: Resources { cpus: options.cpus, memory_gigabytes: options.memory_gigabytes },
        ingress,
        services,
        job_cleanup: options.job_cleanup,
    })
}

/// The services of a site that is to be more than one process, and what their settings say of each other.
fn services(settings: &Settings, options: &Manifests, namespace: &str, table: &mut Table) -> Outcome<Option<Services>> {
    let Some(webapps) = options.webapps else { return Ok(None) };
    if !settings.database.as_deref().is_some_and(|url| url.starts_with("postgres")) {
        let sentence = "a site of several services needs PostgreSQL: a file is one process's";
        return Err(Failure::usage(sentence, "name it as `database` in the settings file"));
    }
    if matches!(settings.objects.store(), Ok(ObjectBackend::Folder)) {
        let sentence = "a site of several services needs a bucket for its outputs: a folder is one process's";
        return Err(Failure::usage(sentence, "name it in [objects] of the settings file"));
    }
    for (key, value) in [
        ("kubernetes.scheduler_listen", format!("0.0.0.0:{SCHEDULER_PORT}")),
        ("kubernetes.scheduler_url", Site::scheduler_url(namespace)),
        ("kubernetes.outputs_listen", format!("0.0.0.0:{OUTPUTS_PORT}")),
        ("kubernetes.outputs_url", Site::outputs_url(namespace)),
    ] {
        set(table, key, value);
    }
    let redis = match &options.redis_image {
        Some(image) => {
            set(table, "redis.url", Site::redis_url(namespace));
            let users = acl_file(&redis_passwords(&settings.redis)?);
            Some(RedisPart { image: image.clone(), users })
        }
        None => None,
    };
    let thumbnails = options.thumbnails_image.clone().map(|image| {
        // Pages have no browser to know it by.
        let section = table.entry("thumbnails").or_insert_with(|| Table::new().into());
        section.as_table_mut().into_iter().for_each(|section| drop(section.insert("enabled".to_owned(), true.into())));
        ThumbnailsPart { image, parallel: settings.thumbnails.parallel.unwrap_or(1) }
    });
    Ok(Some(Services { webapps, outputs: options.outputs, redis, thumbnails }))
}

fn host(url: &str) -> Outcome<String> {
    let parsed: Option<axum::http::Uri> = url.parse().ok();
    let host = parsed.as_ref().and_then(axum::http::Uri::host).map(str::to_owned);
    let host = host.ok_or_else(|| Failure::usage(format!("`{url}` names no host"), "write https://HOST"))?;
    if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        let sentence = format!("an Ingress serves a host by its name, and `{host}` is an address");
        return Err(Failure::usage(sentence, "give the site a name with `--public-url`, or leave `--ingress` out"));
    }
    Ok(host)
}

fn labels(given: &[String]) -> Outcome<BTreeMap<String, String>> {
    let pair = |text: &String| {
        let pair = text.split_once('=').map(|(label, value)| (label.to_owned(), value.to_owned()));
        pair.ok_or_else(|| Failure::usage(format!("`{text}` is no label with a value"), "write LABEL=VALUE"))
    };
    given.iter().map(pair).collect()
}

/// Sets a key with its section.
pub(super) fn set(table: &mut Table, key: &str, value: String) {
    match key.split_once('.') {
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Table::new().into());
            if let toml::Value::Table(inner) = inner {
                set(inner, rest, value);
            }
        }
        None => {
            table.insert(key.to_owned(), value.into());
        }
    }
}

fn unset(table: &mut Table, key: &str) {
    match key.split_once('.') {
        Some((section, rest)) => {
            if let Some(toml::Value::Table(inner)) = table.get_mut(section) {
                unset(inner, rest);
            }
        }
        None => {
            table.remove(key);
        }
    }
}

/// Objects as documents of one file.
pub(in crate::commands) fn documents(objects: &[Value]) -> Outcome<String> {
    Ok(objects.iter().map(yaml).collect::<Outcome<Vec<_>>>()?.join("---\n"))
}

fn yaml(object: &Value) -> Outcome<String> {
    serde_saphyr::to_string(object).map_err(|error| Failure::local(error.to_string(), "this is a defect"))
}

/// A file for each object, in the order in which they are made. One of them is a Secret.
fn write(folder: &Path, objects: &[Value]) -> Outcome<Vec<String>> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    let mut names = Vec::new();
    for (at, object) in objects.iter().enumerate() {
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let file = format!("{:02}-{kind}-{name}.yaml", at + 1);
        write_privately(&folder.join(&file), &yaml(object)?)?;
        names.push(file);
    }
    Ok(names)
}
