//! What runs cost, budgets, and sponsors.

use axum::{
    Json,
    extract::State,
    http::header,
    middleware,
    response::{IntoResponse, Response},
};
use csw_app::{Budget, Costs, CostsOf};
use csw_core::cost::{ChargeSum, Month};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::Fields,
    extract::{AtModel, ModelPath, Path, Query},
};
use crate::{
    auth::Identity,
    error::{self, ApiError, ApiResult},
    state::WebState,
};

/// The routes of costs.
pub(super) fn router() -> OpenApiRouter<WebState> {
    let sponsors =
        OpenApiRouter::new().routes(routes!(sponsor, set_sponsor)).layer(middleware::map_response(error::unauthorized));
    OpenApiRouter::new()
        .routes(routes!(costs))
        .routes(routes!(budget, set_budget))
        .routes(routes!(estimate))
        .merge(sponsors)
}

/// Whose costs, and when.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CostQuery {
    /// As `2026-11`; the present one by default. Months are those of UTC.
    month: Option<String>,
    /// Another account, or `*` for all; for admins.
    account: Option<String>,
    /// `json` (the default) or `csv`.
    format: Option<String>,
}

/// Runs of an account and a model that one account pays.
#[derive(Serialize, ToSchema)]
struct CostRow {
    /// Who pays: the model's sponsor, or who ran it.
    payer: Option<String>,
    /// Whose runs.
    account: Option<String>,
    /// `owner/title`.
    model: Option<String>,
    /// How many.
    runs: u64,
    /// Seconds of import and run.
    seconds: f64,
    /// Dollars.
    cost: f64,
}

impl From<ChargeSum> for CostRow {
    fn from(sum: ChargeSum) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of runs")]
        let seconds = sum.milliseconds as f64 / 1000.0;
        Self { payer: sum.payer, account: sum.account, model: sum.model, runs: sum.runs, seconds, cost: sum.cost }
    }
}

/// What an account may spend in a month.
#[derive(Serialize, ToSchema)]
struct BudgetBody {
    /// The account.
    username: String,
    /// The present month.
    month: String,
    /// Dollars a month; null is no limit.
    monthly: Option<f64>,
    /// Whether that is what the site gives everybody.
    is_default: bool,
    /// Dollars, with the expected cost of what waits or is at work.
    spent: f64,
}

impl From<Budget> for BudgetBody {
    fn from(budget: Budget) -> Self {
        Self {
            username: budget.account,
            month: budget.month.to_string(),
            monthly: budget.monthly,
            is_default: budget.is_default,
            spent: budget.spent,
        }
    }
}

/// The costs of a month.
#[derive(Serialize, ToSchema)]
struct CostBody {
    /// As `2026-11`.
    month: String,
    /// By payer, account and model; the largest first.
    results: Vec<CostRow>,
    /// Dollars of all.
    total: f64,
    /// The account's, as of now; null where the costs are of all accounts.
    budget: Option<BudgetBody>,
    /// Months that can be looked at, the newest first.
    months: Vec<String>,
}

/// Costs of a month by payer, account and model: of the caller's runs, and what the caller paid for those of others.
/// Admins see anybody's. `format=csv` is a file.
#[utoipa::path(
    get,
    path = "/api/v1/costs/", operation_id = "costs",
    tag = "costs",
    params(CostQuery),
    responses((status = 200, body = CostBody), (status = 400), (status = 403), (status = 404)),
)]
async fn costs(State(state): State<WebState>, who: Identity, Query(query): Query<CostQuery>) -> ApiResult<Response> {
    let refuse = |field: &str, sentence: String| ApiError::from(csw_app::AppError::field(field, sentence));
    let month = query.month.map(|text| text.parse::<Month>()).transpose();
    let month = month.map_err(|error| refuse("month", error.to_string()))?;
    let costs = state.app.costs(&who.caller, &whose(query.account.as_deref()), month).await?;
    match query.format.as_deref() {
        None | Some("json") => Ok(Json(body(costs)).into_response()),
        Some("csv") => Ok(file(&costs)),
        Some(other) => Err(refuse("format", format!("\"{other}\" is not a valid choice."))),
    }
}

/// Whose costs a word asks for.
pub(crate) fn whose(word: Option<&str>) -> CostsOf {
    match word {
        None | Some("") => CostsOf::Own,
        Some("*") => CostsOf::Everybody,
        Some(name) => CostsOf::Account(name.to_owned()),
    }
}

fn body(costs: Costs) -> CostBody {
    CostBody {
        month: costs.month.to_string(),
        total: costs.total(),
        months: costs.months.iter().map(Month::to_string).collect(),
        results: costs.rows.into_iter().map(CostRow::from).collect(),
        budget: costs.budget.map(BudgetBody::from),
    }
}

fn file(costs: &Costs) -> Response {
    let name = format!("attachment; filename=\"costs-{}.csv\"", costs.month);
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CACHE_CONTROL, "private, no-store")];
    (headers, [(header::CONTENT_DISPOSITION, name)], costs.csv()).into_response()
}

/// An account's budget: one's own, or any for admins.
#[utoipa::path(
    get,
    path = "/api/v1/accounts/{username}/budget/", operation_id = "budget",
    tag = "costs",
    params(("username" = String, Path, description = "In any letter case")),
    responses((status = 200, body = BudgetBody), (status = 403), (status = 404)),
)]
async fn budget(
    State(state): State<WebState>,
    who: Identity,
    Path(username): Path<String>,
) -> ApiResult<Json<BudgetBody>> {
    Ok(Json(state.app.budget(&who.caller, &username).await?.into()))
}

