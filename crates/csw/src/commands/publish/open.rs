//! `csw publish -n OWNER/TITLE`: the one open pull request of a model, made or added to.

use csw_app::publish_repository::{ModelConfig, Resources, SKIP_TEST, clash, fresh, name, path_of, stamped};
use csw_client::{Client, ClientError};
use csw_core::{
    names::ModelName,
    ports::{ForgeError, NewPullRequest, PullRequest, PullRequests},
};
use csw_publish::github::{GitHub, Waits, repository_on};
use jiff::Timestamp;
use serde_json::json;

use super::{
    here,
    repository::{Pushed, Repository},
    site::SitePulls,
};
use crate::{
    cli::Server,
    failure::{Code, Failure, Outcome},
    output::Printer,
    settings::{GitHubSettings, Settings},
    wiring::github_credential,
};

/// How often a branch may move while a commit for it is made.
const TRIES: u32 = 3;

pub(super) async fn run(
    settings: &Settings,
    server: &Server,
    model: &str,
    skip_test: bool,
    printer: Printer,
) -> Outcome {
    let model = name(model).map_err(|sentence| Failure::usage(sentence, "write OWNER/TITLE"))?;
    let mut repository = here()?;
    let client = settings.client(server)?;
    let origin = repository.origin()?;
    let forge: Option<Box<dyn PullRequests>> = match SitePulls::of(&client, &origin) {
        Some(site) => {
            if let Some(authorization) = client.authorization() {
                repository.introduce(&format!("{}/git/", client.url()), &authorization);
            }
            Some(Box::new(site))
        }
        None => github(&settings.github, &origin).await?,
    };
    let work = Work { repository: &repository, forge: forge.as_deref(), model: &model, skip_test };
    let into = repository.default_branch()?;
    let branch = format!("publish/{model}");
    for _ in 0..TRIES {
        let Some((commit, there)) = work.push(&client, &branch, &into).await? else { continue };
        let pull = work.pull_request(there, &branch, &into).await?;
        let answer = json!({
            "model": model.to_string(), "branch": branch, "commit": commit, "into": into,
            "pull_request": pull.as_ref().map(|pull| json!({ "number": pull.number, "url": pull.url })),
        });
        return printer.result(&answer, || match &pull {
            Some(pull) => format!("{model}: {}", pull.url),
            None => format!(
                "{branch} is pushed to origin, which is neither on GitHub nor on {}: open a pull request of it into {into} there by hand, \
                 unless it has one",
                client.url()
            ),
        });
    }
    Err(Failure::new(Code::Unavailable, format!("{branch} moves all the time"), "somebody else is at it; try again"))
}

/// GitHub, where origin is there.
async fn github(settings: &GitHubSettings, origin: &str) -> Outcome<Option<Box<dyn PullRequests>>> {
    let api = settings.api_url();
    let Some((owner, name)) = repository_on(host(&api), origin) else { return Ok(None) };
    let credential = github_credential(settings, None).await?.ok_or_else(|| {
        Failure::usage(
            format!("origin is {owner}/{name} on GitHub, and there is no token to open pull requests with"),
            "give one that may write pull requests there as GITHUB_TOKEN, or as `token` in [github] of the configuration, or \
             a GitHub App",
        )
    })?;
    Ok(Some(Box::new(GitHub::new(&api, &owner, &name, credential, Waits::default())?)))
}

/// The host of repositories, of the address of the API.
fn host(api: &str) -> &str {
    let rest = api.split_once("://").map_or(api, |(_, rest)| rest);
    let host = rest.split(['/', ':']).next().unwrap_or(rest);
    host.strip_prefix("api.").unwrap_or(host)
}

struct Work<'a> {
    repository: &'a Repository,
    forge: Option<&'a dyn PullRequests>,
    model: &'a ModelName,
    skip_test: bool,
}

