//! A look at a repository, before anything is published from it.

use csw_core::{access::Caller, build::Source, look::Found, ports::BuildLog};

use crate::{
    App,
    access_rules::active,
    error::{AppError, AppResult},
};

/// Looks at once, of everybody.
pub(crate) const AT_ONCE: usize = 2;

/// Nobody reads what git says; the sentence of a failure is all there is to know.
struct Unheard;

impl BuildLog for Unheard {
    fn write(&self, _: &str) {}
}

impl App {
    /// Fetches a branch, tag or commit as a build does, and says what it is. Nothing is kept of it, and nothing of it runs.
    pub async fn look(&self, caller: &Caller, url: &str, reference: &str) -> AppResult<Found> {
        let account = active(caller)?;
        if url.trim().is_empty() {
            return Err(AppError::field("repo_url", "Name the repository: https://HOST/OWNER/REPOSITORY"));
        }
        self.inner.look_limit.check(&account)?;
        let busy = || AppError::TooMany {
            sentence: format!("{AT_ONCE} repositories are being looked at, which is the most; try again in a moment."),
            retry_after_seconds: 5,
        };
        let _slot = self.inner.look_slots.try_acquire().map_err(|_| busy())?;
        let source = Source::Git { url: url.trim().to_owned(), reference: reference.trim().to_owned() };
        let found = self.inner.ports.publisher.look(&source, &Unheard).await;
        found.map_err(|error| AppError::field("repo_url", error.sentence))
    }
}
