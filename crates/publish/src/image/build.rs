//! An image of a version, layer by layer.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use csw_core::{
    model::Artifact,
    names::ModelName,
    ports::{BuildLog, Built, Checkout},
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Progress, ROOT, USER,
    base::{self, Base},
    blocking, container,
    container::Tool,
    credentials::{self, Credentials},
    failure::ImageError,
    layer::{self, Entries, Entry},
    name::{self, ImageName},
    oci::{self, Config, Descriptor, Manifest},
    python::{self, Parts},
    registry::{Patience, Registry},
    store::{self, Layer, Layout},
};
use crate::{
    UvPublisher,
    code::{self, Code},
    config::PublishConfig,
    environment::Environment,
    interpreter::{self, Interpreter},
    jail::{Jail, Step},
    mask::Log,
    process::Output,
};

/// Where the system looks for programs, if the base says nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A repository's own, in the order they are looked for.
const CONTAINERFILES: [&str; 4] = ["Containerfile", "Dockerfile", "cs-config/Containerfile", "cs-config/Dockerfile"];

/// How to make an image.
#[derive(Debug, Clone)]
pub struct ImageOptions {
    /// Where images are kept.
    pub layout: Layout,
    /// This program, which is part of the image.
    pub program: PathBuf,
    /// What the image stands on; without one it brings all it needs.
    pub base: Option<String>,
    /// Name of this image among those of the model; the first digits of the commit otherwise.
    pub tag: Option<String>,
    /// Whether the base's registry is spoken to in the clear.
    pub insecure: bool,
    /// A registry and who we are there, where that is not left to the log-ins of this machine.
    pub login: Option<(String, Credentials)>,
    /// How long that registry is waited for.
    pub patience: Patience,
    /// What builds containers, where that is needed.
    pub tool: Tool,
    /// Whether the model is asked for its version, which is a label then.
    pub ask_version: bool,
}

/// An image in the folder.
#[derive(Debug, Clone, Serialize)]
pub struct Image {
    /// Its tag.
    pub tag: String,
    /// Its digest.
    pub digest: String,
    /// What `get_version` says, where it was asked.
    pub version: Option<String>,
    /// What it stands on.
    pub base: Option<String>,
    /// Bytes of all layers.
    pub bytes: u64,
    /// The layers, lowest first.
    pub layers: Vec<ImageLayer>,
}

/// A layer of an image.
#[derive(Debug, Clone, Serialize)]
pub struct ImageLayer {
    /// What is in it.
    pub what: String,
    /// Its digest.
    pub digest: String,
    /// Its bytes, compressed.
    pub bytes: u64,
    /// Whether it was there already.
    pub reused: bool,
}

/// The Containerfile that a repository brings.
#[must_use]
pub fn containerfile(checkout: &Checkout) -> Option<PathBuf> {
    let plain = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    CONTAINERFILES.iter().map(|name| checkout.folder.join(name)).find(plain)
}

impl UvPublisher {
    /// Makes the image of a version that was built here.
    pub async fn image(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        built: &Built,
        options: &ImageOptions,
        progress: &dyn Progress,
        log: &dyn BuildLog,
    ) -> Result<Image, ImageError> {
        let log = Log::new(log);
        let make =
            Make { config: self.config(), layout: &options.layout, model, checkout, options, progress, log: &log };
        make.of_version(built).await
    }

    /// Makes the image that a repository's own Containerfile describes, and puts this program into it.
    pub async fn image_of_containerfile(
        &self,
        model: &ModelName,
        checkout: &Checkout,
        file: &Path,
        options: &ImageOptions,
        log: &dyn BuildLog,
    ) -> Result<Image, ImageError> {
        let log = Log::new(log);
        let layout = &options.layout;
        let make = Make { config: self.config(), layout, model, checkout, options, progress: &(), log: &log };
        make.of_containerfile(file).await
    }
}

struct Make<'a> {
    config: &'a PublishConfig,
    layout: &'a Layout,
    model: &'a ModelName,
    checkout: &'a Checkout,
    options: &'a ImageOptions,
    progress: &'a dyn Progress,
    log: &'a Log<'a>,
}

/// An image that grows.
struct Growing {
    config: Config,
    layers: Vec<Descriptor>,
    told: Vec<ImageLayer>,
    created: String,
}

impl Growing {
    fn new(base: Option<&Base>, created: String) -> Self {
        let mut growing = Self {
            config: base.map_or_else(Config::empty, |base| base.config.clone()),
            layers: base.map(|base| base.layers.clone()).unwrap_or_default(),
            told: vec![],
            created,
        };
        growing.told = growing.layers.iter().map(|layer| told("base", layer, true)).collect();
        growing
    }

