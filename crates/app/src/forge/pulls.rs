//! Pull requests: opening, changing and looking at them, and what a push does to them.

use csw_core::{
    access::Caller,
    ids::{AccountId, PullId},
    page::{Page, PageRequest},
    ports::RepositoryError,
    pull::{Check, Pull, PullState},
    repository::RepositoryId,
};

use super::{
    Branches, RepositoryView, published_among, published_branch,
    views::{PullView, may_change},
};
use crate::{
    App,
    access_rules::{active, refused, writer},
    error::{AppError, AppResult},
    new_id,
};

/// Characters of a title.
const TITLE: usize = 200;

/// Characters of what is said below it.
const BODY: usize = 10_000;

/// How often a change is tried again that another one came before.
const TRIES: u32 = 3;

const BRANCH_GONE: &str = "Closed: its branch was deleted.";

/// A pull request to be opened.
#[derive(Debug, Clone, Default)]
pub struct NewPull {
    /// The branch to be merged.
    pub branch: String,
    /// Its title; the first line of its newest commit's message where there is none.
    pub title: String,
    /// Markdown.
    pub body: String,
}

/// What changes about a pull request.
#[derive(Debug, Clone, Default)]
pub struct PullChanges {
    /// Its title.
    pub title: Option<String>,
    /// What is said below it.
    pub body: Option<String>,
    /// Whether it is open; opening it again begins its checks anew.
    pub open: Option<bool>,
}

impl App {
    /// Opens the pull request of a branch. Where the branch has an open one, that is returned as it is.
    pub async fn open_pull(&self, caller: &Caller, repository: &RepositoryView, new: NewPull) -> AppResult<PullView> {
        let author = self.proposer(caller, repository, &new.branch).await?;
        self.inner.submission_limit.check(&author)?;
        let branches = self.branches(repository.id()).await?;
        let head = branches.tip(&new.branch).ok_or_else(|| no_branch(&branches, &new.branch))?.to_owned();
        if let Some(there) = self.store().open_pull(repository.id(), &new.branch).await? {
            return self.viewed(caller, repository, there).await;
        }
        let into = target(repository, &branches)?;
        let tip = branches.tip(&into).unwrap_or_default();
        let comparison = self.inner.ports.repositories.compare(repository.id(), tip, &head).await?;
        if comparison.commits.is_empty() {
            return Err(AppError::field("branch", format!("{} has nothing that {into} has not.", new.branch)));
        }
        if repository.id() == RepositoryId::Publish {
            for (name, _) in
                self.touched(&head, &comparison).await?.models.iter().filter_map(|one| one.said.as_ref().ok())
            {
                self.proposable(caller, name).await?;
            }
        }
        let title = match new.title.trim() {
            "" => comparison.commits[0].summary.chars().take(TITLE).collect(),
            given => given.to_owned(),
        };
        let mut pull = Pull {
            id: new_id!(self, PullId),
            repository: repository.id(),
            number: 0,
            author,
            author_name: String::new(),
            title: titled(title)?,
            body: described(new.body)?,
            branch: new.branch,
            into,
            head,
            state: PullState::Open,
            checks: vec![],
            skip_tests: false,
            merge: None,
            outcome: None,
            revision: 1,
            created_at: self.now(),
            updated_at: self.now(),
            closed_at: None,
        };
        self.account(author).await?.name.as_str().clone_into(&mut pull.author_name);
        let wanted = pull.id;
        let pull = self.store().insert_pull(&pull).await?;
        if pull.id != wanted {
            return self.viewed(caller, repository, pull).await;
        }
        let pull = self.check(pull, &comparison).await?;
        let said = format!("{} opened: {} into {}", pull.author_name, pull.branch, pull.into);
        self.tell_deciders(repository, &pull, &said).await;
        self.viewed(caller, repository, pull).await
    }

    /// The branches that the caller could propose.
    pub async fn proposable_branches(&self, caller: &Caller, repository: &RepositoryView) -> AppResult<Vec<String>> {
        let branches = self.branches(repository.id()).await?;
        let into = target(repository, &branches).unwrap_or_default();
        let mut found = Vec::new();
        for (name, _) in branches.iter().filter(|(name, _)| *name != into) {
            let own = self.proposer(caller, repository, name).await.is_ok();
            if own && self.store().open_pull(repository.id(), name).await?.is_none() {
                found.push(name.to_owned());
            }
        }
        Ok(found)
    }