impl Work<'_> {
    fn title(&self) -> String {
        let skip = if self.skip_test { format!(" {SKIP_TEST}") } else { String::new() };
        format!("Publish {}{skip}", self.model)
    }

    /// Puts a commit on the model's branch; nothing where the branch has moved meanwhile. The pull request comes with
    /// it that the branch has already.
    async fn push(&self, client: &Client, branch: &str, into: &str) -> Outcome<Option<(String, Option<PullRequest>)>> {
        let [base, ours] = self.repository.fetch([into, branch])?;
        let base = base.ok_or_else(|| Failure::local(format!("origin has no branch {into}"), "push it first"))?;
        let there = match self.forge {
            Some(forge) if ours.is_some() => forge.of_branch(branch, into).await?,
            _ => None,
        };
        // What is left of a pull request that is closed is no beginning; what is not merged yet is added to.
        let goes_on = match (&ours, self.forge) {
            (Some(ours), Some(_)) => there.is_some() && self.repository.is_ahead(ours, &base)?,
            (Some(ours), None) => self.repository.is_ahead(ours, &base)?,
            (None, _) => false,
        };
        let parent = ours.as_deref().filter(|_| goes_on).unwrap_or(&base);
        let path = path_of(self.model);
        let text = self.text(client, parent, &path).await?;
        let commit = self.repository.commit_file(parent, &path, &text, &self.title())?;
        Ok(match self.repository.push(&commit, branch, ours.as_deref())? {
            Pushed::Done => Some((commit, there)),
            Pushed::Moved => None,
        })
    }

    /// What the model's file is to say: as it was edited here, or as it is in the commit, or as the server has it.
    async fn text(&self, client: &Client, parent: &str, path: &str) -> Outcome<String> {
        let wrong = |sentence| Failure::usage(sentence, "mend the file, and try again");
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let mut known = self.repository.files(parent)?;
        known.push(path.to_owned());
        if let Some(sentence) = clash(known.iter().map(String::as_str)) {
            return Err(wrong(sentence));
        }
        let there = match self.repository.edited(path)? {
            Some(edited) => Some(edited),
            None => self.repository.text(parent, path)?,
        };
        let text = match there {
            Some(text) => stamped(&text, now),
            None => self.made(client, path, now).await?,
        };
        ModelConfig::parse(self.model, &text).map_err(wrong)?;
        Ok(text)
    }

    async fn made(&self, client: &Client, path: &str, now: Timestamp) -> Outcome<String> {
        let name = self.model.to_string();
        let model = match client.model(&name).await {
            Err(ClientError::Refused { status: 404, .. }) => {
                return Err(Failure::new(
                    Code::Refused,
                    format!("there is no {path}, and {} has no model {name} to make it of", client.url()),
                    format!("write {path}; config/README.md tells what it says"),
                ));
            }
            other => other?,
        };
        let called = format!("{}/{}", model.owner, model.title);
        if called != name {
            return Err(Failure::usage(format!("the model is called {called}"), format!("write `-n {called}`")));
        }
        let number = |key: &str| {
            let value = model.more.get(key)?;
            value.as_f64().or_else(|| value.as_str()?.parse().ok())
        };
        let resources = Resources { cpu: number("cpu"), memory: number("memory") };
        Ok(fresh(self.model, Some((&model.repo_url, &model.repo_tag, resources)), now))
    }

    /// The pull request of the branch, whose title says what was asked for.
    async fn pull_request(&self, there: Option<PullRequest>, branch: &str, into: &str) -> Outcome<Option<PullRequest>> {
        let Some(forge) = self.forge else { return Ok(None) };
        let title = self.title();
        let Some(pull) = there else {
            let body = format!(
                "Builds, tests and stages {}. Merging makes the staged version live.\n\n\
                 `csw publish -n {}` adds to this pull request.",
                self.model, self.model
            );
            let (branch, into) = (branch.to_owned(), into.to_owned());
            return Ok(Some(Self::opened(forge, NewPullRequest { branch, into, title, body }).await?));
        };
        Self::titled(forge, pull, &title).await.map(Some)
    }

    /// A new one, or the one that somebody else has just opened.
    async fn opened(forge: &dyn PullRequests, wanted: NewPullRequest) -> Outcome<PullRequest> {
        let pull = forge.open(&wanted).await?;
        Self::titled(forge, pull, &wanted.title).await
    }

    async fn titled(forge: &dyn PullRequests, pull: PullRequest, title: &str) -> Outcome<PullRequest> {
        if pull.title == title { Ok(pull) } else { Ok(forge.retitle(pull.number, title).await?) }
    }
}

impl From<ForgeError> for Failure {
    fn from(error: ForgeError) -> Self {
        let (code, hint) = match &error {
            ForgeError::Unavailable { .. } => {
                (Code::Unavailable, "the same command goes on where it stopped".to_owned())
            }
            ForgeError::TooMany { seconds, .. } => (Code::Unavailable, format!("try again in {seconds} s")),
            ForgeError::Refused { .. } => {
                (Code::Refused, "docs/authors.md tells what a token must be allowed".to_owned())
            }
        };
        Self::new(code, error.to_string(), hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_where_the_api_is() {
        assert_eq!(host("https://api.github.com"), "github.com");
        assert_eq!(host("https://git.example.org/api/v3"), "git.example.org");
        assert_eq!(host("http://127.0.0.1:8080/api/v3"), "127.0.0.1");
        assert_eq!(host("https://api.us.ghe.com"), "us.ghe.com");
    }
}
