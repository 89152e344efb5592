//! What an image stands on: another image, pulled blob by blob into the folder, or nothing.
//!
//! Its layers are never unpacked. They are looked through once, to learn which Python and which libraries it has.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use flate2::read::MultiGzDecoder;
use futures::StreamExt;
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, RANGE},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Progress,
    failure::ImageError,
    name::ImageName,
    oci::{self, Config, Descriptor, Index, Manifest},
    python::release,
    registry::{About, Action, Registry, chain},
    store::{BlobWriter, Layout},
};
use crate::background;

/// The largest document of a registry that is read.
const DOCUMENT: usize = 8 << 20;

/// What a base has, of what matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    /// `usr/bin/python3.11` and its like.
    pub(crate) pythons: BTreeSet<PathBuf>,
    /// `usr/lib/python3.11` and its like, where they are whole.
    pub(crate) standard_libraries: BTreeSet<PathBuf>,
    /// Names of its shared libraries.
    pub(crate) libraries: BTreeSet<String>,
    /// Release of its C library.
    pub(crate) glibc: Option<(u32, u32)>,
    /// Whether it has musl, another C library.
    pub(crate) musl: bool,
    /// Whether it installs packages with apt.
    pub(crate) apt: bool,
}

/// An image to stand on.
#[derive(Debug)]
pub(crate) struct Base {
    /// As it was named.
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) layers: Vec<Descriptor>,
    pub(crate) contents: Contents,
}

impl Base {
    /// The image with this descriptor in the folder.
    pub(crate) async fn here(layout: &Layout, name: &str, manifest: &Manifest) -> Result<Self, ImageError> {
        let config = layout.read(&manifest.config.digest)?;
        let config = Config::read(&config).map_err(|error| ImageError::Damaged {
            path: format!("the configuration of {name}"),
            why: error.to_string(),
        })?;
        let wrong = |why: String| ImageError::Base { base: name.to_owned(), why };
        let (own, here) = (config.platform(), oci::platform());
        if (own.os.as_str(), own.architecture.as_str()) != (here.os.as_str(), here.architecture.as_str()) {
            return Err(wrong(format!(
                "it is for {}/{}, and packages were built for {}/{}; choose one for this platform",
                own.os, own.architecture, here.os, here.architecture
            )));
        }
        if config.diff_ids().len() != manifest.layers.len() {
            return Err(wrong("its configuration and its list of layers do not agree; choose another".to_owned()));
        }
        let mut contents = Contents::default();
        let mut layers = vec![];
        for layer in &manifest.layers {
            look_through(layout, layer, &mut contents).await.map_err(|why| wrong(why.to_string()))?;
            layers.push(Descriptor { media_type: oci::modern(&layer.media_type).to_owned(), ..layer.clone() });
        }
        Ok(Self { name: name.to_owned(), config, layers, contents })
    }

    /// Refuses a base on which packages of this machine do not run.
    pub(crate) fn suits(&self, glibc: Option<(u32, u32)>) -> Result<(), ImageError> {
        let wrong = |why: String| ImageError::Base { base: self.name.clone(), why };
        match (self.contents.glibc, glibc) {
            (None, _) if self.contents.musl => Err(wrong(
                "its C library is musl, and packages from PyPI were installed for glibc; choose one of Debian, Ubuntu, Fedora or the like, such as `debian:bookworm-slim`"
                    .to_owned(),
            )),
            (None, _) => Err(wrong(
                "it has no C library; leave `--base` away, and the image brings its own".to_owned(),
            )),
            (Some(its), Some(ours)) if its < ours => Err(wrong(format!(
                "its C library is {}.{}, older than {}.{} of this machine, for which Python was built; choose a newer base, or build on a machine like the base",
                its.0, its.1, ours.0, ours.1
            ))),
            _ => Ok(()),
        }
    }
}

/// Pulls an image into the folder.
pub(crate) async fn pull(
    layout: &Layout,
    registry: &Registry,
    name: &ImageName,
    progress: &dyn Progress,
) -> Result<Base, ImageError> {
    let pull = Pull { layout, registry, name, progress };
    let manifest = pull.manifest().await?;
    for blob in manifest.layers.iter().chain([&manifest.config]) {
        if !layout.has(blob) {
            pull.blob(blob).await?;
        }
    }
    let digests: Vec<String> = manifest.layers.iter().map(|layer| layer.digest.clone()).collect();
    layout.remember_sent(&digests, &format!("{}/{}", name.host, name.repository))?;
    Base::here(layout, &name.to_string(), &manifest).await
}

struct Pull<'a> {
    layout: &'a Layout,
    registry: &'a Registry,
    name: &'a ImageName,
    progress: &'a dyn Progress,
}