    fn push(&mut self, what: &str, (layer, reused): (Layer, bool)) {
        self.config.push_layer(&layer.diff_id, &self.created, &format!("csw: {what}"));
        self.told.push(told(what, &layer.descriptor, reused));
        self.layers.push(layer.descriptor);
    }
}

fn told(what: &str, layer: &Descriptor, reused: bool) -> ImageLayer {
    ImageLayer { what: what.to_owned(), digest: layer.digest.clone(), bytes: layer.size, reused }
}

impl Make<'_> {
    async fn of_version(&self, built: &Built) -> Result<Image, ImageError> {
        let Artifact::Environment { environment, code } = &built.artifact else {
            return Err(ImageError::Build("The version is an image already".to_owned()));
        };
        let environment = Environment::at(&self.config.data, environment);
        let code = code::find(&self.config.data, code)
            .ok_or_else(|| ImageError::Build(format!("The code folder {code} is gone: build the version again")))?;
        let requests = built.facts.get("python").and_then(Value::as_str).map(|version| format!("=={version}"));
        let (interpreter, _) = interpreter::choose(self.config, requests.as_slice(), self.log).await?;
        let version =
            if self.options.ask_version { Some(self.reported(&interpreter, &environment, &code).await?) } else { None };
        let parts = Parts::of(&interpreter, self.log).await?;
        let base = self.base(&system_packages(built)).await?;
        if let Some(base) = &base {
            base.suits(parts.glibc())?;
        }
        let mut image = Growing::new(base.as_ref(), self.created());
        let own_python = base.as_ref().and_then(|base| python::of_base(&interpreter, &base.contents));
        let home = own_python.clone().unwrap_or_else(|| interpreter.executable.clone());
        self.python_layers(&mut image, (&interpreter, parts), base.as_ref(), own_python.is_some(), &environment)
            .await?;
        image.push("environment", self.environment_layer(&environment, &interpreter, &home).await?);
        image.push("csw", self.program_layer().await?);
        image.push("code", self.code_layer(&code).await?);
        let place = |folder: &str, digest: &str| Path::new(ROOT).join(folder).join(digest);
        let (environment_place, code_place) = (place("envs", &environment.digest), place("code", &code.digest));
        let path = image.config.env("PATH").unwrap_or(PATH).to_owned();
        let search = search_path(&code, &code_place)?;
        for (name, value) in [
            ("PATH", format!("{}:{path}", environment_place.join("bin").display())),
            ("PYTHONPATH", search),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
            ("CSW_ENVIRONMENT", environment_place.display().to_string()),
            ("CSW_CODE", code_place.display().to_string()),
            ("HOME", "/tmp".to_owned()),
        ] {
            image.config.set_env(name, &value);
        }
        image.config.set("WorkingDir", json!("/tmp"));
        let mut labels = self.labels(&built.digest);
        if let Some(version) = &version {
            labels.insert("studio.compute.version".to_owned(), version.clone());
            labels.insert("org.opencontainers.image.version".to_owned(), version.clone());
        }
        labels.insert("studio.compute.environment".to_owned(), environment.digest.clone());
        labels.insert("studio.compute.code".to_owned(), code.digest.clone());
        let lock = built.facts.get("lock").and_then(Value::as_str).unwrap_or_default();
        labels.insert("studio.compute.lock".to_owned(), format!("sha256:{}", hex::encode(Sha256::digest(lock))));
        if let Some(python) = built.facts.get("python").and_then(Value::as_str) {
            labels.insert("studio.compute.python".to_owned(), python.to_owned());
        }
        self.finish(image, labels, version, base.map(|base| base.name))
    }

    async fn of_containerfile(&self, file: &Path) -> Result<Image, ImageError> {
        let shown = file.strip_prefix(&self.checkout.folder).unwrap_or(file).display().to_string();
        let tool = container::find(&self.options.tool, &format!("The repository brings `{shown}`"), self.log).await?;
        self.log.line(&format!("Building `{shown}` with {}", tool.name()));
        let (descriptor, manifest) =
            tool.build(self.layout, file, &self.checkout.folder, self.options.insecure, self.log).await?;
        let base = Base::here(self.layout, &shown, &manifest).await?;
        base.suits(None)?;
        let mut image = Growing::new(Some(&base), self.created());
        for layer in &mut image.told {
            (layer.what, layer.reused) = (shown.clone(), false);
        }
        let (layout, program, contents) = (self.layout.clone(), self.options.program.clone(), base.contents.clone());
        let libraries =
            blocking(move || python::libraries_layer(&layout, None, Some(&contents), None, &program)).await?;
        if let Some(libraries) = libraries {
            image.push("libraries", libraries);
        }
        image.push("csw", self.program_layer().await?);
        let digest = Sha256::digest(format!("container 1\n{}\n{}\n", self.checkout.commit, descriptor.digest));
        self.finish(image, self.labels(&hex::encode(digest)), None, Some(shown))
    }

    /// When the source was committed: the same source gives the same image, whenever it is made.
    fn created(&self) -> String {
        self.checkout.committed_at.unwrap_or(Timestamp::UNIX_EPOCH).to_string()
    }

    fn labels(&self, digest: &str) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::from([
            ("studio.compute.owner".to_owned(), self.model.owner.as_str().to_owned()),
            ("studio.compute.title".to_owned(), self.model.title.as_str().to_owned()),
            ("studio.compute.commit".to_owned(), self.checkout.commit.clone()),
            ("studio.compute.digest".to_owned(), digest.to_owned()),
            ("org.opencontainers.image.title".to_owned(), self.model.to_string()),
            ("org.opencontainers.image.revision".to_owned(), self.checkout.commit.clone()),
            ("org.opencontainers.image.created".to_owned(), self.created()),
        ]);
        if let Some(url) = &self.checkout.url {
            labels.insert("org.opencontainers.image.source".to_owned(), url.clone());
        }
        labels
    }

    fn tag(&self) -> Result<String, ImageError> {
        let tag = match &self.options.tag {
            Some(tag) => tag.clone(),
            None => self.checkout.commit.chars().take(12).collect(),
        };
        name::check_tag(&tag)?;
        Ok(tag)
    }

    fn finish(
        &self,
        mut image: Growing,
        labels: BTreeMap<String, String>,
        version: Option<String>,
        base: Option<String>,
    ) -> Result<Image, ImageError> {
        let tag = self.tag()?;
        image.config.set_created(&image.created);
        image.config.set("Entrypoint", json!(["csw"]));
        image.config.unset("Cmd");
        let is_root = |user: &str| matches!(user.split(':').next(), Some("root" | "0"));
        if image.config.text("User").is_none_or(is_root) {
            image.config.set("User", json!(format!("{USER}:{USER}")));
        }
        image.config.set_labels(&labels);
        let config = self.layout.put(oci::CONFIG, &image.config.bytes())?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: oci::MANIFEST.to_owned(),
            config,
            layers: image.layers,
            annotations: labels,
        };
        let bytes = serde_json::to_vec(&manifest).map_err(|error| ImageError::Build(error.to_string()))?;
        let descriptor = self.layout.put(oci::MANIFEST, &bytes)?;
        self.layout.name(&format!("{}:{tag}", name::repository(self.model)), &descriptor)?;
        let bytes = image.told.iter().map(|layer| layer.bytes).sum();
        self.log.line(&format!("Image {tag}: {} layers, {bytes} bytes", image.told.len()));
        Ok(Image { tag, digest: descriptor.digest, version, base, bytes, layers: image.told })
    }

    /// What the image stands on, with the packages of the system in it.
    async fn base(&self, packages: &[String]) -> Result<Option<Base>, ImageError> {
        let Some(wanted) = &self.options.base else {
            if packages.is_empty() {
                return Ok(None);
            }
            return Err(ImageError::Build(format!(
                "`install.sh` asks for packages of the system: {}. They need a base with apt: choose one with `--base`, such as `debian:bookworm-slim`",
                packages.join(", ")
            )));
        };
        let name = ImageName::parse(wanted)?;
        self.log.line(&format!("Base {name}"));
        let credentials = match &self.options.login {
            Some((host, known)) if *host == name.host => Some(known.clone()),
            _ => credentials::stored(&name.host)?,
        };
        let registry = Registry::new(&name.host, credentials, self.options.insecure, self.options.patience)?;
        let base = base::pull(self.layout, &registry, &name, self.progress).await?;
        if packages.is_empty() {
            return Ok(Some(base));
        }
        if !base.contents.apt {
            let why = format!(
                "`install.sh` asks for packages of apt, which it has not: {}; choose one of Debian or Ubuntu",
                packages.join(", ")
            );
            return Err(ImageError::Base { base: base.name, why });
        }
        self.with_packages(&name, base, packages, !registry.is_encrypted()).await.map(Some)
    }

    /// The base with packages of the system, made once for the same base and packages.
    async fn with_packages(
        &self,
        name: &ImageName,
        base: Base,
        packages: &[String],
        insecure: bool,
    ) -> Result<Base, ImageError> {
        let what = format!("{} with {}", base.name, packages.join(", "));
        let made_of =
            format!("{:?}\n{packages:?}\n", base.layers.iter().map(|layer| &layer.digest).collect::<Vec<_>>());
        let known = format!("csw-system:{}", hex::encode(&Sha256::digest(made_of)[..16]));
        if let Some((_, manifest)) = self.layout.find(&known)? {
            return Base::here(self.layout, &what, &manifest).await;
        }
        let text = container::with_packages(&name.to_string(), packages)?;
        let why = format!("`install.sh` asks for packages of the system: {}", packages.join(", "));
        let tool = container::find(&self.options.tool, &why, self.log).await?;
        self.log.line(&format!("Installing {} with {}", packages.join(", "), tool.name()));
        let context = tempfile_folder(self.layout)?;
        let file = context.join("Containerfile");
        let written = fs::write(&file, text).map_err(ImageError::at("Writing", &file));
        let built = match written {
            Ok(()) => tool.build(self.layout, &file, &context, insecure, self.log).await,
            Err(error) => Err(error),
        };
        let _ = fs::remove_dir_all(&context);
        let (descriptor, manifest) = built?;
        self.layout.name(&known, &descriptor)?;
        Base::here(self.layout, &what, &manifest).await
    }

    /// The interpreter, unless the base has it, and what else the environment is linked against.
    async fn python_layers(
        &self,
        image: &mut Growing,
        (interpreter, parts): (&Interpreter, Parts),
        base: Option<&Base>,
        is_there: bool,
        environment: &Environment,
    ) -> Result<(), ImageError> {
        let (layout, program) = (self.layout.clone(), self.options.program.clone());
        let contents = base.map(|base| base.contents.clone());
        let what = format!("Python {}", interpreter.version());
        let (interpreter, folder) = (interpreter.clone(), environment.folder.clone());
        let (own, libraries) = blocking(move || {
            let contents = contents.as_ref();
            let brought = (!is_there).then_some((&interpreter, &parts));
            let own = match brought {
                Some((interpreter, parts)) => Some(python::layer(&layout, interpreter, parts, &program, contents)?),
                None => None,
            };
            Ok((own, python::libraries_layer(&layout, Some(&folder), contents, brought, &program)?))
        })
        .await?;
        if let Some(own) = own {
            image.push(&what, own);
        }
        if let Some(libraries) = libraries {
            image.push("libraries", libraries);
        }
        Ok(())
    }

    async fn environment_layer(
        &self,
        environment: &Environment,
        python: &Interpreter,
        home: &Path,
    ) -> Result<(Layer, bool), ImageError> {
        let (layout, folder) = (self.layout.clone(), environment.folder.clone());
        let key = format!("environment {} {}", environment.digest, home.display());
        let place = Path::new(ROOT).join("envs").join(&environment.digest);
        let bin = home.parent().unwrap_or(Path::new("/usr/bin")).display().to_string();
        let head = format!(
            "home = {bin}\nimplementation = CPython\nversion_info = {}\ninclude-system-site-packages = false\nrelocatable = true\n",
            python.version()
        );
        let home = home.to_owned();
        blocking(move || {
            layer::remembered(&layout, &key, || {
                let mut entries = Entries::new();
                layer::add_tree(&mut entries, &folder, &place, &|_| true)?;
                let place = layer::inside(&place);
                entries.insert(place.join("bin/python"), Entry::Link(home));
                entries.insert(place.join("pyvenv.cfg"), Entry::Text(head.into_bytes()));
                Ok(entries)
            })
        })
        .await
    }

    async fn code_layer(&self, code: &Code) -> Result<(Layer, bool), ImageError> {
        let (layout, folder) = (self.layout.clone(), code.place.clone());
        let key = format!("code {}", code.digest);
        let place = Path::new(ROOT).join("code").join(&code.digest);
        blocking(move || {
            layer::remembered(&layout, &key, || {
                let mut entries = Entries::new();
                layer::add_tree(&mut entries, &folder, &place, &|path| !is_of_the_build(path))?;
                forget_the_build(&mut entries)?;
                Ok(entries)
            })
        })
        .await
    }

    async fn program_layer(&self) -> Result<(Layer, bool), ImageError> {
        let (layout, program) = (self.layout.clone(), self.options.program.clone());
        blocking(move || {
            let digest = store::file_digest(&program).map_err(ImageError::at("Reading", &program))?;
            layer::remembered(&layout, &format!("csw {digest}"), || {
                let place = PathBuf::from("usr/local/bin/csw");
                Ok(Entries::from([(place, Entry::File { from: program, program: true })]))
            })
        })
        .await
    }

    /// What `get_version` says, asked in the sandbox: an image whose functions can't be imported is none.
    async fn reported(
        &self,
        python: &Interpreter,
        environment: &Environment,
        code: &Code,
    ) -> Result<String, ImageError> {
        const SCRIPT: &str = "import json, sys, cs_config.functions as f; v = str(f.get_version()); \
                              sys.stdout.write('\\n' + json.dumps(v) + '\\n')";
        let jail = Jail::new(self.config, self.log)?;
        jail.hand_over().await?;
        let path = code::search_path(&code.place)?;
        let path = path.iter().map(|entry| entry.display().to_string()).collect::<Vec<_>>().join(":");
        let mut read_only = python.shown();
        read_only.extend([environment.folder.clone(), code.place.clone()]);
        let what = "Asking the model for its version";
        let program = environment.python();
        let step = Step {
            what,
            program: &program,
            args: vec!["-c".to_owned(), SCRIPT.to_owned()],
            working_dir: jail.room.clone(),
            env: vec![("PYTHONPATH".to_owned(), path), ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned())],
            read_only,
            network: false,
            seconds: self.config.build_seconds,
            output: Output::Captured,
        };
        let ended = jail.run(step).await?.success(what)?;
        let said = String::from_utf8_lossy(&ended.output);
        let version = said.lines().next_back().and_then(|line| serde_json::from_str::<String>(line).ok());
        version.ok_or_else(|| ImageError::Build("`get_version` of the model gave no version".to_owned()))
    }
}

