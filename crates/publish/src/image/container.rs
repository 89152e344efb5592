//! Builds that need a container: with buildah, podman or docker, whichever works here, in this order.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    failure::ImageError,
    oci::{Descriptor, Index, Manifest},
    store::Layout,
};
use crate::{
    mask::Log,
    process::{Output, run},
    tree,
};

/// A program that builds containers, and how it is called.
#[derive(Debug, Clone, Default)]
pub struct Tool {
    /// Its name, where only this one will do.
    pub name: Option<String>,
    /// Further arguments of its `build`, such as `--isolation=chroot`.
    pub flags: Vec<String>,
    /// Seconds that a build may take.
    pub seconds: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Buildah,
    Podman,
    Docker,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Buildah, Self::Podman, Self::Docker];

    const fn name(self) -> &'static str {
        match self {
            Self::Buildah => "buildah",
            Self::Podman => "podman",
            Self::Docker => "docker",
        }
    }

    /// What works only where it can build: docker's client is of no use without its daemon.
    const fn trial(self) -> &'static [&'static str] {
        match self {
            Self::Docker => &["version", "--format", "{{.Server.Version}}"],
            Self::Buildah | Self::Podman => &["--version"],
        }
    }
}

/// A tool that works here.
#[derive(Debug)]
pub(crate) struct Works<'a> {
    kind: Kind,
    tool: &'a Tool,
}

/// Finds one; `why` says what for.
pub(crate) async fn find<'a>(tool: &'a Tool, why: &str, log: &Log<'_>) -> Result<Works<'a>, ImageError> {
    let mut found = vec![];
    for kind in Kind::ALL {
        if tool.name.as_deref().is_some_and(|name| name != kind.name()) {
            continue;
        }
        let mut command = Command::new(kind.name());
        command.args(kind.trial()).current_dir("/");
        match run(kind.name(), command, 20, Output::Quiet, log).await {
            Ok(ended) if ended.status.success() => return Ok(Works { kind, tool }),
            Ok(ended) => found.push(format!("{} does not work here ({})", kind.name(), ended.last_line())),
            Err(_) => found.push(format!("there is no {}", kind.name())),
        }
    }
    let found = if found.is_empty() {
        format!("`{}` is none of them", tool.name.as_deref().unwrap_or_default())
    } else {
        found.join(", ")
    };
    Err(ImageError::NoBuilder { why: why.to_owned(), found })
}

impl Works<'_> {
    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// Builds a Containerfile, and takes what came of it into the folder.
    pub(crate) async fn build(
        &self,
        layout: &Layout,
        file: &Path,
        context: &Path,
        insecure: bool,
        log: &Log<'_>,
    ) -> Result<(Descriptor, Manifest), ImageError> {
        let name = format!("localhost/csw-build-{}", uuid::Uuid::now_v7());
        let (file, context) = (file.display().to_string(), context.display().to_string());
        let mut args = vec!["build".to_owned()];
        if self.kind != Kind::Docker {
            args.extend(["--format=oci".to_owned(), format!("--tls-verify={}", !insecure)]);
        }
        args.extend(self.tool.flags.iter().cloned());
        args.extend(["--tag", &name, "--file", &file, &context].map(str::to_owned));
        self.call("The container build", &args, log).await?;
        let out = layout.folder().join(format!(".container-{}", uuid::Uuid::now_v7()));
        let exported = self.export(&name, &out, log).await;
        let removed = match self.kind {
            Kind::Buildah => vec!["rmi".to_owned(), name.clone()],
            Kind::Podman | Kind::Docker => vec!["image".to_owned(), "rm".to_owned(), name.clone()],
        };
        // The image is ours now; what the tool keeps of it takes room only.
        let _ = self.call("Removing the tool's own copy", &removed, log).await;
        let taken = exported.and_then(|()| take(layout, &out));
        let _ = tree::remove(&out);
        taken
    }

    async fn export(&self, name: &str, out: &Path, log: &Log<'_>) -> Result<(), ImageError> {
        if self.kind != Kind::Docker {
            let args = ["push".to_owned(), name.to_owned(), format!("oci:{}:built", out.display())];
            return self.call("Taking over the container image", &args, log).await;
        }
        fs::create_dir_all(out).map_err(ImageError::at("Making the folder", out))?;
        let tar = out.join("image.tar");
        let args = ["save".to_owned(), "--output".to_owned(), tar.display().to_string(), name.to_owned()];
        self.call("Taking over the container image", &args, log).await?;
        unpack(&tar, out).map_err(ImageError::at("Unpacking", &tar))
    }

    async fn call(&self, what: &str, args: &[String], log: &Log<'_>) -> Result<(), ImageError> {
        let mut command = Command::new(self.kind.name());
        command.args(args).stdin(std::process::Stdio::null());
        let what = format!("{what} ({})", self.kind.name());
        let ended = run(&what, command, self.tool.seconds, Output::Logged, log).await?;
        if ended.status.success() {
            return Ok(());
        }
        Err(ImageError::Build(format!(
            "{what} failed with {}: {}. The log has all of it; arguments for the tool are given with `--builder-flag`",
            ended.status,
            ended.last_line()
        )))
    }
}