impl Pull<'_> {
    fn about<'a>(&'a self, what: &'a str) -> About<'a> {
        About { what, repository: &self.name.repository, action: Action::Pull, from: None }
    }

    /// The manifest for this machine.
    async fn manifest(&self) -> Result<Manifest, ImageError> {
        let (media_type, bytes) = self.document(self.name.reference()).await?;
        if let Some(wanted) = &self.name.digest
            && oci::digest(&bytes) != *wanted
        {
            return Err(self.strange("another image than the one with this digest"));
        }
        if oci::modern(&media_type) != oci::INDEX {
            return self.parse(&bytes);
        }
        let index: Index = self.parse(&bytes)?;
        let here = oci::platform();
        let suits = |known: &&Descriptor| {
            known.platform.as_ref().is_some_and(|its| its.os == here.os && its.architecture == here.architecture)
        };
        let Some(found) = index.manifests.iter().find(suits) else {
            let why = format!("there is none for {}/{}; choose another", here.os, here.architecture);
            return Err(ImageError::Base { base: self.name.to_string(), why });
        };
        let (_, bytes) = self.document(&found.digest).await?;
        if oci::digest(&bytes) != found.digest {
            return Err(self.strange("another image than its list names"));
        }
        self.parse(&bytes)
    }

    fn parse<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, ImageError> {
        serde_json::from_slice(bytes).map_err(|error| self.strange(&format!("no manifest ({error})")))
    }

    fn strange(&self, said: &str) -> ImageError {
        let (host, what) = (self.registry.host().to_owned(), self.name.to_string());
        ImageError::Strange { host, what, said: said.to_owned() }
    }

    async fn document(&self, reference: &str) -> Result<(String, Vec<u8>), ImageError> {
        let url = self.registry.url(&self.name.repository, &format!("manifests/{reference}"));
        let accepted = [oci::MANIFEST, oci::INDEX, oci::DOCKER_MANIFEST, oci::DOCKER_INDEX].join(", ");
        let what = self.name.to_string();
        let answer = self
            .registry
            .ask(self.about(&what), Method::GET, &url, |request| request.header(ACCEPT, accepted.as_str()))
            .await?;
        if answer.status() == StatusCode::NOT_FOUND {
            let said = "404".to_owned();
            return Err(ImageError::Missing { host: self.registry.host().to_owned(), what, said });
        }
        let header = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = header.and_then(|text| text.split(';').next()).unwrap_or_default().trim().to_owned();
        let bytes = answer.bytes().await.map_err(|error| self.down(&error))?;
        if bytes.len() > DOCUMENT {
            return Err(self.strange("a manifest that is too large"));
        }
        Ok((media_type, bytes.to_vec()))
    }

    fn down(&self, error: &reqwest::Error) -> ImageError {
        ImageError::Down { host: self.registry.host().to_owned(), cause: chain(error) }
    }

    /// Fetches a blob, going on where the connection was lost.
    async fn blob(&self, blob: &Descriptor) -> Result<(), ImageError> {
        let mut writer = self.layout.writer()?;
        let mut attempt = 1;
        while let Err(error) = self.receive(blob, &mut writer).await {
            if !error.is_temporary() || attempt >= self.registry.patience.attempts {
                return Err(error);
            }
            self.registry.pause(attempt, None).await;
            attempt += 1;
        }
        writer.finish(Some(&blob.digest)).map(|_| ())
    }

    async fn receive(&self, blob: &Descriptor, writer: &mut BlobWriter) -> Result<(), ImageError> {
        let what = format!("blob {} of {}", blob.digest.get(..19).unwrap_or(&blob.digest), self.name.repository);
        let url = self.registry.url(&self.name.repository, &format!("blobs/{}", blob.digest));
        let from = writer.size();
        let answer = self
            .registry
            .ask(self.about(&what), Method::GET, &url, |request| {
                if from == 0 { request } else { request.header(RANGE, format!("bytes={from}-")) }
            })
            .await?;
        match answer.status() {
            StatusCode::NOT_FOUND => {
                let said = "404".to_owned();
                return Err(ImageError::Missing { host: self.registry.host().to_owned(), what, said });
            }
            // It has no parts: from the start again.
            StatusCode::OK if from > 0 => *writer = self.layout.writer()?,
            _ => {}
        }
        let mut chunks = answer.bytes_stream();
        loop {
            let next = tokio::time::timeout(self.registry.patience.silence, chunks.next()).await;
            let Some(chunk) = next.map_err(|_| self.registry.slow(&what))? else { break };
            let chunk = chunk.map_err(|error| self.down(&error))?;
            if writer.size() + chunk.len() as u64 > blob.size {
                return Err(self.strange("more bytes than the blob has"));
            }
            writer.write_all(&chunk).map_err(ImageError::at("Writing into", self.layout.folder()))?;
            self.registry.moved.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            self.progress.moved(&what, writer.size(), blob.size);
        }
        if writer.size() < blob.size {
            let cause = format!("{what} ended after {} of {} bytes", writer.size(), blob.size);
            return Err(ImageError::Down { host: self.registry.host().to_owned(), cause });
        }
        Ok(())
    }
}