    /// Refuses unless the caller may propose a branch.
    async fn proposer(&self, caller: &Caller, repository: &RepositoryView, branch: &str) -> AppResult<AccountId> {
        let Some(view) = repository.model() else {
            let id = active(caller)?;
            let full = format!("refs/heads/{branch}");
            let names = self.pushable(caller).await?;
            let below =
                |name: &String| if name.ends_with('/') { full.starts_with(name.as_str()) } else { full == *name };
            if names.is_empty() || names.iter().any(below) {
                return Ok(id);
            }
            return Err(AppError::forbidden(format!(
                "Only who may push {branch} proposes it: push a branch of yours."
            )));
        };
        writer(caller, view.role)
    }

    /// The pull requests of a repository, newest first: the open ones, or those that are over.
    pub async fn pulls(
        &self,
        caller: &Caller,
        repository: &RepositoryView,
        open: bool,
        page: PageRequest,
    ) -> AppResult<Page<PullView>> {
        let found = self.store().pulls(repository.id(), open, page).await?;
        let mut items = Vec::with_capacity(found.items.len());
        for pull in found.items {
            items.push(self.outlined(caller, repository, pull).await?);
        }
        Ok(Page { total: found.total, items })
    }

    /// The open one of a branch.
    pub async fn pull_of_branch(
        &self,
        caller: &Caller,
        repository: &RepositoryView,
        branch: &str,
    ) -> AppResult<Option<PullView>> {
        match self.store().open_pull(repository.id(), branch).await? {
            Some(pull) => Ok(Some(self.outlined(caller, repository, pull).await?)),
            None => Ok(None),
        }
    }

    /// One of them, with what it changes.
    pub async fn pull(&self, caller: &Caller, repository: &RepositoryView, number: u32) -> AppResult<PullView> {
        let pull = self.synced(repository, number).await?;
        self.viewed(caller, repository, pull).await
    }

    /// Gives one another title or text, closes it, or opens it again.
    pub async fn change_pull(
        &self,
        caller: &Caller,
        repository: &RepositoryView,
        number: u32,
        changes: PullChanges,
    ) -> AppResult<PullView> {
        let mut pull = self.synced(repository, number).await?;
        if !may_change(caller, repository, &pull) {
            return Err(refused());
        }
        let over = |what: &str| AppError::Conflict { sentence: format!("Pull request {number} is {what}.") };
        if matches!(pull.state, PullState::Merging | PullState::Merged) {
            return Err(over(pull.state.as_str()));
        }
        if let Some(title) = changes.title {
            pull.title = titled(title.trim().to_owned())?;
        }
        if let Some(body) = changes.body {
            pull.body = described(body)?;
        }
        let pull = match (changes.open, pull.state) {
            (Some(false), PullState::Open) => {
                self.stop_checks(&pull.checks).await?;
                (pull.state, pull.closed_at) = (PullState::Closed, Some(self.now()));
                let pull = self.save(pull).await?;
                self.tell_author(repository, caller, &pull, "closed").await;
                pull
            }
            (Some(true), PullState::Closed) => self.reopened(repository, pull).await?,
            _ => self.save(pull).await?,
        };
        self.viewed(caller, repository, pull).await
    }

    async fn reopened(&self, repository: &RepositoryView, mut pull: Pull) -> AppResult<Pull> {
        let branches = self.branches(repository.id()).await?;
        branches.tip(&pull.branch).ok_or_else(|| no_branch(&branches, &pull.branch))?.clone_into(&mut pull.head);
        if let Some(other) = self.store().open_pull(repository.id(), &pull.branch).await? {
            let sentence = format!("{} has pull request {}, which is open.", pull.branch, other.number);
            return Err(AppError::Conflict { sentence });
        }
        (pull.state, pull.closed_at, pull.outcome) = (PullState::Open, None, None);
        self.checked(pull, &branches).await
    }

    /// Begins the checks of an open one anew.
    pub async fn check_pull(&self, caller: &Caller, repository: &RepositoryView, number: u32) -> AppResult<PullView> {
        let pull = self.synced(repository, number).await?;
        if !may_change(caller, repository, &pull) {
            return Err(refused());
        }
        if pull.state != PullState::Open {
            return Err(AppError::Conflict { sentence: format!("Pull request {number} is not open.") });
        }
        let branches = self.branches(repository.id()).await?;
        let pull = self.checked(pull, &branches).await?;
        self.viewed(caller, repository, pull).await
    }

