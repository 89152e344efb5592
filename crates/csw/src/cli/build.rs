//! What authors and their CI machines build, test and push with, and the services of a cluster.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The source of a model, and where its environment is kept.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// The model's folder, or the URL of its repository
    #[arg(long, value_name = "PATH_OR_URL", default_value = ".")]
    pub(crate) repo: String,
    /// Branch, tag or commit of that repository
    #[arg(long, value_name = "REF")]
    pub(crate) reference: Option<String>,
    /// Resolve packages as they were at this date
    #[arg(long, value_name = "DATE")]
    pub(crate) as_of: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Make an OCI image of the version
    #[arg(long)]
    pub(crate) image: bool,
    /// Name of the image among those of the model [default: first digits of the commit]
    #[arg(long, env = "TAG", value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// Image to stand on, such as debian:bookworm-slim [default: none, the image brings all it needs]
    #[arg(long, env = "CSW_IMAGE_BASE", value_name = "IMAGE")]
    pub(crate) base: Option<String>,
    /// Folder of images, an OCI image layout [default: csw-images/layout in the user's cache folder]
    #[arg(long, env = "CSW_IMAGES", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Where environments are kept between builds [default: csw-images/data in the user's cache folder]
    #[arg(long, env = "CSW_IMAGE_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Speak to registries of bases without encryption
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Tool for builds that need a container: buildah, podman or docker [default: the first that works]
    #[arg(long, env = "CSW_BUILDER", value_name = "TOOL")]
    pub(crate) builder: Option<String>,
    /// A further argument of its `build`, such as --isolation=chroot; may be repeated
    #[arg(long, env = "CSW_BUILDER_FLAGS", value_name = "FLAG", value_delimiter = ' ', allow_hyphen_values = true)]
    pub(crate) builder_flag: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Where environments are kept between checks [default: csw-check in the user's cache folder]
    #[arg(long, env = "CSW_CHECK_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Registry and path for images, such as ghcr.io/my-name [default: gcr.io/$PROJECT where PROJECT is set]
    #[arg(long, env = "CSW_REGISTRY", value_name = "HOST/PREFIX")]
    pub(crate) registry: Option<String>,
    /// The image: its tag when it was built [default: the newest one of the model]
    #[arg(long, env = "TAG", value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// Another tag for it in the registry
    #[arg(long = "as", value_name = "TAG")]
    pub(crate) as_tag: Option<String>,
    /// Folder of images [default: csw-images/layout in the user's cache folder]
    #[arg(long, env = "CSW_IMAGES", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// User of the registry [default: as `docker login` or `podman login` left it]
    #[arg(long, env = "CSW_REGISTRY_USER", value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Project of a cloud, whose registry is used where none is named
    #[arg(long, env = "PROJECT", value_name = "PROJECT")]
    pub(crate) project: Option<String>,
    /// Speak to the registry without encryption
    #[arg(long)]
    pub(crate) insecure: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum Services {
    /// Make the images of the services
    Build,
    /// Send the images of the services to a registry
    Push,
    /// Write the manifests of the services for a cluster
    Config,
    /// Serve the services of a cluster
    Serve,
}
