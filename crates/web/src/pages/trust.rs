//! Trusted workflows: which repositories' workflows publish in the visitor's name.

use askama::Template;
use csw_app::{AppError, NewTrust};
use csw_core::{ids::TrustId, trust::Trust};

use super::{
    account::{errors_of, require_account},
    page::{Page, PageResult, done, problems, show},
    render::when,
    visitor::{Fields, Place, Visitor},
};

/// The page.
const PLACE: &str = "/users/settings/trust/";

#[derive(Template)]
#[template(path = "trust.html")]
struct TrustPage {
    page: Page,
    /// Whether the site takes tokens of workflows.
    taken: bool,
    rows: Vec<Row>,
    /// What was sent.
    new: NewTrust,
    models: String,
    /// By field.
    problems: Vec<(String, String)>,
}

struct Row {
    id: String,
    repository: String,
    reference: String,
    environment: String,
    models: String,
    may: &'static str,
    used: String,
}

impl From<Trust> for Row {
    fn from(trust: Trust) -> Self {
        Self {
            id: trust.id.to_string(),
            repository: trust.repository,
            reference: trust.reference,
            environment: if trust.environment.is_empty() { "any".to_owned() } else { trust.environment },
            models: if trust.models.is_empty() { "all of yours".to_owned() } else { trust.models.join(", ") },
            may: if trust.promote { "stage and promote" } else { "stage" },
            used: trust.last_used_at.map_or_else(|| "not yet".to_owned(), when),
        }
    }
}

impl TrustPage {
    fn problem(&self, field: &str) -> &str {
        self.problems.iter().find(|(name, _)| name == field).map_or("", |(_, sentence)| sentence)
    }
}

async fn page(visitor: &Visitor) -> Result<TrustPage, AppError> {
    let trusts = visitor.app.trusts(&visitor.caller, None).await?;
    Ok(TrustPage {
        page: visitor.page(),
        taken: visitor.app.trusts_workflows(),
        rows: trusts.into_iter().map(Row::from).collect(),
        new: NewTrust { reference: "main".to_owned(), promote: true, ..NewTrust::default() },
        models: String::new(),
        problems: Vec::new(),
    })
}

pub(crate) async fn trust(visitor: Visitor) -> PageResult {
    require_account(&visitor)?;
    Ok(show(&visitor.take(page(&visitor).await)?))
}

pub(crate) async fn add(visitor: Visitor, fields: Fields) -> PageResult {
    let text = |name: &str| fields.get(name).trim().to_owned();
    let new = NewTrust {
        repository: text("repository"),
        reference: text("reference"),
        environment: text("environment"),
        models: csw_app::names_in(fields.get("models")),
        promote: fields.is_set("promote"),
    };
    match visitor.app.add_trust(&visitor.caller, None, &new).await {
        Ok(_) => Ok(done(PLACE, "trusted")),
        Err(error) => {
            let Some(errors) = errors_of(&error) else { return Err(visitor.fail(error)) };
            let page = visitor.take(page(&visitor).await)?;
            Ok(show(&TrustPage { problems: problems(errors), new, models: text("models"), ..page }))
        }
    }
}

pub(crate) async fn remove(visitor: Visitor, Place(id): Place<String>) -> PageResult {
    let id: TrustId = visitor.take(id.parse().map_err(|_| AppError::missing("the trust")))?;
    visitor.take(visitor.app.remove_trust(&visitor.caller, None, id).await)?;
    Ok(done(PLACE, "untrusted"))
}
