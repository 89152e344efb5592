//! Accounts: sign-up, log-in, profile, passwords, removal.

use std::net::IpAddr;

use csw_core::{
    access::{AccountRole, Caller},
    account::{Account, AccountPatch, Token},
    ids::AccountId,
    names::AccountName,
    page::{Page, PageRequest},
    ports::{Mail, StoreError},
};
use serde_json::{Map, Value, json};

use crate::{
    App,
    access_rules::active,
    credentials::hash,
    error::{AppError, AppResult, sentence_of},
    new_id, passwords,
    told::SERVICE_ACCOUNT,
};

const WRONG: &str = "Unable to log in with provided credentials.";
const NOT_FOR_PEOPLE: &str = "This name is the site's own; please choose another one.";
const NAME_TAKEN: &str = "A user with that username already exists.";
const ADDRESS_TAKEN: &str = "A user is already registered with this e-mail address.";

impl App {
    /// Signs somebody up.
    pub async fn register(&self, name: &str, email: &str, password: &str, from: IpAddr) -> AppResult<Account> {
        if !self.inner.config.open_registration {
            return Err(AppError::forbidden("This site makes accounts by invitation; ask its operator for one."));
        }
        self.inner.login_limit.check(&from)?;
        let mut errors = Map::new();
        let parsed = AccountName::try_from(name.trim().to_owned());
        if let Err(error) = &parsed {
            errors.insert("username".to_owned(), json!([sentence_of(error)]));
        }
        if name.trim().eq_ignore_ascii_case(SERVICE_ACCOUNT) {
            errors.insert("username".to_owned(), json!([NOT_FOR_PEOPLE]));
        }
        if self.store().account_by_name(name.trim()).await?.is_some() {
            errors.insert("username".to_owned(), json!([NAME_TAKEN]));
        }
        if !email.is_empty() && !looks_like_address(email) {
            errors.insert("email".to_owned(), json!(["Enter a valid email address."]));
        } else if self.store().account_by_email(email).await?.is_some() {
            errors.insert("email".to_owned(), json!([ADDRESS_TAKEN]));
        }
        if let Some(weakness) = passwords::weakness(password, name) {
            errors.insert("password1".to_owned(), json!([weakness]));
        }
        let (Ok(parsed), true) = (parsed, errors.is_empty()) else {
            return Err(AppError::Invalid { errors: Value::Object(errors) });
        };
        let password_hash = self.hash_password(password).await?;
        let account = self.insert(parsed, email, AccountRole::Member, Some(password_hash)).await?;
        self.mail(Mail {
            to: account.email.clone(),
            subject: "Welcome to Compute Studio".to_owned(),
            body: format!(
                "Hello {},\n\nyour account is ready: {}\n\nOpen a model, change its parameters and run it.\n",
                account.name, self.inner.config.public_url
            ),
        });
        Ok(account)
    }

    /// Makes an account for an operator at the machine, with a token.
    pub async fn operator_create_account(
        &self,
        name: &str,
        email: &str,
        role: AccountRole,
        password: Option<&str>,
        token_name: &str,
    ) -> AppResult<(Account, Token, String)> {
        let name = AccountName::try_from(name.to_owned()).map_err(|error| AppError::name("username", &error))?;
        let password_hash = match password {
            Some(password) => match passwords::weakness(password, name.as_str()) {
                Some(weakness) => return Err(AppError::field("password", weakness)),
                None => Some(self.hash_password(password).await?),
            },
            None => None,
        };
        let account = self.insert(name, email, role, password_hash).await?;
        let (token, secret) = self.issue_token(account.id, token_name, None).await?;
        Ok((account, token, secret))
    }

    async fn insert(
        &self,
        name: AccountName,
        email: &str,
        role: AccountRole,
        password_hash: Option<String>,
    ) -> AppResult<Account> {
        let account = Account {
            id: new_id!(self, AccountId),
            name,
            email: email.trim().to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            password_hash,
            role,
            is_active: true,
            created_at: self.now(),
        };
        match self.store().insert_account(&account).await {
            Ok(()) => Ok(account),
            Err(StoreError::Conflict { what }) if what.contains("email") => {
                Err(AppError::field("email", ADDRESS_TAKEN))
            }
            Err(StoreError::Conflict { .. }) => Err(AppError::field("username", NAME_TAKEN)),
            Err(error) => Err(error.into()),
        }
    }

