//! Pull requests: lists of them, one with what it changes, and a form for a new one. The same pages for a model's repository
//! and for the one that all models are published from.

use askama::Template;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use csw_app::{AppError, CheckView, MergeChoices, NewPull, PullChanges, PullView, RepositoryView};
use csw_core::{
    ports::{ChangeKind, CommitLine, FileChange},
    pull::{CheckState, PullState},
};
use serde::Deserialize;

use super::{
    lists::{Pager, part},
    model::{ModelHead, Tab},
    page::{Page, PageError, PageResult, go, sentence, show},
    render::{first_line, markdown, when},
    visitor::{Fields, Place, Visitor},
};

/// Pull requests on a page.
const SIZE: u32 = 20;

/// Lines of a file's changes that a page shows.
const LINES: usize = 1_000;

/// What the path names; without a model it is the publish repository.
#[derive(Deserialize)]
pub(crate) struct At {
    owner: Option<String>,
    title: Option<String>,
    number: Option<u32>,
}

impl At {
    async fn repository(&self, visitor: &Visitor) -> Result<RepositoryView, PageError> {
        visitor.take(match (&self.owner, &self.title) {
            (Some(owner), Some(title)) => visitor.app.reviewed_repository(&visitor.caller, owner, title).await,
            _ => visitor.app.publish_repository(&visitor.caller).await,
        })
    }

    fn number(&self) -> u32 {
        self.number.unwrap_or_default()
    }
}

fn head(visitor: &Visitor, repository: &RepositoryView) -> Option<ModelHead> {
    repository.model().map(|view| ModelHead::new(visitor, view, Tab::Pulls))
}

#[derive(Template)]
#[template(path = "pulls.html")]
struct PullsPage {
    page: Page,
    head: Option<ModelHead>,
    name: String,
    open: bool,
    pulls: Vec<PullLine>,
    pager: Option<Pager>,
}

#[derive(Template)]
#[template(path = "pull_new.html")]
struct NewPage {
    page: Page,
    head: Option<ModelHead>,
    name: String,
    branches: Vec<String>,
    branch: String,
    title: String,
    body: String,
    problems: Vec<String>,
}

#[derive(Template)]
#[template(path = "pull.html")]
struct PullPage {
    page: Page,
    head: Option<ModelHead>,
    name: String,
    url: String,
    pull: PullLine,
    body: String,
    source: String,
    message: String,
    merged_by: Option<String>,
    problem: String,
    passed: bool,
    skip_tests: bool,
    is_open: bool,
    is_closed: bool,
    may_edit: bool,
    may_change: bool,
    may_merge: bool,
    may_merge_anyway: bool,
    /// Whether something is to be found out yet.
    busy: bool,
    /// What tells of the build that is at work, and what it is at.
    events: Option<String>,
    working: String,
    commits: Vec<Commit>,
    files: Vec<File>,
    more_files: bool,
}

struct PullLine {
    number: u32,
    title: String,
    author: String,
    when: String,
    branch: String,
    into: String,
    state: &'static str,
    tone: &'static str,
    checks: Vec<CheckLine>,
}

impl PullLine {
    fn of(view: &PullView) -> Self {
        let pull = &view.pull;
        Self {
            number: pull.number,
            title: pull.title.clone(),
            author: pull.author_name.clone(),
            when: when(pull.created_at),
            branch: pull.branch.clone(),
            into: pull.into.clone(),
            state: pull.state.as_str(),
            tone: match pull.state {
                PullState::Open => "",
                PullState::Merging => "busy",
                PullState::Merged => "good",
                PullState::Closed => "warn",
            },
            checks: view.checks.iter().map(CheckLine::of).collect(),
        }
    }
}

struct CheckLine {
    name: String,
    state: &'static str,
    tone: &'static str,
    message: String,
    url: Option<String>,
    /// The version that can be tried.
    staged: Option<String>,
}

impl CheckLine {
    fn of(view: &CheckView) -> Self {
        let build = view.build.as_ref();
        Self {
            name: view.check.name.clone(),
            state: view.state.as_str(),
            tone: match view.state {
                CheckState::Waiting | CheckState::Running => "busy",
                CheckState::Passed => "good",
                CheckState::Failed => "bad",
            },
            message: first_line(view.sentence()),
            url: build.map(|build| format!("/{}/builds/{}/", view.check.name, build.id)),
            staged: build.and_then(|build| build.version).map(|id| id.to_string()),
        }
    }
}

