//! A publisher and a folder of images, in a place that goes away.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use csw_core::{
    build::Source,
    names::ModelName,
    ports::{BuildOptions, Built, Checkout, Publisher},
};
use csw_publish::{
    PublishConfig, UvPublisher,
    image::{Image, ImageError, ImageOptions, Layout, Patience, ROOT, Tool, containerfile},
};

use crate::common::{Kept, cache, helper, lend, uv};

/// Tests wait for nobody.
pub(crate) const IMPATIENT: Patience =
    Patience { attempts: 3, pause: Duration::from_millis(50), silence: Duration::from_secs(20) };

pub(crate) struct Bench {
    place: Rc<tempfile::TempDir>,
    publisher: UvPublisher,
    log: Kept,
    pub(crate) model: ModelName,
}

impl Bench {
    /// With what builds packages installed, and layers that no model changes, once for all tests.
    pub(crate) async fn new(model: &str) -> Self {
        let bench = Self::bare(model);
        let lent = lend("image-tools", &bench.place().join("data"), async |made| {
            let first = Self::bare("tests/First");
            first.image(&first.write(&[]), None).await;
            fs::rename(first.place().join("layout"), made.with_file_name("layout")).unwrap();
            fs::rename(first.place().join("data/envs"), made).unwrap();
        })
        .await;
        bench.take_layers(&lent.join("layout"));
        bench
    }

    /// Blobs never change; what is beside them is the bench's own.
    fn take_layers(&self, lent: &Path) {
        let (blobs, own) = (Path::new("blobs/sha256"), self.place().join("layout"));
        fs::create_dir_all(own.join(blobs)).unwrap();
        for entry in fs::read_dir(lent.join(blobs)).unwrap() {
            let entry = entry.unwrap();
            fs::hard_link(entry.path(), own.join(blobs).join(entry.file_name())).unwrap();
        }
        for entry in fs::read_dir(lent).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), own.join(entry.file_name())).unwrap();
            }
        }
    }

    /// With a folder that has nothing yet.
    pub(crate) fn bare(model: &str) -> Self {
        let place = tempfile::Builder::new().prefix("images-").tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Self::at(Rc::new(place), model)
    }

    /// Another model over the same folders.
    pub(crate) fn sharing(other: &Self, model: &str) -> Self {
        Self::at(Rc::clone(&other.place), model)
    }

    fn at(place: Rc<tempfile::TempDir>, model: &str) -> Self {
        let mut config = PublishConfig::new(place.path().canonicalize().unwrap().join("data"), helper());
        config.place = Some(ROOT.into());
        config.uv = uv();
        config.cache = cache();
        Self { place, publisher: UvPublisher::new(config), log: Kept::default(), model: model.parse().unwrap() }
    }

    pub(crate) fn place(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap()
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::open(&self.place().join("layout")).unwrap()
    }

    /// Writes a small model; each file can be replaced or added.
    pub(crate) fn write(&self, files: &[(&str, &str)]) -> PathBuf {
        let folder = self.place().join("model");
        let base = [
            ("cs-config/cs_config/functions.py", "def get_version():\n    return '1'\n"),
            ("cs-config/cs_config/__init__.py", ""),
            (
                "cs-config/setup.py",
                "from setuptools import setup\nsetup(name='cs-config', version='1', packages=['cs_config'])\n",
            ),
            ("cs-config/install.sh", "true\n"),
        ];
        for (name, text) in base.iter().chain(files) {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn options(&self, base: Option<&str>) -> ImageOptions {
        ImageOptions {
            layout: self.layout(),
            program: helper(),
            base: base.map(str::to_owned),
            tag: None,
            insecure: false,
            login: None,
            patience: IMPATIENT,
            tool: Tool { name: Some("buildah".to_owned()), flags: vec!["--isolation=chroot".to_owned()], seconds: 300 },
            ask_version: true,
        }
    }

    pub(crate) async fn try_image(&self, folder: &Path, base: Option<&str>) -> Result<Image, ImageError> {
        let (checkout, built) = self.built(folder).await;
        let image = self.publisher.image(&self.model, &checkout, &built, &self.options(base), &(), &self.log).await;
        self.publisher.discard(checkout).await;
        image
    }

    async fn built(&self, folder: &Path) -> (Checkout, Built) {
        let log = &self.log;
        let failed = |error: csw_core::ports::BuildError| panic!("{error}\n{}", log.0.lock().unwrap());
        let checkout = self
            .publisher
            .fetch(&Source::Folder(folder.to_path_buf()), &BuildOptions::default(), log)
            .await
            .unwrap_or_else(failed);
        let built = self.publisher.build(&self.model, &checkout, &BuildOptions::default(), log).await;
        let built = built.unwrap_or_else(|error| panic!("{error}\n{}", log.0.lock().unwrap()));
        (checkout, built)
    }

    pub(crate) async fn image(&self, folder: &Path, base: Option<&str>) -> Image {
        let image = self.try_image(folder, base).await;
        image.unwrap_or_else(|error| panic!("{error}\n{}", self.log.0.lock().unwrap()))
    }

    /// The image of the repository's own Containerfile.
    pub(crate) async fn contained(&self, folder: &Path) -> Image {
        let checkout = self
            .publisher
            .fetch(&Source::Folder(folder.to_path_buf()), &BuildOptions::default(), &self.log)
            .await
            .unwrap();
        let file = containerfile(&checkout).unwrap();
        let options = ImageOptions { insecure: true, ..self.options(None) };
        let image = self.publisher.image_of_containerfile(&self.model, &checkout, &file, &options, &self.log).await;
        image.unwrap_or_else(|error| panic!("{error}\n{}", self.log.0.lock().unwrap()))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Sealed folders can't be removed by whoever is not root.
        if Rc::strong_count(&self.place) == 1 {
            let open = |path: &Path| drop(fs::set_permissions(path, fs::Permissions::from_mode(0o755)));
            let mut waiting = vec![self.place.path().join("data")];
            while let Some(folder) = waiting.pop() {
                open(&folder);
                for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                    if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                        waiting.push(entry.path());
                    }
                }
            }
        }
    }
}
