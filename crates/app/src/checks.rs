//! Telling a forge how the builds stand that it asked for, with a check beside the commit. What it has to be told is kept
//! in the database: a forge that does not answer, or a server that ends, delays the news and nothing else.

use csw_core::{
    build::{Build, BuildState, Stage, StageRecord, StageState},
    check::{Check, CheckState, Conclusion, KeptCheck},
    model::Model,
    ports::{Change, Checks, ForgeError},
};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{App, error::AppResult, patience::Patience};

/// An attempt mostly takes no longer. Should a second one begin meanwhile, it finds what the first one made.
const ATTEMPT: SignedDuration = SignedDuration::from_secs(30);

/// Before the second attempt; twice as long before each further one.
const FIRST_PAUSE: i64 = 1;
const LONGEST_PAUSE: i64 = 600;

/// After so long nobody waits for the news any more.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(3 * 24);

/// How long one that is over is remembered, so that it can be asked for again on the forge.
pub(crate) const REMEMBERED: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What became of an attempt.
enum Attempt {
    Told,
    /// The forge takes nothing until then.
    Quiet(Timestamp),
    Later(Timestamp),
}

impl App {
    /// Tells the forge of every change of a build that has a check, until the server ends.
    pub(crate) async fn show_checks(self, stop: CancellationToken) {
        let Some(forge) = self.inner.ports.checks.clone() else { return };
        let mut changes = self.store().changes();
        let mut patience = Patience::new();
        let mut quiet = None;
        loop {
            let next = tokio::select! {
                () = stop.cancelled() => return,
                next = self.show_what_is_due(&*forge, &mut quiet) => next,
            };
            let next = match next {
                Ok(next) => {
                    patience = Patience::new();
                    next
                }
                Err(error) => {
                    tracing::warn!(%error, "checks can't be read now");
                    patience.pause().await;
                    continue;
                }
            };
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep(self.until(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = due => {}
                Some(()) = next_build(&mut changes) => {}
            }
        }
    }

    pub(crate) fn until(&self, at: Timestamp) -> std::time::Duration {
        at.duration_since(self.now()).try_into().unwrap_or_default()
    }

    /// Makes every attempt that is due; when the next one is.
    async fn show_what_is_due(
        &self,
        forge: &dyn Checks,
        quiet: &mut Option<Timestamp>,
    ) -> AppResult<Option<Timestamp>> {
        loop {
            let mut next: Option<Timestamp> = None;
            let mut any = false;
            for kept in self.store().open_checks().await? {
                if let Some(until) = quiet.filter(|until| *until > self.now()) {
                    return Ok(Some(until));
                }
                let Some(check) = self.check_of(&kept).await? else {
                    self.store().note_check(&kept, true).await?;
                    continue;
                };
                if kept.told == mark(&check) {
                    continue;
                }
                let (now, mut wait_until) =
                    (self.now(), |at: Timestamp| next = Some(next.map_or(at, |next| next.min(at))));
                if kept.retry_at > now {
                    wait_until(kept.retry_at);
                } else if self.store().claim_check(kept.id, now, now + ATTEMPT).await? {
                    any = true;
                    match self.show(forge, kept, &check).await? {
                        Attempt::Told => {}
                        Attempt::Later(at) => wait_until(at),
                        Attempt::Quiet(until) => *quiet = Some(until),
                    }
                } else {
                    // Another server is at it; should that end, it is done here.
                    wait_until(now + ATTEMPT);
                }
            }
            if !any {
                return Ok(next);
            }
        }
    }

    async fn show(&self, forge: &dyn Checks, mut kept: KeptCheck, check: &Check) -> AppResult<Attempt> {
        let again = kept.attempts > 0;
        let shown = forge.show(check, kept.remote.as_deref(), again).await;
        let now = self.now();
        kept.attempts += 1;
        let (attempt, over) = match shown {
            Ok(remote) => {
                (kept.remote, kept.told, kept.attempts, kept.retry_at) = (Some(remote), mark(check), 0, now);
                (Attempt::Told, matches!(check.state, CheckState::Completed(_)))
            }
            Err(error @ ForgeError::Refused { .. }) => {
                tracing::warn!(%error, "a check is not shown");
                (Attempt::Told, true)
            }
            Err(error) if now.duration_since(kept.created_at) > GIVE_UP => {
                tracing::warn!(%error, "a check is not shown: it was tried for too long");
                (Attempt::Told, true)
            }
            Err(error) => {
                let quiet = matches!(error, ForgeError::TooMany { .. });
                kept.retry_at = now + self.pause_after(&error, kept.attempts);
                tracing::info!(%error, again_at = %kept.retry_at, "a check is shown later");
                (if quiet { Attempt::Quiet(kept.retry_at) } else { Attempt::Later(kept.retry_at) }, false)
            }
        };
        self.store().note_check(&kept, over).await?;
        Ok(attempt)
    }

    /// As long as the forge says; longer each time, and not all at once, where it says nothing.
    fn pause_after(&self, error: &ForgeError, attempts: u32) -> SignedDuration {
        if let ForgeError::TooMany { seconds, .. } = error {
            return SignedDuration::from_secs(i64::try_from(*seconds).unwrap_or(LONGEST_PAUSE).clamp(1, 24 * 3600));
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
        SignedDuration::from_millis(doubled * (1000 + i64::from(self.ten()[0])))
    }

    /// A check as the forge is to show it now; nothing where what it is about is gone.
    async fn check_of(&self, kept: &KeptCheck) -> AppResult<Option<Check>> {
        let Some(model) = self.store().model(kept.model).await? else { return Ok(None) };
        let site = &self.inner.config.public_url;
        Ok(Some(match self.store().build(kept.build()).await? {
            Some(build) => of_build(kept, &build, &model, site),
            None if kept.on.fork.is_some() => waiting(kept, &model, site),
            None => return Ok(None),
        }))
    }
}

/// Waits until a build may have changed; nothing where nobody will ever tell.
async fn next_build(changes: &mut futures::stream::BoxStream<'static, Change>) -> Option<()> {
    while let Some(change) = changes.next().await {
        if matches!(change, Change::Build(_) | Change::Missed) {
            return Some(());
        }
    }
    None
}

/// What tells one thing to be shown from another.
fn mark(check: &Check) -> String {
    let state = match check.state {
        CheckState::Queued => "queued",
        CheckState::InProgress => "in_progress",
        CheckState::Completed(conclusion) => conclusion.as_str(),
    };
    format!("{state}: {}", check.title)
}

fn name(model: &Model) -> String {
    format!("Compute Studio: {}", model.name())
}

/// The check of a build.
fn of_build(kept: &KeptCheck, build: &Build, model: &Model, site: &str) -> Check {
    let other = build.commit.as_deref().filter(|commit| !commit.eq_ignore_ascii_case(&kept.on.commit));
    let state = match build.state {
        BuildState::Queued if build.attempt == 0 => CheckState::Queued,
        // It goes back to the queue where the server ends; for those who look on it goes on.
        BuildState::Queued | BuildState::Running => CheckState::InProgress,
        BuildState::Cancelled => CheckState::Completed(Conclusion::Cancelled),
        BuildState::Succeeded | BuildState::Failed if other.is_some() => CheckState::Completed(Conclusion::Neutral),
        BuildState::Succeeded => CheckState::Completed(Conclusion::Success),
        BuildState::Failed => CheckState::Completed(Conclusion::Failure),
    };
    let message = build.message.as_deref().unwrap_or_default();
    let title = match build.state {
        BuildState::Queued if build.attempt == 0 => "Waits for its turn".to_owned(),
        BuildState::Queued => "Begins again after the server was restarted".to_owned(),
        BuildState::Running => doing(build.stage).to_owned(),
        BuildState::Failed => format!("Failed in stage {}: {}", build.stage.as_str(), first_line(message)),
        BuildState::Succeeded | BuildState::Cancelled => first_line(message),
    };
    let url = format!("{site}/{}/builds/{}/", model.name(), build.id);
    Check {
        id: kept.id,
        repository: kept.on.repository.clone(),
        commit: kept.on.commit.clone(),
        name: name(model),
        state,
        title,
        summary: summary(build, other, &url),
        url,
        started_at: build.stages.first().map_or(build.created_at, |stage| stage.started_at),
        finished_at: build.finished_at,
    }
}

/// The check of a pull request from a fork that nobody has allowed yet.
fn waiting(kept: &KeptCheck, model: &Model, site: &str) -> Check {
    let from = kept.on.fork.as_deref().unwrap_or_default();
    let commit = kept.on.short();
    let url = format!("{site}/{}/builds/", model.name());
    Check {
        id: kept.id,
        repository: kept.on.repository.clone(),
        commit: kept.on.commit.clone(),
        name: name(model),
        state: CheckState::Completed(Conclusion::ActionRequired),
        title: "From a fork: not built until a maintainer says so".to_owned(),
        summary: format!(
            "Commit `{commit}` comes from `{from}`, which is another repository: its code would run on this site. Look at the \
             change first. Then press *Build it* above, where the site is a GitHub App, or publish commit `{commit}` at \
             <{url}>. It is built without the model's secrets, and staged. The site's operator can have all forks built \
             with `github.build_forks`."
        ),
        url,
        started_at: kept.created_at,
        finished_at: Some(kept.created_at),
    }
}

const fn doing(stage: Stage) -> &'static str {
    match stage {
        Stage::Fetch => "Fetches the source",
        Stage::Build => "Builds environment and code",
        Stage::Test => "Tests the model",
        Stage::Push => "Stores the artifact",
        Stage::Stage => "Records the version",
        Stage::Compare => "Compares results with those of the live version",
        Stage::Promote => "Makes the version live",
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// Stages with their times, what was said at the end, and the way to the log.
fn summary(build: &Build, other: Option<&str>, url: &str) -> String {
    let mut parts = Vec::new();
    if let Some(other) = other {
        let short: String = other.chars().take(12).collect();
        parts.push(format!("The branch has moved on: commit `{short}` was built in place of this one."));
    }
    if build.order.is_foreign() {
        parts.push("From a fork: built without the model's secrets.".to_owned());
    }
    if !build.stages.is_empty() {
        let head = ["| stage | state | time |", "| --- | --- | --- |"].map(str::to_owned);
        let lines: Vec<String> = head.into_iter().chain(build.stages.iter().map(line)).collect();
        parts.push(lines.join("\n"));
    }
    parts.extend(build.message.as_deref().map(fenced));
    parts.push(format!("[Log and version]({url})\n"));
    parts.join("\n\n")
}

fn line(stage: &StageRecord) -> String {
    let state = match stage.state {
        StageState::Running => "running",
        StageState::Passed => "passed",
        StageState::Failed => "**failed**",
        StageState::Cancelled => "cancelled",
    };
    let took = stage.finished_at.map(|end| seconds(end.duration_since(stage.started_at))).unwrap_or_default();
    format!("| {} | {state} | {took} |", stage.stage.as_str())
}

fn seconds(took: SignedDuration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// A text that a model or a stranger may have written, so that it stays text.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_wrote_stays_text() {
        assert_eq!(fenced("no"), "```text\nno\n```");
        assert_eq!(fenced("```\n<b>"), "````text\n```\n<b>\n````");
    }
}
