//! `csw svc build` and `csw svc push`: the one image that the server runs in, and Jobs whose versions are on its volume.

use csw_core::{model::Described, names::ModelName, ports::Checkout};
use csw_publish::image::{self, ImageOptions};
use serde_json::json;

use crate::{
    cli::build::{Push, ServiceBuild},
    commands::{check::Shown, models},
    failure::{Failure, Outcome},
    folder::Folder,
    output::Printer,
    settings::Settings,
    tools, wiring,
};

/// What the image stands on, unless told otherwise: it has the Python that models get.
const BASE: &str = "docker.io/library/debian:bookworm-slim";

/// Its name among the images of a registry.
const IMAGE: &str = "compute-studio/csw";

/// What the server calls: git to fetch, Python for models, certificates to speak with both.
const PACKAGES: &str = "ca-certificates git python3 python3-venv";

/// What draws thumbnails: a browser, and letters for it.
const BROWSER: &str = " chromium fonts-dejavu-core fonts-noto-core";

fn name() -> Outcome<ModelName> {
    IMAGE.parse().map_err(|error| Failure::local(format!("{error}"), "this is a defect"))
}

pub(super) async fn build(settings: &Settings, options: &ServiceBuild, printer: Printer) -> Outcome {
    let tag = options.tag.clone().unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned());
    image::check_tag(&tag)?;
    let base = options.base.clone().or_else(|| settings.images.base.clone()).unwrap_or_else(|| BASE.to_owned());
    if base.split_whitespace().count() != 1 {
        return Err(Failure::usage(format!("`{base}` is no name of an image"), "write NAME:TAG"));
    }
    let uv = tools::find("uv").and_then(|path| path.canonicalize().ok()).ok_or_else(|| {
        Failure::local("uv is not there, which the image brings for builds of models", "`scripts/setup` installs it")
    })?;
    let context = tempfile::tempdir().map_err(|error| Failure::local(error.to_string(), "make room in TMPDIR"))?;
    let file = context.path().join("Containerfile");
    let written = std::fs::copy(&uv, context.path().join("uv"))
        .and_then(|_| std::fs::write(&file, containerfile(&base, options.thumbnails)));
    written.map_err(|error| Failure::file(context.path(), &error))?;
    let work = tempfile::tempdir().map_err(|error| Failure::local(error.to_string(), "make room in TMPDIR"))?;
    let folder = Folder::take(work.path(), "try again")?;
    let bench = wiring::image_bench(settings, &folder)?;
    let images = ImageOptions { tag: Some(tag), ..models::container_options(settings, &options.container)? };
    let checkout = Checkout {
        folder: context.path().to_owned(),
        commit: env!("CARGO_PKG_VERSION").to_owned(),
        committed_at: None,
        url: None,
        described: Described::default(),
        build: None,
    };
    let log = Shown(printer);
    let made = bench.publisher.image_of_containerfile(&name()?, &checkout, &file, &images, &log).await;
    bench.cgroups.close();
    let made = made?;
    let answer = json!({ "ok": true, "image": made, "layout": images.layout.folder() });
    printer.result(&answer, || {
        format!(
            "Image {IMAGE}:{} is in {}; `csw svc push --registry HOST/PREFIX` sends it",
            made.tag,
            images.layout.folder().display()
        )
    })
}

pub(super) async fn push(settings: &Settings, options: &Push, printer: Printer) -> Outcome {
    models::push_image(settings, &name()?, "csw svc build", options, printer).await
}

fn containerfile(base: &str, thumbnails: bool) -> String {
    let browser = if thumbnails { BROWSER } else { "" };
    format!(
        "FROM {base}\nUSER 0\nRUN apt-get update \\\n && DEBIAN_FRONTEND=noninteractive apt-get install --yes \
         --no-install-recommends {PACKAGES}{browser} \\\n && rm -rf /var/lib/apt/lists/*\nCOPY uv /usr/local/bin/uv\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_brings_what_the_server_calls() {
        let text = containerfile("debian:bookworm-slim", false);
        assert!(text.starts_with("FROM debian:bookworm-slim\nUSER 0\nRUN apt-get update \\\n"), "{text}");
        assert!(
            text.contains(" git python3 python3-venv \\\n") && text.ends_with("COPY uv /usr/local/bin/uv\n"),
            "{text}"
        );
        let draws = containerfile("debian:bookworm-slim", true);
        assert!(draws.contains(" python3-venv chromium fonts-dejavu-core") && !text.contains("chromium"), "{draws}");
        assert_eq!(name().unwrap().to_string(), IMAGE);
    }
}
