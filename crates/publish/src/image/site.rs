//! The publisher of a site whose versions are images.
//!
//! Folders are built as on any site, at the place where images have them; an image is made of them, and sent to a registry
//! by its digest alone while the model's own tests run. From there the check of the four functions starts it, as runs
//! will. Only what passed gets a tag, so that a registry which tidies up keeps it, and of what failed no name is left.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    build::{Source, Stage},
    look::Found,
    model::Artifact,
    names::ModelName,
    ports::{BuildError, BuildLog, BuildOptions, Built, Checkout, ELSEWHERE, LAYERS, Publisher, TestReport},
    secret::Secrets,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    Image, ImageError, ImageOptions, PushOptions, containerfile,
    push::{self, Pushed},
};
use crate::{UvPublisher, failure::Failure, mask::Log};

/// Digits of a digest that tell versions of one model apart.
const DIGITS: usize = 12;

/// How images of a site are made, and where they go.
#[derive(Debug, Clone)]
pub struct Target {
    /// How they are made; the log-in is that of their base.
    pub images: ImageOptions,
    /// How and where to they are sent.
    pub push: PushOptions,
}

/// Builds versions as folders of its own, and makes images of them.
#[derive(Debug, Clone)]
pub struct ImagePublisher {
    folders: UvPublisher,
    target: Target,
}

impl ImagePublisher {
    /// A publisher over one that builds for the place in images.
    #[must_use]
    pub fn new(folders: UvPublisher, target: Target) -> Self {
        Self { folders, target }
    }

    async fn image(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        built: &Built,
        log: &dyn BuildLog,
    ) -> Result<Image, ImageError> {
        let mut images = self.target.images.clone();
        images.tag = built.digest.get(..DIGITS).map(str::to_owned);
        if images.base.is_some() {
            return self.folders.image(model, checkout, built, &images, &(), log).await;
        }
        // Without a base nothing can be installed into it; that is among the warnings of every build.
        let mut without = built.clone();
        if let Some(facts) = without.facts.as_object_mut() {
            facts.remove("system_packages");
        }
        self.folders.image(model, checkout, &without, &images, &(), log).await
    }

    fn reference(&self, model: &ModelName, digest: &str) -> String {
        let place = &self.target.push.place;
        format!("{}/{}@{digest}", place.host, place.repository(model))
    }
}

#[async_trait]
impl Publisher for ImagePublisher {
    async fn fetch(&self, source: &Source, options: &BuildOptions, log: &dyn BuildLog) -> Result<Checkout, BuildError> {
        self.folders.fetch(source, options, log).await
    }

    async fn look(&self, source: &Source, log: &dyn BuildLog) -> Result<Found, BuildError> {
        self.folders.look(source, log).await
    }

    async fn build(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        options: &BuildOptions,
        log: &dyn BuildLog,
    ) -> Result<Built, BuildError> {
        if let Some(file) = containerfile(checkout) {
            let name = file.strip_prefix(&checkout.folder).unwrap_or(&file).display().to_string();
            // Whatever it says would be done with rights of ours.
            Log::new(log)
                .line(&format!("`{name}` is left out: images of this site are made of what `install.sh` asks for"));
        }
        let built = self.folders.build(model, checkout, options, log).await?;
        let image = self.image(model, checkout, &built, log).await.map_err(|error| error.during(Stage::Build))?;
        let reference = self.reference(model, &image.digest);
        Ok(of_image(built, &image, reference))
    }

    async fn test(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        built: &Built,
        options: &BuildOptions,
        secrets: &Secrets,
        log: &dyn BuildLog,
    ) -> Result<TestReport, BuildError> {
        let built = folders(built).map_err(|failure| failure.during(Stage::Test))?;
        self.folders.test(model, checkout, &built, options, secrets, log).await
    }

    async fn deliver(
        &self,
        model: &ModelName,
        _: &Checkout,
        built: &Built,
        log: &dyn BuildLog,
    ) -> Result<(), BuildError> {
        let images = &self.target.images;
        let sending = async {
            let digest = digest(built)?;
            for (layer, places) in elsewhere(built) {
                for place in places {
                    images.layout.remember_sent(std::slice::from_ref(&layer), &place)?;
                }
            }
            push::deliver(&images.layout, model, digest, &self.target.push, &()).await
        };
        let pushed = sending.await.map_err(|error| error.during(Stage::Push))?;
        Log::new(log).line(&told(&pushed));
        Ok(())
    }

    async fn keep(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        built: &Built,
        log: &dyn BuildLog,
    ) -> Result<(), BuildError> {
        let images = &self.target.images;
        let tagging = async {
            let digest = digest(built)?;
            let tag = tag(&checkout.commit, digest);
            push::tag(&images.layout, model, digest, &tag, &self.target.push).await
        };
        let tagged = tagging.await.map_err(|error| error.during(Stage::Push))?;
        Log::new(log).line(&format!("The image is {tagged}"));
        Ok(())
    }

