//! An image of the folder goes to a registry: only what the registry lacks, and never from the start again.

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU64, atomic::Ordering},
    time::{Duration, Instant},
};

use csw_core::names::ModelName;
use futures::StreamExt;
use reqwest::{
    Body, Method, RequestBuilder, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE},
};
use serde::Serialize;
use std::io::Seek;

use super::{
    Progress,
    credentials::{self, Credentials},
    failure::ImageError,
    name::{self, Place},
    oci::{self, Descriptor, Manifest},
    registry::{About, Action, Attempt, Patience, Registry},
    store::Layout,
};

/// Repositories that a blob is tried to be mounted from.
const MOUNTS: usize = 3;

/// How to push.
#[derive(Debug, Clone)]
pub struct PushOptions {
    /// Where to.
    pub place: Place,
    /// The name it gets there, if not the one it was built with.
    pub tag: Option<String>,
    /// Who we are; nothing leaves it to the log-ins of this machine.
    pub credentials: Option<Credentials>,
    /// Whether the registry is spoken to in the clear.
    pub insecure: bool,
    /// How long it is waited for.
    pub patience: Patience,
}

/// What was pushed, and what it took.
#[derive(Debug, Clone, Serialize)]
pub struct Pushed {
    /// `HOST/REPOSITORY@sha256:...`: this image, for ever.
    pub reference: String,
    /// `HOST/REPOSITORY:TAG`: whatever has the tag; the reference again where it was given none.
    pub tagged: String,
    /// Bytes of the whole image.
    pub bytes: u64,
    /// Bytes that were sent.
    pub bytes_sent: u64,
    /// Layers that were sent.
    pub layers_sent: u32,
    /// Layers that the registry took over from another repository of its own.
    pub layers_mounted: u32,
    /// Layers that were there.
    pub layers_present: u32,
    /// How long it took.
    pub seconds: f64,
}

/// What became of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Present,
    Mounted,
    Sent,
}

/// Pushes the image of a model that was built with `tag`.
pub async fn push(
    layout: &Layout,
    model: &ModelName,
    tag: &str,
    options: PushOptions,
    progress: &dyn Progress,
) -> Result<Pushed, ImageError> {
    let own = name::repository(model);
    let Some((descriptor, manifest)) = layout.find(&format!("{own}:{tag}"))? else {
        return Err(not_built(layout, model, &own, tag));
    };
    let remote_tag = options.tag.as_deref().unwrap_or(tag);
    name::check_tag(remote_tag)?;
    send(layout, model, (descriptor, manifest), Some(remote_tag), &options, progress).await
}

