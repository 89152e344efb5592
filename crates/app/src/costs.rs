//! What runs cost: who pays, what a month has cost so far, and what may still be spent.
//!
//! A model's sponsor pays for everybody's runs of it; where there is none, whoever runs it does. Nobody is billed: a
//! budget says how much compute an account may use up in a month, and a run beyond it is refused before it is stored.

use std::fmt::Write as _;

use csw_core::{
    access::Caller,
    cost::{ChargeFilter, ChargeSum, Month},
    ids::{AccountId, VersionId},
    model::Model,
};
use tokio::sync::MutexGuard;

use crate::{
    App,
    access_rules::{active, operator, refused, writer},
    error::{AppError, AppResult},
    models::ModelView,
};

/// Characters of a sponsor's note.
const NOTE_LIMIT: usize = 10_000;

/// Months that are offered to look at.
const MONTHS: usize = 24;

/// Whose costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CostsOf {
    /// The caller's.
    Own,
    /// Another account's, for admins.
    Account(String),
    /// All accounts', for admins.
    Everybody,
}

/// What an account may spend in a month, and what it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// Its name.
    pub account: String,
    /// Which month.
    pub month: Month,
    /// Dollars; `None` is no limit.
    pub monthly: Option<f64>,
    /// Whether that is what the site gives everybody.
    pub is_default: bool,
    /// Dollars, with the expected cost of what waits or is at work.
    pub spent: f64,
}

/// The costs of a month.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    /// Which month.
    pub month: Month,
    /// By payer, account and model; the largest first.
    pub rows: Vec<ChargeSum>,
    /// Of the account, as of now.
    pub budget: Option<Budget>,
    /// Months that have any, the newest first, with the present one.
    pub months: Vec<Month>,
}

impl Costs {
    /// As comma-separated values, with a line of headings.
    pub fn csv(&self) -> String {
        let quoted =
            |text: &Option<String>| format!("\"{}\"", text.as_deref().unwrap_or_default().replace('"', "\"\""));
        let mut text = "month,payer,account,model,runs,seconds,dollars\n".to_owned();
        for row in &self.rows {
            let (payer, account, model) = (quoted(&row.payer), quoted(&row.account), quoted(&row.model));
            let (whole, rest) = (row.milliseconds / 1000, row.milliseconds % 1000);
            // A text takes all that is written.
            let _ = writeln!(
                text,
                "{},{payer},{account},{model},{},{whole}.{rest:03},{:.6}",
                self.month, row.runs, row.cost
            );
        }
        text
    }

    /// Dollars of all rows.
    pub fn total(&self) -> f64 {
        self.rows.iter().map(|row| row.cost).sum()
    }
}

impl App {
    /// Costs of a month, the present one by default: what the account has paid, and what others paid for its runs.
    pub async fn costs(&self, caller: &Caller, of: &CostsOf, month: Option<Month>) -> AppResult<Costs> {
        let account = match of {
            CostsOf::Own => Some(caller.account().ok_or(AppError::LoginRequired)?),
            CostsOf::Account(name) => {
                operator(caller)?;
                Some(self.account_by_name(name).await?.id)
            }
            CostsOf::Everybody => {
                operator(caller)?;
                None
            }
        };
        let present = Month::of(self.now());
        let month = month.unwrap_or(present);
        let filter = ChargeFilter { account, from: month.begins(), until: month.next().begins() };
        let rows = self.store().charges(&filter).await?;
        let budget = match account {
            Some(account) => Some(self.budget_of(account).await?),
            None => None,
        };
        let mut months = vec![present];
        if let Some((first, _)) = self.store().time_of_charges(account).await? {
            let first = Month::of(first);
            months.extend(
                std::iter::successors(Some(present.previous()), |month| Some(month.previous()))
                    .take_while(|month| *month >= first)
                    .take(MONTHS - 1),
            );
        }
        Ok(Costs { month, rows, budget, months })
    }

    /// An account's budget: one's own, or any for admins.
    pub async fn budget(&self, caller: &Caller, name: &str) -> AppResult<Budget> {
        let own = caller.account().ok_or(AppError::LoginRequired)?;
        if !caller.is_admin() && !matches!(caller, Caller::Account { name: own, .. } if own.eq_ignore_ascii_case(name))
        {
            return Err(refused());
        }
        let account = self.account_by_name(name).await?;
        if account.id != own {
            operator(caller)?;
        }
        self.budget_of(account.id).await
    }

    /// Sets what an account may spend in a month, for admins; `None` gives it what the site gives everybody.
    pub async fn set_budget(&self, caller: &Caller, name: &str, monthly: Option<f64>) -> AppResult<Budget> {
        operator(caller)?;
        self.operator_set_budget(name, monthly).await
    }

