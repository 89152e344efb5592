//! `csw models build`: a version, and its image, on this machine.

use csw_core::{
    build::Source,
    names::ModelName,
    ports::{BuildError, BuildOptions, Built, Checkout, Publisher},
};
use csw_publish::image::{Image, ImageError, ImageOptions, Layout, Patience, check_tag, containerfile};
use serde_json::{Value, json};

use crate::{
    cli::build::{Build, Container, Source as Given},
    commands::{check::Shown, date},
    failure::{Failure, Outcome},
    folder::Folder,
    output::{Printer, table},
    progress::Bars,
    settings::Settings,
    tools, wiring,
};

/// The source that was named: a folder as it is, or a commit of a repository.
pub(super) fn source(given: &Given) -> Outcome<Source> {
    let is_url = given.repo.contains("://") || given.repo.starts_with("git@");
    if is_url {
        let reference = given.reference.clone().unwrap_or_default();
        return Ok(Source::Git { url: given.repo.clone(), reference });
    }
    let path = std::path::Path::new(&given.repo);
    let path = path.canonicalize().map_err(|error| Failure::file(path, &error))?;
    Ok(match &given.reference {
        Some(reference) => Source::Git { url: path.display().to_string(), reference: reference.clone() },
        None => Source::Folder(path),
    })
}

pub(crate) async fn run(settings: &Settings, name: &str, options: &Build, printer: Printer) -> Outcome {
    let model: ModelName = name.parse().map_err(|error| Failure::usage(format!("{error}"), "write OWNER/TITLE"))?;
    if let Some(tag) = options.tag.as_deref().filter(|_| options.image) {
        check_tag(tag)?;
    }
    let images = if options.image { Some(image_options(settings, options)?) } else { None };
    let source = source(&options.source)?;
    let as_of = options.source.as_of.as_deref().map(date).transpose()?;
    let cache = options.cache.clone().or_else(|| settings.images.cache.clone());
    let cache = cache.unwrap_or_else(|| tools::cache_folder().join("csw-images").join("data"));
    let folder = Folder::take(&cache, "wait for the other build, or choose another folder with `--cache`")?;
    let bench = wiring::image_bench(settings, &folder)?;
    let log = Shown(printer);
    let build = BuildOptions { as_of, ..BuildOptions::default() };
    let fetched = bench.publisher.fetch(&source, &build, &log).await;
    let done = match fetched {
        Ok(checkout) => {
            let work = Work { bench: &bench, model: &model, checkout: &checkout, images: images.as_ref(), printer };
            let done = work.run(&build).await;
            bench.publisher.discard(checkout).await;
            done
        }
        Err(error) => Err(error.into()),
    };
    bench.cgroups.close();
    let (answer, text) = match done {
        Ok(done) => done,
        Err(failure) => {
            printer.result(&json!({ "ok": false, "model": name, "message": failure.to_string() }), String::new)?;
            return Err(failure);
        }
    };
    printer.result(&answer, || text)
}

/// The folder of images that flags or settings name.
pub(super) fn images(settings: &Settings, given: Option<&std::path::Path>) -> Outcome<Layout> {
    let folder = given.map(std::path::Path::to_owned).or_else(|| settings.images.folder.clone());
    let folder = folder.unwrap_or_else(|| tools::cache_folder().join("csw-images").join("layout"));
    Ok(Layout::open(&folder)?)
}

fn image_options(settings: &Settings, options: &Build) -> Outcome<ImageOptions> {
    Ok(ImageOptions {
        base: options.base.clone().or_else(|| settings.images.base.clone()),
        tag: options.tag.clone(),
        // The registry that images go to may have their bases too, for the same user.
        login: wiring::images::registry(settings)?.and_then(|(place, known)| Some((place.host, known?))),
        ..container_options(settings, &options.container)?
    })
}

/// An image without a base, made as flags or settings say.
pub(crate) fn container_options(settings: &Settings, given: &Container) -> Outcome<ImageOptions> {
    Ok(ImageOptions {
        layout: images(settings, given.out.as_deref())?,
        program: tools::own_program()?,
        base: None,
        tag: None,
        insecure: given.insecure || settings.images.insecure,
        login: None,
        patience: Patience::default(),
        tool: wiring::images::tool(settings, given.builder.clone(), &given.builder_flag),
        ask_version: true,
    })
}

struct Work<'a> {
    bench: &'a wiring::ImageBench,
    model: &'a ModelName,
    checkout: &'a Checkout,
    images: Option<&'a ImageOptions>,
    printer: Printer,
}

impl Work<'_> {
    async fn run(&self, options: &BuildOptions) -> Outcome<(Value, String)> {
        let publisher = &self.bench.publisher;
        let log = Shown(self.printer);
        if let Some(images) = self.images
            && let Some(file) = containerfile(self.checkout)
        {
            let image = publisher.image_of_containerfile(self.model, self.checkout, &file, images, &log).await?;
            return Ok(self.answer(None, Some((&images.layout, &image))));
        }
        let built = publisher.build(self.model, self.checkout, options, &log).await?;
        let Some(images) = self.images else { return Ok(self.answer(Some(&built), None)) };
        let bars = Bars::new(self.printer);
        let image = publisher.image(self.model, self.checkout, &built, images, &bars, &log).await?;
        Ok(self.answer(Some(&built), Some((&images.layout, &image))))
    }

    fn answer(&self, built: Option<&Built>, image: Option<(&Layout, &Image)>) -> (Value, String) {
        let value = json!({
            "ok": true,
            "model": self.model.to_string(),
            "commit": self.checkout.commit,
            "digest": built.map(|built| &built.digest),
            "facts": built.map(|built| &built.facts),
            "image": image.map(|(_, image)| image),
            "layout": image.map(|(layout, _)| layout.folder()),
        });
        let Some((layout, image)) = image else {
            let digest = built.and_then(|built| built.digest.get(..12)).unwrap_or_default();
            let text = format!("\n{} is built: {digest}. `--image` makes an image of it.", self.model);
            return (value, text);
        };
        let rows: Vec<[String; 4]> = image
            .layers
            .iter()
            .map(|layer| {
                let digest = layer.digest.trim_start_matches("sha256:").chars().take(12).collect();
                let reused = if layer.reused { "there already" } else { "new" }.to_owned();
                [layer.what.clone(), size(layer.bytes), digest, reused]
            })
            .collect();
        let text = format!(
            "\n{}\n\nImage {} of {} in {}\n`csw models -n {} push` sends it to a registry.",
            table(["LAYER", "SIZE", "DIGEST", ""], &rows),
            image.tag,
            self.model,
            layout.folder().display(),
            self.model
        );
        (value, text)
    }
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::failed(
            format!("stage {}: {}", error.stage.as_str(), error.sentence),
            "docs/authors.md tells what each stage asks of a model",
        )
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        use crate::failure::Code;
        let hint = "docs/operators.md tells about images and registries";
        let code = match &error {
            error if error.is_usage() => Code::Usage,
            error if error.is_temporary() => Code::Unavailable,
            error if error.is_refusal() => Code::Refused,
            ImageError::Build(_) | ImageError::Base { .. } => Code::Failed,
            _ => Code::Local,
        };
        Self::new(code, error.to_string(), hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [(999, "999 B"), (1001, "2 kB"), (1_234_567, "1.2 MB"), (20_000_000, "20.0 MB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
