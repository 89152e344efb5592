//! Pull requests.

use csw_app::{CheckView, PullView, RepositoryView};
use csw_core::ports::{CommitLine, Comparison, FileChange};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// How one model stands that a pull request changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckBody {
    /// The model, or the file that should be about one.
    model: String,
    /// `waiting`, `running`, `passed` or `failed`.
    state: &'static str,
    /// What came of it, or what is wrong and what to do.
    message: String,
    /// Identifier of the build that tells.
    build: Option<String>,
    /// Page of that build, with its log as it grows.
    url: Option<String>,
    /// Identifier of the version that is staged.
    version: Option<String>,
}

impl CheckBody {
    fn of(view: &CheckView) -> Self {
        let build = view.build.as_ref();
        Self {
            model: view.check.name.clone(),
            state: view.state.as_str(),
            message: view.sentence().to_owned(),
            url: build.map(|build| format!("/{}/builds/{}/", view.check.name, build.id)),
            build: build.map(|build| build.id.to_string()),
            version: build.and_then(|build| build.version).map(|id| id.to_string()),
        }
    }
}

/// A commit that is proposed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommitBody {
    /// Its full name.
    id: String,
    /// Who wrote it, as they say.
    author: String,
    /// When, as they say.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// The first line of its message.
    summary: String,
}

impl CommitBody {
    fn of(commit: &CommitLine) -> Self {
        let CommitLine { id, author, at, summary } = commit.clone();
        Self { id, author, at, summary }
    }
}

/// A file that is different.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileBody {
    /// Its place in the repository.
    path: String,
    /// `added`, `changed` or `removed`.
    change: &'static str,
    /// The lines that differ, as git shows them; null where that is too much.
    patch: Option<String>,
}

impl FileBody {
    fn of(file: &FileChange) -> Self {
        Self { path: file.path.clone(), change: file.kind.as_str(), patch: file.patch.clone() }
    }
}

/// A wish to merge a branch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PullBody {
    /// Its number in the repository.
    number: u32,
    /// Its page.
    url: String,
    /// Its own URL in the API.
    api_url: String,
    /// The model whose repository it is in, or `publish`.
    repository: String,
    /// Its title.
    title: String,
    /// Markdown.
    body: String,
    /// Who opened it.
    author: String,
    /// The branch that is to be merged.
    branch: String,
    /// The branch that it is to be merged into.
    into: String,
    /// The commit that is proposed.
    head: String,
    /// `open`, `merging`, `merged` or `closed`.
    state: &'static str,
    /// Of that commit.
    checks: Vec<CheckBody>,
    /// Whether all checks have passed.
    passed: bool,
    /// Whether the models' own tests are left out, as was asked.
    skip_tests: bool,
    /// Whether the caller may merge it once its checks have passed; false in lists.
    may_merge: bool,
    /// Whether the caller may merge it before; false in lists.
    may_merge_anyway: bool,
    /// The commit that joined both branches.
    merge_commit: Option<String>,
    /// Who merged it.
    merged_by: Option<String>,
    /// What came of it.
    message: Option<String>,
    /// Its commits, newest first; null in lists, and where they are gone.
    commits: Option<Vec<CommitBody>>,
    /// What it changes; null in lists, and where its commits are gone.
    files: Option<Vec<FileBody>>,
    /// Whether there are more files.
    more_files: bool,
    /// When it was opened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it changed.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When it was merged or closed.
    #[schema(value_type = Option<String>, format = DateTime)]
    closed_at: Option<Timestamp>,
}

impl PullBody {
    /// One of this repository.
    pub(crate) fn of(repository: &RepositoryView, view: PullView) -> Self {
        let (passed, name) = (view.passed(), repository.name());
        let (number, pull) = (view.pull.number, view.pull);
        let list = |found: &Comparison| found.files.iter().map(FileBody::of).collect();
        Self {
            number,
            url: format!("/{name}/pulls/{number}/"),
            api_url: format!("/{name}/api/v1/pulls/{number}/"),
            repository: name,
            title: pull.title,
            body: pull.body,
            author: pull.author_name,
            branch: pull.branch,
            into: pull.into,
            head: pull.head,
            state: pull.state.as_str(),
            checks: view.checks.iter().map(CheckBody::of).collect(),
            passed,
            skip_tests: pull.skip_tests,
            may_merge: view.may_merge,
            may_merge_anyway: view.may_merge_anyway,
            merge_commit: pull.merge.map(|merge| merge.commit),
            merged_by: view.merged_by,
            message: pull.outcome,
            commits: view.comparison.as_ref().map(|found| found.commits.iter().map(CommitBody::of).collect()),
            files: view.comparison.as_ref().map(list),
            more_files: view.comparison.is_some_and(|found| found.more_files),
            created_at: pull.created_at,
            updated_at: pull.updated_at,
            closed_at: pull.closed_at,
        }
    }
}
