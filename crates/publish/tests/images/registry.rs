//! The registry server of Debian's package `docker-registry`, on a free port.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use csw_publish::image::{Credentials, Place};
use serde_json::Value;

use crate::tools::tool;

/// `me:s3cret`, as htpasswd writes it.
const HTPASSWD: &str = "me:$2b$05$Fes/d7HPu5Hd6IRVXDhvc.YbLS.RhnKGlzzMy55WX74Qo4YnrQ4HG\n";

pub(crate) struct Registry {
    server: Option<Child>,
    address: String,
    folder: PathBuf,
    pub(crate) password: String,
}

impl Registry {
    /// Starts it; with `closed`, it asks for a name and a password.
    pub(crate) fn start(folder: &Path, closed: bool) -> Self {
        fs::create_dir_all(folder).unwrap();
        let port = csw_testing::free_address().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let users = folder.join("htpasswd");
        fs::write(&users, HTPASSWD).unwrap();
        let auth = format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", users.display());
        let settings = format!(
            "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n  secret: tests\n{}",
            folder.join("storage").display(),
            if closed { auth.as_str() } else { "" },
        );
        let file = folder.join("config.yml");
        fs::write(&file, settings).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let server = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { server: Some(server), address, folder: folder.to_owned(), password: "s3cret".to_owned() };
        let start = Instant::now();
        while TcpStream::connect(&registry.address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "{}", registry.log());
            std::thread::sleep(Duration::from_millis(30));
        }
        registry
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn place(&self) -> Place {
        Place::parse(&format!("{}/studio", self.address)).unwrap()
    }

    pub(crate) fn credentials(&self) -> Credentials {
        Credentials { user: "me".to_owned(), password: self.password.clone() }
    }

    pub(crate) fn login(&self) -> String {
        format!("me:{}", self.password)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// What skopeo sees of an image.
    pub(crate) fn inspect(&self, image: &str) -> Value {
        let (login, image) = (self.login(), format!("docker://{image}"));
        let text = tool("skopeo", &["inspect", "--tls-verify=false", "--creds", &login, &image]);
        serde_json::from_str(&text).unwrap()
    }

    /// Makes a base of this machine's C library, shell and the given programs, and has skopeo push it.
    pub(crate) fn push_base(&self, place: &Path, programs: &[(&str, &str)]) -> String {
        let root = place.join("root");
        for folder in ["usr/bin", "usr/lib", "usr/lib64", "etc", "tmp", "root"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
        for (link, target) in [("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        let shell = Path::new("/bin/sh").canonicalize().unwrap();
        fs::copy(&shell, root.join("usr/bin/sh")).unwrap();
        fs::copy("/bin/mkdir", root.join("usr/bin/mkdir")).unwrap();
        for file in libraries(&["/bin/sh", "/bin/mkdir", "/usr/bin/python3"]) {
            let real = file.parent().unwrap().canonicalize().unwrap();
            let to = root.join(real.strip_prefix("/").unwrap());
            fs::create_dir_all(&to).unwrap();
            fs::copy(file.canonicalize().unwrap(), to.join(file.file_name().unwrap())).unwrap();
        }
        for (name, text) in programs {
            fs::write(root.join(name), text).unwrap();
            fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let tar = place.join("base.tar");
        tool("tar", &["-C", &root.display().to_string(), "-cf", &tar.display().to_string(), "."]);
        let layout = layout_of(&place.join("oci"), &fs::read(&tar).unwrap());
        let image = format!("{}/base/debian:1", self.address);
        tool(
            "skopeo",
            &[
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
                "--dest-creds",
                &self.login(),
                &format!("oci:{}:base", layout.display()),
                &format!("docker://{image}"),
            ],
        );
        image
    }
}

/// What these programs are linked against, by the loader's own word.
fn libraries(programs: &[&str]) -> Vec<PathBuf> {
    let listed = tool("ldd", programs);
    let path = |line: &str| {
        let word = line.split_whitespace().find(|word| word.starts_with('/') && !word.ends_with(':'))?;
        Some(PathBuf::from(word))
    };
    let found: BTreeSet<PathBuf> = listed.lines().filter_map(path).collect();
    found.into_iter().collect()
}

/// An image layout with one layer.
fn layout_of(folder: &Path, tar: &[u8]) -> PathBuf {
    use sha2::{Digest, Sha256};
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8], kind: &str| {
        let hex = hex::encode(Sha256::digest(bytes));
        fs::write(blobs.join(&hex), bytes).unwrap();
        serde_json::json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": format!("sha256:{hex}"), "size": bytes.len(),
        })
    };
    let layer = put(tar, "layer.v1.tar");
    let config = serde_json::json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        "config": { "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", "OF_BASE=yes"], "Cmd": ["sh"] },
        "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
    });
    let config = put(config.to_string().as_bytes(), "config.v1+json");
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": [layer],
    });
    let mut manifest = put(manifest.to_string().as_bytes(), "manifest.v1+json");
    manifest["annotations"] = serde_json::json!({ "org.opencontainers.image.ref.name": "base" });
    let index = serde_json::json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    folder.to_owned()
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
        // Container tools keep the bases they have read; those of this registry are of no use any more.
        let Ok(listed) = Command::new("buildah").args(["images", "--format", "{{.Name}}:{{.Tag}}"]).output() else {
            return;
        };
        for image in String::from_utf8_lossy(&listed.stdout).lines().filter(|name| name.starts_with(&self.address)) {
            let _ = Command::new("buildah").args(["rmi", image]).output();
        }
    }
}