async fn look_through(layout: &Layout, layer: &Descriptor, contents: &mut Contents) -> Result<(), ImageError> {
    let path = layout.blob(&layer.digest)?;
    if layer.media_type.contains("zstd") {
        return Err(ImageError::Build(
            "its layers are compressed with zstd, which this program does not read; choose one with gzip".to_owned(),
        ));
    }
    let (compressed, mut found) = (layer.media_type.ends_with("gzip"), contents.clone());
    let (from, reading) = (path.clone(), ImageError::at("Looking through", &path));
    *contents = background(move || {
        let file = std::io::BufReader::with_capacity(1 << 20, fs::File::open(&from)?);
        if compressed {
            scan(MultiGzDecoder::new(file), &mut found)?;
        } else {
            scan(file, &mut found)?;
        }
        Ok(found)
    })
    .await
    .map_err(reading)?;
    Ok(())
}

/// Notes what is in a layer.
fn scan(reader: impl Read, contents: &mut Contents) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(reader);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let path = path.strip_prefix("./").or_else(|_| path.strip_prefix("/")).unwrap_or(&path).to_owned();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        let parent = path.parent().unwrap_or(Path::new("")).to_owned();
        if let Some(gone) = name.strip_prefix(".wh.") {
            contents.pythons.remove(&parent.join(gone));
            contents.standard_libraries.remove(&parent.join(gone));
            continue;
        }
        if parent.ends_with("bin") {
            let version = name.strip_prefix("python3.");
            if version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit())) {
                contents.pythons.insert(path.clone());
            }
            contents.apt |= name == "apt-get";
        }
        // The encodings are what an interpreter loads first; json tells a whole library from a minimal one.
        if path.ends_with("json/__init__.py") && path.components().count() > 3 {
            contents.standard_libraries.extend(path.ancestors().nth(2).map(Path::to_owned));
        }
        let in_libraries = parent.components().any(|part| part.as_os_str().to_string_lossy().starts_with("lib"));
        if in_libraries && name.contains(".so") && parent.components().count() <= 3 {
            contents.musl |= name.starts_with("ld-musl");
            // Older releases keep it in a file of their own, to which the usual name is a link.
            let is_c_library = name == "libc.so.6" || name.starts_with("libc-2.");
            if is_c_library && entry.header().entry_type().is_file() {
                contents.glibc = glibc(&mut entry)?.or(contents.glibc);
            }
            contents.libraries.insert(name);
        }
    }
    Ok(())
}

/// The release that a C library says of itself.
fn glibc(library: &mut impl Read) -> std::io::Result<Option<(u32, u32)>> {
    const WORDS: &[u8] = b"stable release version ";
    let mut bytes = vec![];
    library.take(64 << 20).read_to_end(&mut bytes)?;
    let at = bytes.windows(WORDS.len()).position(|window| window == WORDS);
    let text = at.and_then(|at| bytes.get(at + WORDS.len()..)).unwrap_or_default();
    let numbers = text.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
    Ok(release(&numbers.map(|byte| char::from(*byte)).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(vec![]);
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn a_base_tells_its_python_and_its_c_library() {
        let mut contents = Contents::default();
        let words = b"x GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\nCopyright".as_slice();
        let first = tar_of(&[
            ("usr/lib/x86_64-linux-gnu/libc.so.6", words),
            ("./usr/local/bin/python3.11", b""),
            ("usr/local/bin/python3.11-config", b""),
            ("usr/local/lib/python3.11/json/__init__.py", b""),
            ("usr/bin/apt-get", b""),
        ]);
        scan(first.as_slice(), &mut contents).unwrap();
        assert_eq!(contents.glibc, Some((2, 36)));
        assert_eq!(contents.pythons, BTreeSet::from(["usr/local/bin/python3.11".into()]));
        assert_eq!(contents.standard_libraries, BTreeSet::from(["usr/local/lib/python3.11".into()]));
        assert!(contents.apt && !contents.musl && contents.libraries.contains("libc.so.6"));
        let second = tar_of(&[("usr/local/bin/.wh.python3.11", b""), ("lib/ld-musl-x86_64.so.1", b"")]);
        scan(second.as_slice(), &mut contents).unwrap();
        assert!(contents.pythons.is_empty() && contents.musl);
    }

    #[test]
    fn a_base_with_another_or_an_older_c_library_is_refused() {
        let base = |contents| Base { name: "b".to_owned(), config: Config::empty(), layers: vec![], contents };
        let with = |glibc, musl| base(Contents { glibc, musl, ..Contents::default() });
        assert!(with(Some((2, 36)), false).suits(Some((2, 36))).is_ok());
        assert!(with(Some((2, 41)), false).suits(Some((2, 36))).is_ok());
        for (wrong, word) in
            [(with(Some((2, 31)), false), "older"), (with(None, true), "musl"), (with(None, false), "--base")]
        {
            let error = wrong.suits(Some((2, 36))).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