struct Commit {
    id: String,
    summary: String,
    author: String,
    when: String,
}

impl Commit {
    fn of(commit: &CommitLine) -> Self {
        Self {
            id: commit.id.chars().take(12).collect(),
            summary: commit.summary.clone(),
            author: commit.author.clone(),
            when: commit.at.map(when).unwrap_or_default(),
        }
    }
}

struct File {
    path: String,
    change: &'static str,
    tone: &'static str,
    lines: Vec<PatchLine>,
}

struct PatchLine {
    text: String,
    tone: &'static str,
}

impl File {
    fn of(file: &FileChange) -> Self {
        // What git says before the first place that differs is told by the heading.
        let lines = file.patch.as_deref().unwrap_or_default().lines().skip_while(|line| !line.starts_with("@@"));
        let line = |text: &str| PatchLine {
            tone: match text.as_bytes().first() {
                Some(b'+') => "added",
                Some(b'-') => "removed",
                Some(b'@') => "place",
                _ => "",
            },
            text: text.to_owned(),
        };
        Self {
            path: file.path.clone(),
            change: file.kind.as_str(),
            tone: match file.kind {
                ChangeKind::Added => "good",
                ChangeKind::Changed => "",
                ChangeKind::Removed => "bad",
            },
            lines: lines.take(LINES).map(line).collect(),
        }
    }
}

pub(crate) async fn list(visitor: Visitor, Place(at): Place<At>) -> PageResult {
    let repository = at.repository(&visitor).await?;
    let open = visitor.asked("state") != "closed";
    let part = part(&visitor, SIZE);
    let found = visitor.take(visitor.app.pulls(&visitor.caller, &repository, open, part).await)?;
    Ok(show(&PullsPage {
        page: visitor.page(),
        head: head(&visitor, &repository),
        name: repository.name(),
        open,
        pulls: found.items.iter().map(PullLine::of).collect(),
        pager: Pager::new(&visitor, part, found.total),
    }))
}

async fn new_page(visitor: &Visitor, repository: &RepositoryView, sent: &NewPull, problems: Vec<String>) -> PageResult {
    let branches = visitor.app.proposable_branches(&visitor.caller, repository).await;
    Ok(show(&NewPage {
        page: visitor.page(),
        head: head(visitor, repository),
        name: repository.name(),
        branches: visitor.take(branches)?,
        branch: sent.branch.clone(),
        title: sent.title.clone(),
        body: sent.body.clone(),
        problems,
    }))
}

pub(crate) async fn new_form(visitor: Visitor, Place(at): Place<At>) -> PageResult {
    let repository = at.repository(&visitor).await?;
    let asked = NewPull { branch: visitor.asked("branch").to_owned(), ..NewPull::default() };
    new_page(&visitor, &repository, &asked, Vec::new()).await
}

pub(crate) async fn open(visitor: Visitor, Place(at): Place<At>, sent: Fields) -> PageResult {
    let repository = at.repository(&visitor).await?;
    let [branch, title, body] = ["branch", "title", "body"].map(|name| sent.get(name).to_owned());
    let new = NewPull { branch, title, body };
    match visitor.app.open_pull(&visitor.caller, &repository, new.clone()).await {
        Ok(view) => Ok(go(&format!("/{}/pulls/{}/", repository.name(), view.pull.number))),
        Err(error @ (AppError::Invalid { .. } | AppError::Conflict { .. } | AppError::TooMany { .. })) => {
            new_page(&visitor, &repository, &new, vec![error.sentence()]).await
        }
        Err(error) => Err(visitor.fail(error)),
    }
}

pub(crate) async fn pull(visitor: Visitor, Place(at): Place<At>) -> PageResult {
    let repository = at.repository(&visitor).await?;
    let view = visitor.take(visitor.app.pull(&visitor.caller, &repository, at.number()).await)?;
    Ok(pull_page(&visitor, &repository, &view, String::new()))
}