    async fn assets(&self, checkout: &Checkout, built: &Built) -> Result<Vec<(String, Bytes)>, BuildError> {
        let built = folders(built).map_err(|failure| failure.during(Stage::Push))?;
        self.folders.assets(checkout, &built).await
    }

    async fn discard(&self, checkout: Checkout) {
        self.folders.discard(checkout).await;
    }
}

/// What is built once there is an image of it: a version of its own for each place that images are sent to, and for each
/// release of what is in them beside the model.
fn of_image(built: Built, image: &Image, reference: String) -> Built {
    let layers: Vec<&str> = image.layers.iter().map(|layer| layer.digest.as_str()).collect();
    let place = reference.split('@').next().unwrap_or_default();
    let digest = Sha256::digest(format!("image 1\n{}\n{place}\n{}\n", built.digest, layers.join("\n")));
    let Built { artifact, mut facts, .. } = built;
    if let Some(facts) = facts.as_object_mut() {
        facts.insert("folders".to_owned(), json!(artifact));
        facts.insert(LAYERS.to_owned(), json!(layers));
        facts.insert("image_bytes".to_owned(), json!(image.bytes));
    }
    Built { artifact: Artifact::Image { reference }, digest: hex::encode(digest), facts }
}

/// Where layers are that nobody here has sent.
fn elsewhere(built: &Built) -> BTreeMap<String, Vec<String>> {
    let known = built.facts.get(ELSEWHERE).cloned();
    known.and_then(|known| serde_json::from_value(known).ok()).unwrap_or_default()
}

/// The folders that an image was made of.
fn folders(built: &Built) -> Result<Built, Failure> {
    let artifact = built.facts.get("folders").cloned().and_then(|folders| serde_json::from_value(folders).ok());
    let missing = || Failure::Unusable("The image was not built here: build the version again".to_owned());
    Ok(Built { artifact: artifact.ok_or_else(missing)?, ..built.clone() })
}

fn digest(built: &Built) -> Result<&str, ImageError> {
    let found = match &built.artifact {
        Artifact::Image { reference } => reference.split_once('@').map(|(_, digest)| digest),
        Artifact::Environment { .. } => None,
    };
    found.ok_or_else(|| ImageError::Build("The version is no image: build it again".to_owned()))
}

/// The name of an image in its repository: no other image ever gets it.
fn tag(commit: &str, digest: &str) -> String {
    let first = |text: &str| text.chars().take(DIGITS).collect::<String>();
    format!("{}-{}", first(commit), first(digest.trim_start_matches("sha256:")))
}

fn told(pushed: &Pushed) -> String {
    format!(
        "Image sent to {}: {} of {} bytes in {} s; of its layers {} were sent, {} taken from other images there, and {} \
         were there already",
        pushed.reference,
        pushed.bytes_sent,
        pushed.bytes,
        pushed.seconds,
        pushed.layers_sent,
        pushed.layers_mounted,
        pushed.layers_present
    )
}

impl Target {
    /// Asks the registry who we are there: whether it answers, and takes our word.
    pub async fn try_registry(&self) -> Result<(), ImageError> {
        push::try_registry(&self.push).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImageLayer;

    fn built() -> Built {
        let artifact = Artifact::Environment { environment: "e".to_owned(), code: "c".to_owned() };
        Built { artifact, digest: "d".repeat(64), facts: json!({ "python": "3.11.2" }) }
    }

    fn image(layer: &str) -> Image {
        let layer = ImageLayer { what: "code".to_owned(), digest: layer.to_owned(), bytes: 3, reused: false };
        Image {
            tag: "t".to_owned(),
            digest: format!("sha256:{}", "a".repeat(64)),
            version: None,
            base: None,
            bytes: 3,
            layers: vec![layer],
        }
    }

    #[test]
    fn an_image_remembers_the_folders_it_was_made_of() {
        let made = of_image(built(), &image("sha256:1"), "r.io/m@sha256:x".to_owned());
        assert_eq!(digest(&made).unwrap(), "sha256:x");
        assert_eq!(folders(&made).unwrap().artifact, built().artifact);
        assert!(folders(&built()).is_err());
        assert!(digest(&built()).is_err());
    }

    #[test]
    fn another_place_and_other_layers_make_another_version() {
        let of = |layer: &str, place: &str| of_image(built(), &image(layer), format!("{place}@sha256:x")).digest;
        let all = [of("1", "r.io/m"), of("2", "r.io/m"), of("1", "s.io/m")];
        assert!(all[0] != all[1] && all[0] != all[2], "{all:?}");
        assert_eq!(all[0], of("1", "r.io/m"));
    }

    #[test]
    fn a_tag_is_of_one_image() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        assert_eq!(tag("0123456789abcdef", &digest("a")), "0123456789ab-aaaaaaaaaaaa");
        super::super::check_tag(&tag("x", &digest("b"))).unwrap();
    }
}
