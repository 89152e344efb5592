//! Accounts, tokens, sessions and password resets.

use async_trait::async_trait;
use csw_core::{
    account::{Account, AccountPatch, Session, Token},
    ids::{AccountId, TokenId},
    page::{Page, PageRequest},
    ports::{AccountStore, StoreError, StoreResult},
};
use jiff::Timestamp;

use crate::{
    SqlStore,
    columns::{columns, select},
    rows,
    sql::{Columns, all, flag, micros, number, optional, optional_micros, pattern, run, sql, whole},
};

fn email_key(email: &str) -> Option<String> {
    Some(email.trim().to_lowercase()).filter(|email| !email.is_empty())
}

#[async_trait]
impl AccountStore for SqlStore {
    async fn insert_account(&self, account: &Account) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "INSERT INTO accounts (id, name, name_key, email, email_key, first_name, last_name, password_hash, role, \
             is_active, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            account.id.to_string(),
            account.name.to_string(),
            account.name.folded(),
            account.email.clone(),
            email_key(&account.email),
            account.first_name.clone(),
            account.last_name.clone(),
            account.password_hash.clone(),
            account.role.as_str(),
            flag(account.is_active),
            micros(account.created_at),
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn account(&self, id: AccountId) -> StoreResult<Option<Account>> {
        let mut reader = self.reader().await?;
        let row = optional(sql!(self, select!(accounts, "WHERE id = $1"), id.to_string()), &mut reader).await?;
        row.as_ref().map(rows::account).transpose()
    }

    async fn account_by_name(&self, name: &str) -> StoreResult<Option<Account>> {
        let mut reader = self.reader().await?;
        let statement = sql!(self, select!(accounts, "WHERE name_key = $1"), name.to_lowercase());
        optional(statement, &mut reader).await?.as_ref().map(rows::account).transpose()
    }

    async fn account_by_email(&self, email: &str) -> StoreResult<Option<Account>> {
        let Some(key) = email_key(email) else { return Ok(None) };
        let mut reader = self.reader().await?;
        let row = optional(sql!(self, select!(accounts, "WHERE email_key = $1"), key), &mut reader).await?;
        row.as_ref().map(rows::account).transpose()
    }

    async fn accounts(&self, page: PageRequest) -> StoreResult<Page<Account>> {
        let mut reader = self.reader().await?;
        let total = number(sql!(self, "SELECT COUNT(*) FROM accounts"), &mut reader).await?;
        let statement = sql!(
            self,
            select!(accounts, "ORDER BY name_key LIMIT $1 OFFSET $2"),
            i64::from(page.size),
            whole(page.offset())
        );
        let items = all(statement, &mut reader).await?.iter().map(rows::account).collect::<StoreResult<_>>()?;
        Ok(Page { total: total.unsigned_abs(), items })
    }

    async fn update_account(&self, id: AccountId, patch: &AccountPatch) -> StoreResult<Account> {
        let mut unit = self.begin().await?;
        unit.lock_account(id).await?;
        let row = optional(sql!(self, select!(accounts, "WHERE id = $1"), id.to_string()), unit.on()).await?;
        let missing = || StoreError::NotFound { what: format!("the account {id}") };
        let mut account = rows::account(&row.ok_or_else(missing)?)?;
        let patch = patch.clone();
        account.email = patch.email.unwrap_or(account.email);
        account.first_name = patch.first_name.unwrap_or(account.first_name);
        account.last_name = patch.last_name.unwrap_or(account.last_name);
        account.password_hash = patch.password_hash.or(account.password_hash);
        account.role = patch.role.unwrap_or(account.role);
        account.is_active = patch.is_active.unwrap_or(account.is_active);
        let statement = sql!(
            self,
            "UPDATE accounts SET email = $1, email_key = $2, first_name = $3, last_name = $4, password_hash = $5, \
             role = $6, is_active = $7 WHERE id = $8",
            account.email.clone(),
            email_key(&account.email),
            account.first_name.clone(),
            account.last_name.clone(),
            account.password_hash.clone(),
            account.role.as_str(),
            flag(account.is_active),
            id.to_string(),
        );
        run(statement, unit.on()).await?;
        unit.commit().await?;
        Ok(account)
    }