/// Docker saves a layout as a tar, since its release 25.
fn unpack(tar: &Path, out: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(io::BufReader::new(fs::File::open(tar)?));
    for entry in archive.entries()? {
        // It refuses names that lead out.
        entry?.unpack_in(out)?;
    }
    if out.join("index.json").is_file() {
        return Ok(());
    }
    Err(io::Error::other("this docker saves no OCI layout; version 25 and later do"))
}

/// Moves the blobs of another layout into ours.
fn take(layout: &Layout, from: &Path) -> Result<(Descriptor, Manifest), ImageError> {
    let index = from.join("index.json");
    let text = fs::read(&index).map_err(ImageError::at("Reading", &index))?;
    let damaged =
        |error: serde_json::Error| ImageError::Damaged { path: index.display().to_string(), why: error.to_string() };
    let index: Index = serde_json::from_slice(&text).map_err(damaged)?;
    let Some(first) = index.manifests.into_iter().next() else {
        return Err(ImageError::Build("The container tool gave no image".to_owned()));
    };
    let blob = |digest: &str| -> Result<PathBuf, ImageError> {
        let path = layout.blob(digest)?;
        Ok(from.join("blobs/sha256").join(path.file_name().unwrap_or_default()))
    };
    let path = blob(&first.digest)?;
    let bytes = fs::read(&path).map_err(ImageError::at("Reading", &path))?;
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(damaged)?;
    for part in manifest.layers.iter().chain([&manifest.config, &first]) {
        let (from, to) = (blob(&part.digest)?, layout.blob(&part.digest)?);
        fs::rename(&from, &to).map_err(ImageError::at("Moving", &from))?;
    }
    Ok((first, manifest))
}

/// A Containerfile that adds packages of the system to a base. Names that are none are refused: they would be commands.
pub(crate) fn with_packages(base: &str, packages: &[String]) -> Result<String, ImageError> {
    for name in packages {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+.-:".contains(&byte));
        if !plain || !name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric()) {
            return Err(ImageError::Build(format!(
                "`install.sh` asks for the system package `{name}`, which is no name of one"
            )));
        }
    }
    Ok(format!(
        "FROM {base}\nUSER 0\nRUN apt-get update \\\n && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {} \\\n && rm -rf /var/lib/apt/lists/*\n",
        packages.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_names_and_no_commands() {
        let names = ["r-base".to_owned(), "libc++-dev".to_owned()];
        let text = with_packages("debian:bookworm-slim", &names).unwrap();
        assert!(text.starts_with("FROM debian:bookworm-slim\n") && text.contains(" r-base libc++-dev "), "{text}");
        for wrong in ["a; rm -rf /", "-o", "$(x)", "a\nRUN x", ""] {
            assert!(with_packages("b", &[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_missing_tool_is_named() {
        struct Silent;
        impl csw_core::ports::BuildLog for Silent {
            fn write(&self, _: &str) {}
        }
        let tool = Tool { name: Some("kaniko".to_owned()), ..Tool::default() };
        let error =
            find(&tool, "The repository has a Containerfile", &Log::new(&Silent)).await.unwrap_err().to_string();
        assert!(error.contains("buildah, podman or docker") && error.contains("`kaniko`"), "{error}");
    }
}
