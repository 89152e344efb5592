//! Repositories as they are after some pushes: `main`, and branches of the owner with a commit more, of which every one can
//! be joined with it. Git itself is in the tests of the whole server.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    ports::{
        ChangeKind, CommitLine, Comparison, FileChange, GitAnswer, GitRequest, GitService, MergeResult, MergeWish,
        RefChange, Repositories, RepositoryError,
    },
    repository::RepositoryId,
};
use futures::StreamExt;
use jiff::Timestamp;

/// Branches that can be proposed.
const IDEAS: u32 = 200;

/// The file that each of them changes in the publish repository.
const CONFIG: &str = "config/owner/Model.yaml";

type Names = BTreeMap<String, String>;

/// Repositories in memory. Every push puts one commit on `main`.
#[derive(Default)]
pub(crate) struct Pushed {
    moved: Mutex<BTreeMap<RepositoryId, Names>>,
    taken: AtomicU32,
}

impl Pushed {
    /// A branch that nobody has proposed yet.
    pub(crate) fn idea(&self) -> String {
        format!("owner/idea-{}", self.taken.fetch_add(1, Ordering::Relaxed))
    }

    /// What is pushed to a branch.
    pub(crate) fn push(&self, at: RepositoryId, branch: &str, commit: &str) {
        self.names(at, |names| names.insert(branch.to_owned(), commit.to_owned()));
    }

    /// Where a branch is.
    pub(crate) fn tip(&self, at: RepositoryId, branch: &str) -> Option<String> {
        self.names(at, |names| names.get(branch).cloned())
    }

    fn names<T>(&self, at: RepositoryId, with: impl FnOnce(&mut Names) -> T) -> T {
        let mut all = self.moved.lock().unwrap();
        with(all.entry(at).or_insert_with(|| {
            let ideas = (0..IDEAS).map(|n| (format!("owner/idea-{n}"), format!("1dea{n:04}")));
            ideas.chain([("main".to_owned(), "c0ffee".to_owned())]).collect()
        }))
    }
}

#[async_trait]
impl Repositories for Pushed {
    async fn serve(&self, _: RepositoryId, request: GitRequest) -> Result<GitAnswer, RepositoryError> {
        let pushed = request.service == GitService::ReceivePack && !request.advertise;
        let change = RefChange { name: "refs/heads/main".to_owned(), commit: Some("c0ffee".to_owned()) };
        let note = Bytes::from(format!("{}\n{}", request.note, request.only.join("\n")));
        Ok(GitAnswer {
            status: 200,
            headers: vec![("Content-Type".to_owned(), format!("application/x-{}-result", request.service.as_str()))],
            body: futures::stream::once(async { Ok(note) }).boxed(),
            changed: if pushed { vec![change] } else { Vec::new() },
            options: Vec::new(),
        })
    }

    async fn refs(&self, at: RepositoryId) -> Result<Vec<(String, String)>, RepositoryError> {
        let full = |(name, commit): (&String, &String)| (format!("refs/heads/{name}"), commit.clone());
        Ok(self.names(at, |names| names.iter().map(full).collect()))
    }

    async fn begin(&self, _: RepositoryId, _: &[(&str, &str)], _: Timestamp) -> Result<(), RepositoryError> {
        Ok(())
    }

    async fn compare(&self, _: RepositoryId, into: &str, head: &str) -> Result<Comparison, RepositoryError> {
        if into == head {
            return Ok(Comparison::default());
        }
        let commit = CommitLine {
            id: head.to_owned(),
            author: "Ada".to_owned(),
            at: None,
            summary: "A <b>better</b> idea".to_owned(),
        };
        let patch = "diff --git a/x b/x\n@@ -1 +1 @@\n-old\n+<script>alert(1)</script>\n".to_owned();
        let file = FileChange { path: CONFIG.to_owned(), kind: ChangeKind::Changed, patch: Some(patch) };
        let message = commit.summary.clone();
        Ok(Comparison { commits: vec![commit], message, files: vec![file], more_files: false })
    }

    async fn files(&self, _: RepositoryId, _: &str, _: &str) -> Result<Vec<String>, RepositoryError> {
        Ok(vec![CONFIG.to_owned()])
    }

    async fn text(&self, _: RepositoryId, _: &str, path: &str) -> Result<Option<String>, RepositoryError> {
        let text = "owner: owner\ntitle: Model\nresources:\n  cpu: 1.5\n";
        Ok((path == CONFIG).then(|| text.to_owned()))
    }

    async fn tree(&self, _: RepositoryId, commit: &str) -> Result<String, RepositoryError> {
        Ok(commit.to_owned())
    }

    async fn contains(&self, _: RepositoryId, commit: &str, behind: &str) -> Result<bool, RepositoryError> {
        Ok(commit == behind)
    }

    async fn merge(&self, _: RepositoryId, wish: &MergeWish) -> Result<MergeResult, RepositoryError> {
        Ok(MergeResult::Commit(wish.head.clone()))
    }

    async fn move_branch(
        &self,
        at: RepositoryId,
        branch: &str,
        from: &str,
        to: Option<&str>,
    ) -> Result<bool, RepositoryError> {
        Ok(self.names(at, |names| {
            if names.get(branch).map(String::as_str) != Some(from) {
                return false;
            }
            match to {
                Some(to) => names.insert(branch.to_owned(), to.to_owned()),
                None => names.remove(branch),
            };
            true
        }))
    }
}