    async fn delete_account(&self, id: AccountId) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let key = id.to_string();
        let private = sql!(
            self,
            "SELECT id, modified_at FROM simulations WHERE owner_id = $1 AND is_public = 0 ORDER BY id",
            key.clone()
        );
        for row in all(private, unit.on()).await? {
            let simulation = row.id("id")?;
            self.cancel_in(&mut unit, simulation, row.time("modified_at")?).await?;
            self.remove_simulation(simulation, unit.on()).await?;
        }
        let statements = [
            "DELETE FROM tokens WHERE account_id = $1",
            "DELETE FROM trusts WHERE account_id = $1",
            "DELETE FROM sessions WHERE account_id = $1",
            "DELETE FROM password_resets WHERE account_id = $1",
            "DELETE FROM invites WHERE account_id = $1",
            "DELETE FROM simulation_roles WHERE account_id = $1",
            "DELETE FROM model_roles WHERE account_id = $1",
            "DELETE FROM idempotency WHERE account_id = $1",
            "UPDATE models SET sponsor_id = NULL, sponsor_message = NULL WHERE sponsor_id = $1",
        ];
        for statement in statements {
            run(sql!(self, statement, key.clone()), unit.on()).await?;
        }
        let name = format!("deleted-{}", key.rsplit('-').next().unwrap_or(&key));
        let statements = [
            "UPDATE secrets SET set_by = $1 WHERE set_by = (SELECT name FROM accounts WHERE id = $2)",
            "UPDATE secret_events SET who = $1 WHERE who = (SELECT name FROM accounts WHERE id = $2)",
        ];
        for statement in statements {
            run(sql!(self, statement, name.clone(), key.clone()), unit.on()).await?;
        }
        let statement = sql!(
            self,
            "UPDATE accounts SET name = $1, name_key = $1, email = '', email_key = NULL, first_name = '', \
             last_name = '', password_hash = NULL, role = 'member', is_active = 0 WHERE id = $2",
            name,
            key
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn search_accounts(&self, text: &str, limit: u32) -> StoreResult<Vec<Account>> {
        let mut reader = self.reader().await?;
        let folded = text.to_lowercase();
        let begins = pattern(&folded).chars().skip(1).collect::<String>();
        let statement = sql!(
            self,
            select!(
                accounts,
                "WHERE is_active = 1 AND name_key LIKE $1 ESCAPE '!' ORDER BY \
             CASE WHEN name_key = $2 THEN 0 WHEN name_key LIKE $3 ESCAPE '!' THEN 1 ELSE 2 END, name_key LIMIT $4"
            ),
            pattern(&folded),
            folded,
            begins,
            i64::from(limit)
        );
        all(statement, &mut reader).await?.iter().map(rows::account).collect()
    }

    async fn insert_token(&self, token: &Token) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "INSERT INTO tokens (id, account_id, name, prefix, hash, created_at, expires_at, last_used_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            token.id.to_string(),
            token.account.to_string(),
            token.name.clone(),
            token.prefix.clone(),
            token.hash.clone(),
            micros(token.created_at),
            optional_micros(token.expires_at),
            optional_micros(token.last_used_at),
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn tokens(&self, account: AccountId) -> StoreResult<Vec<Token>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            "SELECT id AS token_id, account_id, name AS token_name, prefix, hash, created_at AS token_created_at, \
             expires_at, last_used_at FROM tokens WHERE account_id = $1 ORDER BY created_at DESC, id DESC",
            account.to_string()
        );
        all(statement, &mut reader).await?.iter().map(rows::token).collect()
    }

    async fn delete_token(&self, account: AccountId, token: TokenId) -> StoreResult<bool> {
        let mut unit = self.begin().await?;
        let statement =
            sql!(self, "DELETE FROM tokens WHERE id = $1 AND account_id = $2", token.to_string(), account.to_string());
        let gone = run(statement, unit.on()).await?;
        unit.commit().await?;
        Ok(gone > 0)
    }

    async fn account_by_token(&self, hash: &str, now: Timestamp) -> StoreResult<Option<(Account, Token)>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            concat!(
                "SELECT ",
                columns!(accounts, "a."),
                ", t.id AS token_id, t.account_id, t.name AS token_name, t.prefix, t.hash, \
             t.created_at AS token_created_at, t.expires_at, t.last_used_at FROM tokens t \
             JOIN accounts a ON a.id = t.account_id WHERE t.hash = $1 AND (t.expires_at IS NULL OR t.expires_at > $2)"
            ),
            hash.to_owned(),
            micros(now)
        );
        let row = optional(statement, &mut reader).await?;
        row.map(|row| Ok((rows::account(&row)?, rows::token(&row)?))).transpose()
    }

    async fn touch_token(&self, token: TokenId, now: Timestamp) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(self, "UPDATE tokens SET last_used_at = $1 WHERE id = $2", micros(now), token.to_string());
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn insert_session(&self, session: &Session) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        run(sql!(self, "DELETE FROM sessions WHERE expires_at <= $1", micros(session.created_at)), unit.on()).await?;
        let statement = sql!(
            self,
            "INSERT INTO sessions (hash, account_id, created_at, expires_at) VALUES ($1, $2, $3, $4)",
            session.hash.clone(),
            session.account.to_string(),
            micros(session.created_at),
            micros(session.expires_at)
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn account_by_session(&self, hash: &str, now: Timestamp) -> StoreResult<Option<Account>> {
        let mut reader = self.reader().await?;
        let statement = sql!(
            self,
            concat!(
                "SELECT ",
                columns!(accounts, "a."),
                " FROM sessions s JOIN accounts a ON a.id = s.account_id WHERE s.hash = $1 AND s.expires_at > $2"
            ),
            hash.to_owned(),
            micros(now)
        );
        optional(statement, &mut reader).await?.as_ref().map(rows::account).transpose()
    }

    async fn delete_session(&self, hash: &str) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        run(sql!(self, "DELETE FROM sessions WHERE hash = $1", hash.to_owned()), unit.on()).await?;
        unit.commit().await
    }

    async fn delete_sessions(&self, account: AccountId, except: Option<&str>) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        let statement = sql!(
            self,
            "DELETE FROM sessions WHERE account_id = $1 AND hash <> $2",
            account.to_string(),
            except.unwrap_or_default().to_owned()
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn insert_password_reset(&self, hash: &str, account: AccountId, expires_at: Timestamp) -> StoreResult<()> {
        let mut unit = self.begin().await?;
        run(sql!(self, "DELETE FROM password_resets WHERE account_id = $1", account.to_string()), unit.on()).await?;
        let statement = sql!(
            self,
            "INSERT INTO password_resets (hash, account_id, expires_at) VALUES ($1, $2, $3)",
            hash.to_owned(),
            account.to_string(),
            micros(expires_at)
        );
        run(statement, unit.on()).await?;
        unit.commit().await
    }

    async fn take_password_reset(&self, hash: &str, now: Timestamp) -> StoreResult<Option<AccountId>> {
        let mut unit = self.begin().await?;
        let statement =
            sql!(self, "DELETE FROM password_resets WHERE hash = $1 RETURNING account_id, expires_at", hash.to_owned());
        let row = optional(statement, unit.on()).await?;
        unit.commit().await?;
        match row {
            Some(row) if row.time("expires_at")? > now => Ok(Some(row.id("account_id")?)),
            _ => Ok(None),
        }
    }
}