    /// The same for an operator at the machine.
    pub async fn operator_set_budget(&self, name: &str, monthly: Option<f64>) -> AppResult<Budget> {
        if monthly.is_some_and(|dollars| !dollars.is_finite() || dollars < 0.0) {
            return Err(AppError::field("monthly", "Write a number of dollars a month that is not negative."));
        }
        let account = self.account_by_name(name).await?;
        self.store().set_budget(account.id, monthly).await?;
        self.budget_of(account.id).await
    }

    /// An account's budget, for an operator at the machine.
    pub async fn operator_budget(&self, name: &str) -> AppResult<Budget> {
        let account = self.account_by_name(name).await?;
        self.budget_of(account.id).await
    }

    async fn budget_of(&self, id: AccountId) -> AppResult<Budget> {
        let month = Month::of(self.now());
        let own = self.store().budget(id).await?;
        Ok(Budget {
            account: self.account(id).await?.name.to_string(),
            month,
            monthly: own.or(self.inner.config.monthly_budget),
            is_default: own.is_none(),
            spent: self.spent_or_promised(id, month).await?,
        })
    }

    /// What an account has paid in a month, and is going to pay for what it has submitted.
    async fn spent_or_promised(&self, payer: AccountId, month: Month) -> AppResult<f64> {
        let mut sum = self.store().spent(payer, month.begins(), self.inner.config.prices).await?;
        for (model, version, count) in self.store().in_validation(payer).await? {
            let settings = self.model_by_id(model).await?.settings;
            #[allow(clippy::cast_precision_loss, reason = "simulations in validation")]
            let count = count as f64;
            sum += self.estimate_of(&settings, Some(version)).await?.cost * count;
        }
        Ok(sum)
    }

    /// Refuses a run that whoever pays for it has no budget for. Where there is a budget, the answer holds for as long as
    /// the guard does: nobody else is admitted before it is stored.
    pub(crate) async fn admit_cost(
        &self,
        model: &Model,
        owner: AccountId,
        version: VersionId,
    ) -> AppResult<Option<MutexGuard<'_, ()>>> {
        let payer = model.sponsor.unwrap_or(owner);
        let Some(monthly) = self.store().budget(payer).await?.or(self.inner.config.monthly_budget) else {
            return Ok(None);
        };
        let turn = self.inner.admitting.lock().await;
        let month = Month::of(self.now());
        let spent = self.spent_or_promised(payer, month).await?;
        let expected = self.estimate_of(&model.settings, Some(version)).await?.cost;
        if spent + expected <= monthly {
            return Ok(Some(turn));
        }
        let whose = if payer == owner {
            "Your budget".to_owned()
        } else {
            format!("The budget of {}, who sponsors this model,", self.account(payer).await?.name)
        };
        let next = month.next();
        Err(AppError::forbidden(format!(
            "{whose} of ${monthly:.2} for {} does not cover this run: ${spent:.4} are spent or promised, and it is expected \
             to cost ${expected:.4}. Wait for {}, or ask the operator of this site to raise it.",
            month.words(),
            next.words()
        )))
    }

    /// Who pays for everybody's runs of a model, if anybody.
    pub async fn sponsor(&self, view: &ModelView) -> AppResult<Option<String>> {
        match view.model.sponsor {
            Some(id) => Ok(Some(self.account(id).await?.name.to_string())),
            None => Ok(None),
        }
    }

    /// Sets who pays for everybody's runs of a model, with a note of theirs, or takes them away. Nobody pays who does
    /// not want to: those who may change the model can name themselves, a sponsor can leave, and admins of the site decide
    /// for anybody.
    pub async fn set_sponsor(
        &self,
        caller: &Caller,
        view: &ModelView,
        sponsor: Option<(&str, &str)>,
    ) -> AppResult<Model> {
        let own = active(caller)?;
        let Some((name, note)) = sponsor else {
            if view.model.sponsor != Some(own) {
                operator(caller)?;
            }
            return Ok(self.store().set_sponsor(view.model.id, None).await?);
        };
        writer(caller, view.role)?;
        if note.chars().count() > NOTE_LIMIT {
            return Err(AppError::field("message", format!("A note has at most {NOTE_LIMIT} characters.")));
        }
        let missing = |_| AppError::field("sponsor", format!("There is no account named {name}."));
        let account = self.account_by_name(name).await.map_err(missing)?;
        if account.id != own && !caller.is_admin() {
            return Err(AppError::field(
                "sponsor",
                "You can name yourself only; an admin of this site can name others.",
            ));
        }
        let note = Some(note.trim()).filter(|note| !note.is_empty());
        Ok(self.store().set_sponsor(view.model.id, Some((account.id, note))).await?)
    }
}