    /// Has what is at the head of a pull request checked, whatever is there.
    async fn checked(&self, mut pull: Pull, branches: &Branches) -> AppResult<Pull> {
        let tip = branches.tip(&pull.into).unwrap_or_default();
        match self.inner.ports.repositories.compare(pull.repository, tip, &pull.head).await {
            Ok(comparison) => self.check(pull, &comparison).await,
            Err(RepositoryError::Unusable { sentence }) => {
                let name = pull.branch.clone();
                pull.checks = vec![Check { model: None, name, build: None, problem: Some(sentence) }];
                self.save(pull).await
            }
            Err(other) => Err(other.into()),
        }
    }

    /// A push has moved a branch, or removed it.
    pub(super) async fn branch_moved(&self, repository: &RepositoryView, branch: &str, commit: Option<&str>) {
        for _ in 0..TRIES {
            match self.follow_branch(repository, branch, commit).await {
                // Somebody else has changed it in between.
                Err(AppError::Conflict { .. }) => {}
                Err(error) => return tracing::warn!(%branch, %error, "a pull request does not know of a push yet"),
                Ok(()) => return,
            }
        }
    }

    async fn follow_branch(&self, repository: &RepositoryView, branch: &str, commit: Option<&str>) -> AppResult<()> {
        let Some(mut pull) = self.store().open_pull(repository.id(), branch).await? else { return Ok(()) };
        if pull.state != PullState::Open || commit == Some(pull.head.as_str()) {
            return Ok(());
        }
        let Some(commit) = commit else {
            self.stop_checks(&pull.checks).await?;
            (pull.state, pull.closed_at) = (PullState::Closed, Some(self.now()));
            pull.outcome = Some(BRANCH_GONE.to_owned());
            return self.save(pull).await.map(drop);
        };
        commit.clone_into(&mut pull.head);
        let branches = self.branches(repository.id()).await?;
        self.checked(pull, &branches).await.map(drop)
    }

    /// A pull request that knows where its branch is: the server may have ended between a push and this.
    pub(super) async fn synced(&self, repository: &RepositoryView, number: u32) -> AppResult<Pull> {
        let missing = || AppError::missing(format!("the pull request {number} of {}", repository.name()));
        let pull = self.store().pull(repository.id(), number).await?.ok_or_else(missing)?;
        if pull.state != PullState::Open {
            return Ok(pull);
        }
        let branches = self.branches(repository.id()).await?;
        let tip = branches.tip(&pull.branch);
        if tip == Some(pull.head.as_str()) {
            return Ok(pull);
        }
        self.branch_moved(repository, &pull.branch, tip).await;
        self.store().pull(repository.id(), number).await?.ok_or_else(missing)
    }

    /// Stores a pull request as it was changed, unless it was changed by somebody else as well.
    pub(super) async fn save(&self, pull: Pull) -> AppResult<Pull> {
        let pull = Pull { updated_at: self.now(), ..pull };
        if self.store().update_pull(&pull).await? {
            return Ok(Pull { revision: pull.revision + 1, ..pull });
        }
        let sentence = format!("Pull request {} has changed meanwhile: look at it again.", pull.number);
        Err(AppError::Conflict { sentence })
    }
}

/// The branch that pull requests of a repository are for.
fn target(repository: &RepositoryView, branches: &Branches) -> AppResult<String> {
    let wanted = repository.model().map_or("main", |view| published_branch(&view.model));
    let found = match repository {
        RepositoryView::Model(view) => published_among(&view.model, branches),
        RepositoryView::Publish => branches.tip(wanted).map(|_| wanted),
    };
    found.map(str::to_owned).ok_or_else(|| {
        AppError::field(
            "branch",
            format!("There is no branch {wanted} to merge into: push it, or name another one in the model's settings."),
        )
    })
}

fn no_branch(branches: &Branches, wanted: &str) -> AppError {
    let names: Vec<&str> = branches.iter().map(|(name, _)| name).take(20).collect();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    AppError::field("branch", format!("There is no branch {wanted}: push it first. There are {there}."))
}

fn titled(title: String) -> AppResult<String> {
    if title.is_empty() {
        return Err(AppError::field("title", "This field may not be blank."));
    }
    if title.chars().count() > TITLE {
        return Err(AppError::field("title", format!("Ensure this field has no more than {TITLE} characters.")));
    }
    Ok(title)
}

fn described(body: String) -> AppResult<String> {
    if body.chars().count() > BODY {
        return Err(AppError::field("body", format!("Ensure this field has no more than {BODY} characters.")));
    }
    Ok(body)
}
