//! The site's own repositories, with git: looking into them, and joining branches. Serving them over HTTP is in the tests of
//! the whole server.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use csw_core::{
    ports::{ChangeKind, MergeResult, MergeWish, Repositories, RepositoryError},
    repository::RepositoryId,
};
use csw_publish::{FolderRepositories, PublishConfig};
use jiff::Timestamp;

const AT: RepositoryId = RepositoryId::Publish;

/// A repository of the site, and a working copy of it.
struct Bench {
    folder: tempfile::TempDir,
    repositories: FolderRepositories,
}

/// Runs git, which must succeed; what it says.
fn git(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"])
        .args(words)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Bench {
    async fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = PublishConfig::new(folder.path().join("data"), PathBuf::from("none"));
        let repositories = FolderRepositories::new(&config);
        repositories.begin(AT, files, Timestamp::UNIX_EPOCH).await.unwrap();
        let bench = Self { folder, repositories };
        let bare = bench.folder.path().join("data/git/publish.git").display().to_string();
        git(bench.folder.path(), &["clone", "-q", &bare, "copy"]);
        bench
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("copy")
    }

    /// Writes a file and pushes it to a branch that begins at another; its commit.
    fn push(&self, from: &str, branch: &str, path: &str, text: &[u8]) -> String {
        let copy = self.copy();
        git(&copy, &["checkout", "-q", "-B", branch, &format!("origin/{from}")]);
        let file = copy.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        git(&copy, &["add", "-A"]);
        git(&copy, &["commit", "-q", "-m", &format!("{branch} writes {path}")]);
        git(&copy, &["push", "-q", "origin", branch]);
        git(&copy, &["rev-parse", "HEAD"])
    }

    async fn tip(&self, branch: &str) -> Option<String> {
        let refs = self.repositories.refs(AT).await.unwrap();
        refs.into_iter().find(|(name, _)| *name == format!("refs/heads/{branch}")).map(|(_, commit)| commit)
    }

    async fn merge(&self, into: &str, head: &str) -> MergeResult {
        let wish = MergeWish {
            into: into.to_owned(),
            head: head.to_owned(),
            message: "Joined".to_owned(),
            name: "Ada".to_owned(),
            email: "ada@example.org".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        };
        self.repositories.merge(AT, &wish).await.unwrap()
    }
}