    /// The account with this name (or address) and password.
    pub async fn log_in(&self, name: &str, password: &str, from: IpAddr) -> AppResult<Account> {
        self.inner.login_limit.check(&from)?;
        let wrong = || AppError::field("non_field_errors", WRONG);
        let account = match self.store().account_by_name(name).await? {
            Some(account) => Some(account),
            None if name.contains('@') => self.store().account_by_email(name).await?,
            None => None,
        };
        let Some((account, stored)) = account.and_then(|a| a.password_hash.clone().map(|hash| (a, hash))) else {
            // As slow as a wrong password, so that names can't be probed by time.
            self.hash_password(password).await?;
            return Err(wrong());
        };
        if !self.password_matches(password, &stored).await? || !account.is_active {
            return Err(wrong());
        }
        Ok(account)
    }

    /// By name, in any case.
    pub async fn account_by_name(&self, name: &str) -> AppResult<Account> {
        self.store().account_by_name(name).await?.ok_or_else(|| AppError::missing(format!("the user {name}")))
    }

    /// By identifier.
    pub async fn account(&self, id: AccountId) -> AppResult<Account> {
        self.store().account(id).await?.ok_or_else(|| AppError::missing("the account"))
    }

    /// All accounts, for admins.
    pub async fn accounts(&self, caller: &Caller, page: PageRequest) -> AppResult<Page<Account>> {
        require_admin(caller)?;
        Ok(self.store().accounts(page).await?)
    }

    /// An account by name, for admins.
    pub async fn account_for_admin(&self, caller: &Caller, name: &str) -> AppResult<Account> {
        require_admin(caller)?;
        self.account_by_name(name).await
    }

    /// Changes the caller's own address and names; other fields of the patch are ignored.
    pub async fn update_account(&self, caller: &Caller, patch: AccountPatch) -> AppResult<Account> {
        let id = active(caller)?;
        if let Some(email) = &patch.email
            && !email.is_empty()
            && !looks_like_address(email)
        {
            return Err(AppError::field("email", "Enter a valid email address."));
        }
        let patch = AccountPatch { password_hash: None, role: None, is_active: None, ..patch };
        match self.store().update_account(id, &patch).await {
            Err(StoreError::Conflict { .. }) => Err(AppError::field("email", ADDRESS_TAKEN)),
            other => Ok(other?),
        }
    }

    /// Changes somebody's role or activity, for admins.
    pub async fn set_account(
        &self,
        caller: &Caller,
        name: &str,
        role: Option<AccountRole>,
        is_active: Option<bool>,
    ) -> AppResult<Account> {
        require_admin(caller)?;
        let account = self.account_by_name(name).await?;
        if caller.account() == Some(account.id) && (is_active == Some(false) || role.is_some()) {
            return Err(AppError::forbidden("Another admin has to change your own role."));
        }
        let account = self
            .store()
            .update_account(account.id, &AccountPatch { role, is_active, ..AccountPatch::default() })
            .await?;
        if is_active == Some(false) {
            self.store().delete_sessions(account.id, None).await?;
        }
        Ok(account)
    }

    /// Changes the caller's password and ends all other sessions.
    pub async fn change_password(
        &self,
        caller: &Caller,
        old: &str,
        new: &str,
        keep_session: Option<&str>,
    ) -> AppResult<()> {
        let account = self.account(active(caller)?).await?;
        if let Some(stored) = &account.password_hash
            && !self.password_matches(old, stored).await?
        {
            return Err(AppError::field("old_password", "Invalid password"));
        }
        self.set_password(&account, new, "new_password1").await?;
        Ok(self.store().delete_sessions(account.id, keep_session.map(hash).as_deref()).await?)
    }

    async fn set_password(&self, account: &Account, new: &str, field: &str) -> AppResult<()> {
        if let Some(weakness) = passwords::weakness(new, account.name.as_str()) {
            return Err(AppError::field(field, weakness));
        }
        let patch = AccountPatch { password_hash: Some(self.hash_password(new).await?), ..AccountPatch::default() };
        self.store().update_account(account.id, &patch).await?;
        Ok(())
    }