fn system_packages(built: &Built) -> Vec<String> {
    let packages = built.facts.get("system_packages").and_then(Value::as_array);
    packages.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn search_path(code: &Code, place: &Path) -> Result<String, ImageError> {
    let entries = code::search_path(&code.place)?;
    let inside = entries.iter().map(|entry| entry.strip_prefix(&code.place).unwrap_or(entry));
    Ok(inside.map(|entry| place.join(entry).display().to_string()).collect::<Vec<_>>().join(":"))
}

fn tempfile_folder(layout: &Layout) -> Result<PathBuf, ImageError> {
    let folder = layout.folder().join(format!(".context-{}", uuid::Uuid::now_v7()));
    fs::create_dir_all(&folder).map_err(ImageError::at("Making the folder", &folder))?;
    Ok(folder)
}

/// What installers note of the machine and moment of a build.
fn is_of_the_build(path: &Path) -> bool {
    let in_metadata = path.parent().is_some_and(|parent| parent.to_string_lossy().ends_with(".dist-info"));
    in_metadata && ["direct_url.json", "uv_cache.json"].iter().any(|name| path.ends_with(name))
}

/// The lists of installed files without what was left out.
fn forget_the_build(entries: &mut Entries) -> Result<(), ImageError> {
    for (place, entry) in entries.iter_mut() {
        let Entry::File { from, .. } = entry else { continue };
        let in_metadata = place.parent().is_some_and(|parent| parent.to_string_lossy().ends_with(".dist-info"));
        if !in_metadata || !place.ends_with("RECORD") {
            continue;
        }
        let text = fs::read_to_string(&*from).map_err(ImageError::at("Reading", from))?;
        let kept = |line: &&str| !is_of_the_build(Path::new(line.split(',').next().unwrap_or_default()));
        let kept: Vec<&str> = text.lines().filter(kept).collect();
        *entry = Entry::Text((kept.join("\n") + "\n").into_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_build_knew_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let info = folder.path().join("csw-site/m-1.dist-info");
        fs::create_dir_all(&info).unwrap();
        fs::write(info.join("direct_url.json"), "{}").unwrap();
        fs::write(info.join("RECORD"), "m.py,sha256=1,2\nm-1.dist-info/direct_url.json,sha256=3,4\n").unwrap();
        let mut entries = Entries::new();
        layer::add_tree(&mut entries, folder.path(), Path::new("/c"), &|path| !is_of_the_build(path)).unwrap();
        forget_the_build(&mut entries).unwrap();
        assert!(!entries.contains_key(Path::new("c/csw-site/m-1.dist-info/direct_url.json")));
        let record = &entries[Path::new("c/csw-site/m-1.dist-info/RECORD")];
        assert!(matches!(record, Entry::Text(text) if text == b"m.py,sha256=1,2\n"), "{record:?}");
    }
}