#[tokio::test]
async fn a_repository_begins_once_with_its_files() {
    let bench = Bench::new(&[("README.md", "hello\n"), ("config/README.md", "")]).await;
    let first = bench.tip("main").await.unwrap();
    bench.repositories.begin(AT, &[("other", "")], Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(bench.tip("main").await.unwrap(), first);
    let text = async |path: &str| bench.repositories.text(AT, &first, path).await;
    assert_eq!(text("README.md").await.unwrap().as_deref(), Some("hello\n"));
    assert_eq!(text("config/README.md").await.unwrap().as_deref(), Some(""));
    assert_eq!(text("other").await.unwrap(), None);
    assert_eq!(bench.repositories.files(AT, &first, "config").await.unwrap(), ["config/README.md"]);
}

#[tokio::test]
async fn what_a_branch_changes_is_told_with_its_lines() {
    let bench = Bench::new(&[("a", "one\n"), ("gone", "x\n")]).await;
    let first = bench.tip("main").await.unwrap();
    let copy = bench.copy();
    git(&copy, &["rm", "-q", "gone"]);
    let head = bench.push("main", "idea", "ä b", b"two\n<b>\n");
    // What the other branch has done meanwhile is no change of this one.
    let main = bench.push("main", "main", "later", b"x");
    let told = bench.repositories.compare(AT, &main, &head).await.unwrap();
    let files: Vec<_> = told.files.iter().map(|file| (file.path.as_str(), file.kind)).collect();
    assert_eq!(files, [("gone", ChangeKind::Removed), ("ä b", ChangeKind::Added)]);
    assert!(told.files[1].patch.as_deref().unwrap().contains("+two\n+<b>\n"), "{told:?}");
    assert_eq!((told.commits.len(), told.commits[0].summary.as_str()), (1, "idea writes ä b"));
    assert_eq!((told.message.as_str(), told.more_files), ("idea writes ä b", false));
    let large = bench.push("main", "large", "big", &b"line\n".repeat(300_000));
    let told = bench.repositories.compare(AT, &first, &large).await.unwrap();
    assert!(told.files.iter().any(|file| file.path == "big" && file.patch.is_none()), "{:?}", told.files.len());
    git(&copy, &["checkout", "-q", "--orphan", "alone"]);
    git(&copy, &["commit", "-q", "-m", "alone"]);
    git(&copy, &["push", "-q", "origin", "alone"]);
    let alone = bench.tip("alone").await.unwrap();
    let refused = bench.repositories.compare(AT, &first, &alone).await.unwrap_err();
    assert!(matches!(&refused, RepositoryError::Unusable { sentence } if sentence.contains("no commit in common")));
}

#[tokio::test]
async fn branches_are_joined_or_the_files_named_that_are_in_the_way() {
    let bench = Bench::new(&[("a", "one\n")]).await;
    let first = bench.tip("main").await.unwrap();
    let idea = bench.push("main", "idea", "b", b"idea\n");
    assert_eq!(bench.merge(&first, &idea).await, MergeResult::Commit(idea.clone()), "it only goes forward");
    assert_eq!(bench.merge(&idea, &first).await, MergeResult::Commit(idea.clone()), "nothing is new");
    let main = bench.push("main", "main", "c", b"main\n");
    let MergeResult::Commit(joined) = bench.merge(&main, &idea).await else { panic!("they conflict") };
    assert!(bench.repositories.contains(AT, &joined, &main).await.unwrap());
    assert!(bench.repositories.contains(AT, &joined, &idea).await.unwrap());
    assert!(!bench.repositories.contains(AT, &main, &idea).await.unwrap());
    assert_eq!(bench.tip("main").await, Some(main.clone()), "joining moves nothing");
    let tree = async |commit: &str| bench.repositories.tree(AT, commit).await.unwrap();
    assert_ne!(tree(&joined).await, tree(&idea).await);

    let clash = bench.push("idea", "clash", "c", b"other\n");
    assert_eq!(bench.merge(&main, &clash).await, MergeResult::Conflicts(vec!["c".to_owned()]));

    let repositories = &bench.repositories;
    assert!(!repositories.move_branch(AT, "main", &first, Some(&joined)).await.unwrap(), "it is elsewhere");
    assert!(repositories.move_branch(AT, "main", &main, Some(&joined)).await.unwrap());
    assert_eq!(bench.tip("main").await, Some(joined));
    assert!(repositories.move_branch(AT, "idea", &idea, None).await.unwrap());
    assert_eq!(bench.tip("idea").await, None);
}

#[tokio::test]
async fn what_is_no_text_is_not_read() {
    let bench = Bench::new(&[("a", "one\n")]).await;
    let copy = bench.copy();
    std::os::unix::fs::symlink("/etc/passwd", copy.join("link")).unwrap();
    git(&copy, &["add", "-A"]);
    git(&copy, &["commit", "-q", "-m", "link"]);
    git(&copy, &["push", "-q", "origin", "main"]);
    let head = bench.push("main", "odd", "bytes", &[0xff, 0xfe]);
    let long = bench.push("odd", "long", "long", &b"x".repeat(100_000));
    for (commit, path, says) in
        [(&head, "link", "is no file"), (&head, "bytes", "is no text"), (&long, "long", "has more than 64 kB")]
    {
        let refused = bench.repositories.text(AT, commit, path).await.unwrap_err().to_string();
        assert!(refused.contains(says), "{path}: {refused}");
    }
}