    /// Mails a link to set a new password. Says nothing on whether the address is known.
    pub async fn request_password_reset(&self, email: &str, from: IpAddr) -> AppResult<()> {
        self.inner.login_limit.check(&from)?;
        let Some(account) = self.store().account_by_email(email.trim()).await?.filter(|a| a.is_active) else {
            return Ok(());
        };
        let secret = self.secret();
        self.store().insert_password_reset(&hash(&secret), account.id, self.reset_until()).await?;
        self.mail(Mail {
            to: account.email.clone(),
            subject: "Set a new password".to_owned(),
            body: format!(
                "Hello {},\n\nset a new password within an hour: {}/users/reset/#{secret}\n\nIf you did not ask for \
                 this, nothing changes.\n",
                account.name, self.inner.config.public_url
            ),
        });
        Ok(())
    }

    /// Sets a new password by the secret of a mailed link, which works once.
    pub async fn reset_password(&self, secret: &str, new: &str) -> AppResult<()> {
        if let Some(weakness) = passwords::weakness(new, "") {
            return Err(AppError::field("new_password1", weakness));
        }
        let id =
            self.store().take_password_reset(&hash(secret), self.now()).await?.ok_or_else(|| {
                AppError::field("token", "This link was used before or is too old; ask for a new one.")
            })?;
        let account = self.account(id).await?;
        if let Err(refused) = self.set_password(&account, new, "new_password1").await {
            // Nothing was changed: the link has to be good for another try.
            self.store().insert_password_reset(&hash(secret), id, self.reset_until()).await?;
            return Err(refused);
        }
        Ok(self.store().delete_sessions(id, None).await?)
    }

    fn reset_until(&self) -> jiff::Timestamp {
        self.now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap_or(jiff::Timestamp::MAX)
    }

    /// Deactivates the caller's account; `confirm` is its name.
    pub async fn deactivate(&self, caller: &Caller, confirm: &str) -> AppResult<()> {
        let account = self.confirmed(caller, confirm).await?;
        let patch = AccountPatch { is_active: Some(false), ..AccountPatch::default() };
        self.store().update_account(account.id, &patch).await?;
        Ok(())
    }

    /// Removes the caller's account; `confirm` is its name.
    pub async fn delete_account(&self, caller: &Caller, confirm: &str) -> AppResult<()> {
        let account = self.confirmed(caller, confirm).await?;
        self.store().delete_account(account.id).await?;
        self.mail(Mail {
            to: account.email.clone(),
            subject: "Your account was removed".to_owned(),
            body: format!("Hello {},\n\nyour account and your private simulations are gone.\n", account.name),
        });
        Ok(())
    }

    async fn confirmed(&self, caller: &Caller, confirm: &str) -> AppResult<Account> {
        let account = self.account(active(caller)?).await?;
        if account.name.folded() == confirm.trim().to_lowercase() {
            Ok(account)
        } else {
            Err(AppError::field("confirm_username", "Type your own username to confirm."))
        }
    }

    /// Names of up to ten accounts that contain `text`. Addresses are not searched: they would tell who is registered.
    pub async fn autocomplete(&self, caller: &Caller, text: &str) -> AppResult<Vec<String>> {
        active(caller)?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.store().search_accounts(text, 10).await?;
        Ok(found.into_iter().map(|account| account.name.to_string()).collect())
    }

    pub(crate) async fn address_of(&self, id: AccountId) -> Option<String> {
        self.store().account(id).await.ok().flatten().map(|account| account.email).filter(|email| !email.is_empty())
    }
}

fn require_admin(caller: &Caller) -> AppResult<()> {
    match caller {
        Caller::Anonymous => Err(AppError::LoginRequired),
        _ if caller.is_admin() => Ok(()),
        Caller::Account { .. } | Caller::Workflow { .. } => {
            Err(AppError::forbidden("You do not have permission to perform this action."))
        }
    }
}

fn looks_like_address(email: &str) -> bool {
    email.len() <= 254
        && !email.contains(|c: char| c.is_whitespace() || c.is_control())
        && email.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.'))
}