fn pull_page(visitor: &Visitor, repository: &RepositoryView, view: &PullView, problem: String) -> Response {
    let (pull, name) = (&view.pull, repository.name());
    let mut at_work =
        view.checks.iter().filter(|check| matches!(check.state, CheckState::Waiting | CheckState::Running)).peekable();
    let busy = at_work.peek().is_some();
    let build = at_work.find_map(|check| Some((&check.check.name, check.build.as_ref()?)));
    let found = view.comparison.as_ref();
    let is_closed = pull.state == PullState::Closed;
    show(&PullPage {
        page: visitor.page(),
        head: head(visitor, repository),
        url: format!("/{name}/pulls/{}/", pull.number),
        name,
        pull: PullLine::of(view),
        body: markdown(&pull.body),
        source: pull.body.clone(),
        message: pull.outcome.clone().unwrap_or_default(),
        merged_by: view.merged_by.clone(),
        problem,
        passed: view.passed(),
        skip_tests: pull.skip_tests,
        is_open: pull.state == PullState::Open,
        is_closed,
        may_edit: view.may_change && (is_closed || pull.state == PullState::Open),
        may_change: view.may_change,
        may_merge: view.may_merge,
        may_merge_anyway: view.may_merge_anyway,
        busy,
        events: build.map(|(model, build)| format!("/publish/api/{model}/builds/{}/events/", build.id)),
        working: build.map(|(model, build)| format!("{model}: {}", build.stage.as_str())).unwrap_or_default(),
        commits: found.map(|found| found.commits.iter().map(Commit::of).collect()).unwrap_or_default(),
        files: found.map(|found| found.files.iter().map(File::of).collect()).unwrap_or_default(),
        more_files: found.is_some_and(|found| found.more_files),
    })
}

/// Back to the page of a pull request, which says what is in the way of what was asked.
async fn after(
    visitor: &Visitor,
    at: &At,
    repository: &RepositoryView,
    done: Result<PullView, AppError>,
) -> PageResult {
    match done {
        Ok(view) => Ok(go(&format!("/{}/pulls/{}/", repository.name(), view.pull.number))),
        Err(error @ (AppError::Conflict { .. } | AppError::Invalid { .. })) => {
            let view = visitor.take(visitor.app.pull(&visitor.caller, repository, at.number()).await)?;
            let page = pull_page(visitor, repository, &view, sentence(&error));
            Ok((StatusCode::CONFLICT, page).into_response())
        }
        Err(error) => Err(visitor.fail(error)),
    }
}

pub(crate) async fn merge(visitor: Visitor, Place(at): Place<At>, sent: Fields) -> PageResult {
    let repository = at.repository(&visitor).await?;
    let choices = MergeChoices { anyway: sent.is_set("anyway"), delete_branch: sent.is_set("delete_branch") };
    let done = visitor.app.merge_pull(&visitor.caller, &repository, at.number(), choices).await;
    after(&visitor, &at, &repository, done).await
}

async fn change(visitor: Visitor, at: At, changes: PullChanges) -> PageResult {
    let repository = at.repository(&visitor).await?;
    let done = visitor.app.change_pull(&visitor.caller, &repository, at.number(), changes).await;
    after(&visitor, &at, &repository, done).await
}

pub(crate) async fn edit(visitor: Visitor, Place(at): Place<At>, sent: Fields) -> PageResult {
    let [title, body] = ["title", "body"].map(|name| Some(sent.get(name).to_owned()));
    change(visitor, at, PullChanges { title, body, open: None }).await
}

pub(crate) async fn close(visitor: Visitor, Place(at): Place<At>) -> PageResult {
    change(visitor, at, PullChanges { open: Some(false), ..PullChanges::default() }).await
}

pub(crate) async fn reopen(visitor: Visitor, Place(at): Place<At>) -> PageResult {
    change(visitor, at, PullChanges { open: Some(true), ..PullChanges::default() }).await
}

pub(crate) async fn check(visitor: Visitor, Place(at): Place<At>) -> PageResult {
    let repository = at.repository(&visitor).await?;
    let done = visitor.app.check_pull(&visitor.caller, &repository, at.number()).await;
    after(&visitor, &at, &repository, done).await
}