/// A budget.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
struct BudgetChange {
    /// Dollars a month; null is what the site gives everybody.
    monthly: Option<f64>,
}

/// Set what an account may spend in a month; for admins. Runs beyond it are refused.
#[utoipa::path(
    put,
    path = "/api/v1/accounts/{username}/budget/", operation_id = "set_budget",
    tag = "costs",
    params(("username" = String, Path, description = "In any letter case")),
    request_body = BudgetChange,
    responses((status = 200, body = BudgetBody), (status = 400), (status = 403), (status = 404)),
)]
async fn set_budget(
    State(state): State<WebState>,
    who: Identity,
    Path(username): Path<String>,
    mut fields: Fields,
) -> ApiResult<Json<BudgetBody>> {
    // Who may not set any hears that first.
    state.app.account_for_admin(&who.caller, &username).await?;
    let monthly = match fields.nullable_text("monthly") {
        Some(None) => None,
        Some(Some(_)) => fields.number("monthly"),
        None => {
            fields.refuse("monthly", "This field is required.");
            None
        }
    };
    fields.check()?;
    Ok(Json(state.app.set_budget(&who.caller, &username, monthly).await?.into()))
}

/// Who pays for everybody's runs of a model.
#[derive(Serialize, ToSchema)]
struct SponsorBody {
    /// Their name; null where everybody pays for their own.
    sponsor: Option<String>,
    /// A note of theirs, markdown.
    message: Option<String>,
}

/// Who pays for everybody's runs of a model.
#[utoipa::path(
    get,
    path = "/publish/api/{owner}/{title}/sponsor/", operation_id = "sponsor",
    tag = "costs",
    params(ModelPath),
    responses((status = 200, body = SponsorBody), (status = 404)),
)]
async fn sponsor(State(state): State<WebState>, at: AtModel) -> ApiResult<Json<SponsorBody>> {
    let sponsor = state.app.sponsor(&at.view).await?;
    Ok(Json(SponsorBody { sponsor, message: at.view.model.sponsor_message }))
}

/// A sponsor.
#[derive(Deserialize, ToSchema)]
#[allow(dead_code, reason = "the document shows the fields; the handler takes them from any kind of body")]
struct SponsorChange {
    /// Their name; null takes them away.
    sponsor: Option<String>,
    /// A note of theirs, markdown.
    message: Option<String>,
}

/// Set who pays for everybody's runs of a model. Those who may publish versions of it name themselves, a sponsor can leave,
/// and admins of the site name anybody.
#[utoipa::path(
    put,
    path = "/publish/api/{owner}/{title}/sponsor/", operation_id = "set_sponsor",
    tag = "costs",
    params(ModelPath),
    request_body = SponsorChange,
    responses(
        (status = 200, body = SponsorBody),
        (status = 400),
        (status = 401),
        (status = 403),
        (status = 404),
    ),
)]
async fn set_sponsor(State(state): State<WebState>, at: AtModel, mut fields: Fields) -> ApiResult<Json<SponsorBody>> {
    let name = fields.nullable_text("sponsor");
    if name.is_none() {
        fields.refuse("sponsor", "This field is required.");
    }
    let note = fields.nullable_text("message").flatten().unwrap_or_default();
    fields.check()?;
    let name = name.flatten().filter(|name| !name.is_empty());
    let sponsor = name.as_deref().map(|name| (name, note.as_str()));
    let model = state.app.set_sponsor(&at.who.caller, &at.view, sponsor).await?;
    let view = csw_app::ModelView { model, ..at.view };
    let sponsor = state.app.sponsor(&view).await?;
    Ok(Json(SponsorBody { sponsor, message: view.model.sponsor_message }))
}

/// What a run is expected to take and to cost, from the last runs of the live version: the median, and the tenth and
/// ninetieth hundredths.
#[derive(Serialize, ToSchema)]
struct EstimateBody {
    seconds: f64,
    seconds_low: f64,
    seconds_high: f64,
    /// Dollars.
    cost: f64,
    cost_low: f64,
    cost_high: f64,
    /// Runs it was learned from; 0 is the publisher's word.
    runs: usize,
    /// Dollars an hour.
    per_hour: f64,
    /// Who pays for everybody's runs; null where everybody pays for their own.
    sponsor: Option<String>,
}

/// What a run of the live version is expected to take and to cost.
#[utoipa::path(
    get,
    path = "/{owner}/{title}/api/v1/estimate/", operation_id = "estimate",
    tag = "costs",
    params(ModelPath),
    responses((status = 200, body = EstimateBody), (status = 404)),
)]
async fn estimate(State(state): State<WebState>, at: AtModel) -> ApiResult<Json<EstimateBody>> {
    let estimate = state.app.estimate(&at.view).await?;
    let settings = &at.view.model.settings;
    Ok(Json(EstimateBody {
        seconds: estimate.seconds,
        seconds_low: estimate.low,
        seconds_high: estimate.high,
        cost: estimate.cost,
        cost_low: estimate.cost_low,
        cost_high: estimate.cost_high,
        runs: estimate.runs,
        per_hour: state.app.config().prices.per_hour(settings.cpus, settings.memory_gigabytes),
        sponsor: state.app.sponsor(&at.view).await?,
    }))
}