/// Brings the image with this digest to the registry, where nothing but its digest names it.
pub(crate) async fn deliver(
    layout: &Layout,
    model: &ModelName,
    digest: &str,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<Pushed, ImageError> {
    let image = (described(layout, digest)?, layout.document(digest)?);
    send(layout, model, image, None, options, progress).await
}

/// Gives an image that was delivered a name there; says what it is called now.
pub(crate) async fn tag(
    layout: &Layout,
    model: &ModelName,
    digest: &str,
    tag: &str,
    options: &PushOptions,
) -> Result<String, ImageError> {
    let (registry, repository) = (registry(options)?, options.place.repository(model));
    let push = Push { layout, registry: &registry, repository: &repository, progress: &() };
    push.manifest(&described(layout, digest)?, tag).await?;
    Ok(format!("{}/{repository}:{tag}", registry.host()))
}

/// Asks the registry for nothing but whether it knows us as somebody who may write there.
pub(crate) async fn try_registry(options: &PushOptions) -> Result<(), ImageError> {
    let registry = registry(options)?;
    let prefix = &options.place.prefix;
    let repository = if prefix.is_empty() { "csw".to_owned() } else { format!("{prefix}/csw") };
    let about = About { what: "a greeting", repository: &repository, action: Action::Push, from: None };
    let answer = registry.ask(about, Method::GET, &registry.greeting(), |request| request).await?;
    if answer.status().is_success() { Ok(()) } else { Err(strange(&registry, "a greeting", answer.status())) }
}

fn registry(options: &PushOptions) -> Result<Registry, ImageError> {
    let credentials = match &options.credentials {
        Some(given) => Some(given.clone()),
        None => credentials::stored(&options.place.host)?,
    };
    Registry::new(&options.place.host, credentials, options.insecure, options.patience)
}

/// What a manifest of the folder is called.
fn described(layout: &Layout, digest: &str) -> Result<Descriptor, ImageError> {
    Ok(Descriptor::of(oci::MANIFEST, &layout.read(digest)?))
}

/// Sends an image; without a tag it is known by its digest there.
async fn send(
    layout: &Layout,
    model: &ModelName,
    (descriptor, manifest): (Descriptor, Manifest),
    tag: Option<&str>,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<Pushed, ImageError> {
    let start = Instant::now();
    let (registry, repository) = (registry(options)?, options.place.repository(model));
    let push = Push { layout, registry: &registry, repository: &repository, progress };
    let mut ways = vec![];
    for layer in &manifest.layers {
        ways.push(push.blob(layer).await?);
    }
    push.blob(&manifest.config).await?;
    push.manifest(&descriptor, tag.unwrap_or(&descriptor.digest)).await?;
    let place = format!("{}/{repository}", registry.host());
    let digests: Vec<String> = manifest.layers.iter().map(|layer| layer.digest.clone()).collect();
    layout.remember_sent(&digests, &place)?;
    let count = |way| u32::try_from(ways.iter().filter(|known| **known == way).count()).unwrap_or(u32::MAX);
    let reference = format!("{place}@{}", descriptor.digest);
    Ok(Pushed {
        tagged: tag.map_or_else(|| reference.clone(), |tag| format!("{place}:{tag}")),
        reference,
        bytes: size(&manifest, &descriptor),
        bytes_sent: registry.sent.load(Ordering::Relaxed),
        layers_sent: count(Way::Sent),
        layers_mounted: count(Way::Mounted),
        layers_present: count(Way::Present),
        seconds: (start.elapsed().as_secs_f64() * 100.0).round() / 100.0,
    })
}

fn size(manifest: &Manifest, descriptor: &Descriptor) -> u64 {
    manifest.layers.iter().map(|layer| layer.size).sum::<u64>() + manifest.config.size + descriptor.size
}

fn not_built(layout: &Layout, model: &ModelName, own: &str, tag: &str) -> ImageError {
    let names = layout.names().unwrap_or_default();
    let tags: Vec<&str> =
        names.iter().filter_map(|name| name.strip_prefix(own)?.strip_prefix(':')).rev().take(5).collect();
    let others = if tags.is_empty() { String::new() } else { format!(", only {}", tags.join(", ")) };
    let folder = layout.folder().display().to_string();
    ImageError::NotBuilt { model: model.to_string(), tag: tag.to_owned(), folder, others }
}

/// The newest image of a model in the folder.
pub fn newest_tag(layout: &Layout, model: &ModelName) -> Result<Option<String>, ImageError> {
    let own = name::repository(model);
    let names = layout.names()?;
    Ok(names.iter().rev().find_map(|name| name.strip_prefix(&own)?.strip_prefix(':')).map(str::to_owned))
}

struct Push<'a> {
    layout: &'a Layout,
    registry: &'a Registry,
    repository: &'a str,
    progress: &'a dyn Progress,
}

/// An upload that the registry has begun.
struct Session {
    location: String,
    /// Bytes that it has.
    offset: u64,
}

impl Push<'_> {
    fn about<'a>(&'a self, what: &'a str, from: Option<&'a str>) -> About<'a> {
        About { what, repository: self.repository, action: Action::Push, from }
    }

    async fn blob(&self, blob: &Descriptor) -> Result<Way, ImageError> {
        let what = format!("blob {}", blob.digest.get(..19).unwrap_or(&blob.digest));
        let path = self.layout.blob(&blob.digest)?;
        if !self.layout.has(blob) {
            return Err(ImageError::Damaged { path: path.display().to_string(), why: "it is not whole".to_owned() });
        }
        let url = self.registry.url(self.repository, &format!("blobs/{}", blob.digest));
        let answer = self.registry.ask(self.about(&what, None), Method::HEAD, &url, |request| request).await?;
        if answer.status().is_success() {
            self.progress.moved(&what, blob.size, blob.size);
            return Ok(Way::Present);
        }
        let mut session = None;
        for from in self.mountable(blob)? {
            match self.mount(&what, blob, &from).await? {
                None => {
                    self.progress.moved(&what, blob.size, blob.size);
                    return Ok(Way::Mounted);
                }
                begun => session = begun,
            }
        }
        let sent = self.upload(&what, blob, &path, session).await;
        match sent {
            Ok(()) => Ok(Way::Sent),
            Err(ImageError::Full { host, what, said, .. }) => {
                Err(ImageError::Full { host, what, bytes: blob.size, said })
            }
            Err(ImageError::Changed { host, what, said }) => {
                self.layout.check(blob)?;
                Err(ImageError::Changed { host, what, said })
            }
            Err(other) => Err(other),
        }
    }

    /// Where on the same registry the blob may be, by what was sent or read before.
    fn mountable(&self, blob: &Descriptor) -> Result<Vec<String>, ImageError> {
        let mut known = self.layout.sent_to(&blob.digest, self.registry.host())?;
        known.retain(|from| from != self.repository);
        known.truncate(MOUNTS);
        Ok(known)
    }

    /// Asks the registry to take the blob over from another repository. Where it does not, it has begun an upload.
    async fn mount(&self, what: &str, blob: &Descriptor, from: &str) -> Result<Option<Session>, ImageError> {
        let url = self.registry.url(self.repository, "blobs/uploads/");
        let query = [("mount", blob.digest.as_str()), ("from", from)];
        let about = self.about(what, Some(from));
        let made =
            self.registry.ask(about, Method::POST, &url, |request| request.query(&query).header(CONTENT_LENGTH, 0));
        match made.await {
            Ok(answer) if answer.status() == StatusCode::CREATED => Ok(None),
            Ok(answer) => self.session(what, &answer).map(Some),
            // Whether it may be read from there is not what was asked.
            Err(ImageError::Denied { .. } | ImageError::Unknown { .. } | ImageError::Strange { .. }) => {
                self.begin(what).await.map(Some)
            }
            Err(error) => Err(error),
        }
    }

    async fn begin(&self, what: &str) -> Result<Session, ImageError> {
        let url = self.registry.url(self.repository, "blobs/uploads/");
        let about = self.about(what, None);
        let answer = self.registry.ask(about, Method::POST, &url, |request| request.header(CONTENT_LENGTH, 0)).await?;
        self.session(what, &answer)
    }

    fn session(&self, what: &str, answer: &Response) -> Result<Session, ImageError> {
        let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        match location {
            Some(location) if answer.status() == StatusCode::ACCEPTED => {
                Ok(Session { location: self.registry.resolve(location), offset: 0 })
            }
            // Some make a repository only when they are told to.
            _ if answer.status() == StatusCode::NOT_FOUND => Err(ImageError::Missing {
                host: self.registry.host().to_owned(),
                what: self.repository.to_owned(),
                said: "404 to an upload; some want a repository to be made first".to_owned(),
            }),
            _ => Err(self.strange(what, answer.status())),
        }
    }

    fn strange(&self, what: &str, status: StatusCode) -> ImageError {
        strange(self.registry, what, status)
    }

    /// Sends a blob, going on where the registry lost the thread. Only attempts that moved nothing are counted.
    async fn upload(
        &self,
        what: &str,
        blob: &Descriptor,
        path: &Path,
        mut session: Option<Session>,
    ) -> Result<(), ImageError> {
        let (mut attempt, mut best) = (1, 0);
        loop {
            let mut upload = match session.take() {
                Some(upload) => upload,
                None => self.begin(what).await?,
            };
            let Some((error, pause)) = self.send(what, blob, path, &mut upload).await? else { return Ok(()) };
            if attempt >= self.registry.patience.attempts {
                return Err(error);
            }
            self.registry.pause(attempt, pause).await;
            // Of what arrived wrong nothing is gone on with.
            let is_wrong = matches!(error, ImageError::Changed { .. });
            session = if is_wrong { None } else { self.reached(what, upload).await };
            let reached = session.as_ref().map_or(0, |session| session.offset);
            attempt = if reached > best { 1 } else { attempt + 1 };
            best = best.max(reached);
        }
    }

    /// One attempt from where the upload is; `None` when the registry has the blob.
    async fn send(
        &self,
        what: &str,
        blob: &Descriptor,
        path: &Path,
        upload: &mut Session,
    ) -> Result<Option<(ImageError, Option<Duration>)>, ImageError> {
        if upload.offset < blob.size {
            let (from, rest) = (upload.offset, blob.size - upload.offset);
            let patch = |request: RequestBuilder| {
                let request = request
                    .header(CONTENT_TYPE, "application/octet-stream")
                    .header(CONTENT_LENGTH, rest)
                    .body(self.body(what, path, from, blob.size));
                // A whole blob in one piece is what every registry takes; the rest of one has to say where it begins.
                if from == 0 { request } else { request.header(CONTENT_RANGE, format!("{from}-{}", blob.size - 1)) }
            };
            let answer =
                match self.registry.once(self.about(what, None), Method::PATCH, &upload.location, &patch).await? {
                    Attempt::Answered(answer) => answer,
                    Attempt::Again(error, pause) => return Ok(Some((error, pause))),
                };
            if !answer.status().is_success() {
                return Ok(Some((self.strange(what, answer.status()), None)));
            }
            if let Some(next) = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()) {
                upload.location = self.registry.resolve(next);
            }
            upload.offset = blob.size;
        }
        let joint = if upload.location.contains('?') { '&' } else { '?' };
        let url = format!("{}{joint}digest={}", upload.location, blob.digest);
        let put = |request: RequestBuilder| {
            request.header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, 0)
        };
        match self.registry.once(self.about(what, None), Method::PUT, &url, &put).await? {
            Attempt::Answered(answer) if answer.status().is_success() => Ok(None),
            Attempt::Answered(answer) => Ok(Some((self.strange(what, answer.status()), None))),
            Attempt::Again(error, pause) => Ok(Some((error, pause))),
        }
    }

    /// How far an upload came; nothing where the registry has forgotten it.
    async fn reached(&self, what: &str, upload: Session) -> Option<Session> {
        let asked = self.registry.once(self.about(what, None), Method::GET, &upload.location, &|request| request);
        let Ok(Attempt::Answered(answer)) = asked.await else { return None };
        if answer.status() != StatusCode::NO_CONTENT {
            return None;
        }
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let last = header(RANGE)?.trim_start_matches("bytes=").split_once('-')?.1.parse::<u64>().ok()?;
        let location = header(LOCATION).map_or(upload.location, |next| self.registry.resolve(next));
        // `0-0` is what most say of an upload that has nothing: a byte that is sent twice is refused, so begin anew.
        (last > 0).then_some(Session { location, offset: last + 1 })
    }

    /// The blob from a place on, counted as it goes.
    fn body(&self, what: &str, path: &Path, from: u64, total: u64) -> Body {
        let opened = std::fs::File::open(path).and_then(|mut file| {
            file.seek(std::io::SeekFrom::Start(from))?;
            Ok(file)
        });
        let (sent, moved) = (Arc::clone(&self.registry.sent), Arc::clone(&self.registry.moved));
        let counted: Arc<dyn Fn(u64) + Send + Sync> = self.progress.counter(what, from, total);
        match opened {
            Ok(file) => {
                let chunks = tokio_util::io::ReaderStream::with_capacity(tokio::fs::File::from_std(file), 64 << 10);
                Body::wrap_stream(chunks.inspect(move |chunk| {
                    if let Ok(chunk) = chunk {
                        add(&sent, chunk.len());
                        add(&moved, chunk.len());
                        counted(chunk.len() as u64);
                    }
                }))
            }
            Err(error) => Body::wrap_stream(futures::stream::once(async { Err::<bytes::Bytes, _>(error) })),
        }
    }

    async fn manifest(&self, manifest: &Descriptor, name: &str) -> Result<(), ImageError> {
        let bytes = self.layout.read(&manifest.digest)?;
        let url = self.registry.url(self.repository, &format!("manifests/{name}"));
        let joint = if name.contains(':') { '@' } else { ':' };
        let what = format!("the manifest of {}{joint}{name}", self.repository);
        let put = |request: RequestBuilder| {
            add(&self.registry.sent, bytes.len());
            request.header(CONTENT_TYPE, oci::MANIFEST).body(bytes.clone())
        };
        let answer = self.registry.ask(self.about(&what, None), Method::PUT, &url, put).await?;
        if answer.status().is_success() { Ok(()) } else { Err(self.strange(&what, answer.status())) }
    }
}

fn strange(registry: &Registry, what: &str, status: StatusCode) -> ImageError {
    ImageError::Strange { host: registry.host().to_owned(), what: what.to_owned(), said: status.to_string() }
}

fn add(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(bytes as u64, Ordering::Relaxed);
}
