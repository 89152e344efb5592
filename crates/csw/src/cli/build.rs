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

/// Where images are made, and with what.
#[derive(Debug, Args)]
pub(crate) struct Container {
    /// Folder of images, an OCI image layout [default: csw-images/layout in the user's cache folder]
    #[arg(long, env = "CSW_IMAGES", value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
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
    /// Where environments are kept between builds [default: csw-images/data in the user's cache folder]
    #[arg(long, env = "CSW_IMAGE_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) container: Container,
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

#[derive(Debug, Subcommand)]
pub(crate) enum Services {
    /// Make the image of the services: csw, uv and what they need
    Build(ServiceBuild),
    /// Send the image of the services to a registry
    Push(Push),
    /// Write the manifests of a site for a cluster
    Config(Box<Manifests>),
    /// Bring a site of a cluster to a port of this machine, with kubectl
    Serve(Serve),
    /// Make the users of Redis: what each may do, and nothing else
    RedisAcl(RedisAcl),
    /// Remove finished Jobs, for clusters that do not do so themselves
    CleanupJobs(CleanupJobs),
}

#[derive(Debug, Args)]
pub(crate) struct ServiceBuild {
    /// Name of the image [default: the version of this program]
    #[arg(long, env = "TAG", value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// Image to stand on: Debian or Ubuntu, with the Python that models get
    #[arg(long, env = "CSW_IMAGE_BASE", value_name = "IMAGE")]
    pub(crate) base: Option<String>,
    /// Bring a Chromium too, for `csw thumbnails`
    #[arg(long)]
    pub(crate) thumbnails: bool,
    #[command(flatten)]
    pub(crate) container: Container,
}

#[derive(Debug, Args)]
pub(crate) struct Manifests {
    /// File for all of them; - is stdout
    #[arg(short, long, value_name = "FILE", default_value = "-", conflicts_with = "out")]
    pub(crate) output: PathBuf,
    /// Folder for them, a file for each
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Namespace of the site [default: `kubernetes.namespace` of the settings, or csw]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Image of the server: what `csw svc push` printed [default: `kubernetes.image` of the settings]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// Where browsers find the site [default: `public_url` of the settings]
    #[arg(long, env = "CSW_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// Let the cluster's Ingress serve the site at the host of its public URL
    #[arg(long)]
    pub(crate) ingress: bool,
    /// Class of the Ingress [default: that of the cluster]
    #[arg(long, value_name = "CLASS", requires = "ingress")]
    pub(crate) ingress_class: Option<String>,
    /// Secret of the namespace with the certificate of the site
    #[arg(long, value_name = "SECRET", requires = "ingress")]
    pub(crate) certificate: Option<String>,
    /// Class of the volume, which many nodes must be able to mount at once [default: that of the cluster]
    #[arg(long, value_name = "CLASS")]
    pub(crate) storage_class: Option<String>,
    /// Size of the volume
    #[arg(long, value_name = "GB", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) storage_gigabytes: u32,
    /// CPUs that the server is promised
    #[arg(long, value_name = "N", default_value_t = 2.0, value_parser = positive)]
    pub(crate) cpus: f64,
    /// Memory of the server, which builds and tests models
    #[arg(long, value_name = "GB", default_value_t = 8.0, value_parser = positive)]
    pub(crate) memory_gigabytes: f64,
    /// A label of the nodes that the server may run on, LABEL=VALUE; may be repeated
    #[arg(long, value_name = "LABEL=VALUE")]
    pub(crate) node_selector: Vec<String>,
    /// Make it several services: so many processes for pages, one scheduler, and an outputs processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) webapps: Option<u32>,
    /// Processes for outputs on their way
    #[arg(long, value_name = "N", default_value_t = 2, requires = "webapps", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) outputs: u32,
    /// Image of a Redis of the site's own, such as docker.io/library/redis:7 [default: `redis.url`, or none]
    #[arg(long, value_name = "IMAGE", requires = "webapps")]
    pub(crate) redis_image: Option<String>,
    /// Draw thumbnails in a process of its own, which this image is for: `csw svc build --thumbnails`
    #[arg(long, value_name = "IMAGE", requires = "webapps")]
    pub(crate) thumbnails_image: Option<String>,
    /// Remove finished Jobs every 30 minutes: for clusters without the TTL controller
    #[arg(long)]
    pub(crate) job_cleanup: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Namespace of the site [default: `kubernetes.namespace` of the settings, or csw]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Port of this machine
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) port: u16,
}

#[derive(Debug, Args)]
pub(crate) struct RedisAcl {
    /// Write them into a file that Redis reads as `aclfile`, instead of asking one that runs; - is stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CleanupJobs {
    /// Namespace of the Jobs [default: `kubernetes.namespace` of the settings, or csw]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// The site whose Jobs they are
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) site: String,
    /// Those that ended less than so many seconds ago stay
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) older_than: u32,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("write a number above 0".to_owned()),
    }
}
