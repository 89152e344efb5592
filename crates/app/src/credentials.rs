//! Tokens and sessions: random texts whose SHA-256 is stored.

use std::sync::Arc;

use csw_core::{
    access::Caller,
    account::{Account, Session, Token},
    ids::{AccountId, TokenId},
};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::{
    App,
    access_rules::active,
    error::{AppError, AppResult},
    new_id,
};

/// Tokens an account may have.
const TOKENS: usize = 100;

pub(crate) fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

impl App {
    /// 40 hexadecimal characters, as clients of 1.6 expect of a token.
    pub(crate) fn secret(&self) -> String {
        let mut bytes = [0_u8; 20];
        self.inner.ports.randomness.fill(&mut bytes);
        hex::encode(bytes)
    }

    /// Opens a browser's session; the text goes into its cookie.
    pub async fn open_session(&self, account: AccountId) -> AppResult<String> {
        let secret = self.secret();
        let now = self.now();
        let session = Session {
            hash: hash(&secret),
            account,
            created_at: now,
            expires_at: after_days(now, self.inner.config.session_days),
        };
        self.store().insert_session(&session).await?;
        Ok(secret)
    }

    /// Whose session a cookie's text opens.
    pub async fn caller_of_session(&self, secret: &str) -> AppResult<Option<Account>> {
        Ok(self.store().account_by_session(&hash(secret), self.now()).await?)
    }

    /// Ends a session.
    pub async fn close_session(&self, secret: &str) -> AppResult<()> {
        Ok(self.store().delete_session(&hash(secret)).await?)
    }

    /// Whose token this is.
    pub async fn caller_of_token(&self, secret: &str) -> AppResult<Option<Account>> {
        let now = self.now();
        let Some((account, token)) = self.store().account_by_token(&hash(secret), now).await? else {
            return Ok(None);
        };
        let stale = token.last_used_at.is_none_or(|last| now.duration_since(last) > SignedDuration::from_hours(1));
        if stale {
            self.note_use(token.id, now);
        }
        Ok(Some(account))
    }

    /// Notes when a token was used, some time: nobody waits for it, or fails with it. While one use is being noted others
    /// are not; they will be used again.
    fn note_use(&self, token: TokenId, now: Timestamp) {
        let Ok(turn) = Arc::clone(&self.inner.noting).try_acquire_owned() else { return };
        let app = self.clone();
        tokio::spawn(async move {
            if let Err(error) = app.store().touch_token(token, now).await {
                tracing::debug!(%error, "the use of a token was not noted");
            }
            drop(turn);
        });
    }

    /// Makes a named token for the caller; its text is returned once and never again.
    pub async fn create_token(&self, caller: &Caller, name: &str, days: Option<u32>) -> AppResult<(Token, String)> {
        let account = active(caller)?;
        self.issue_token(account, name, days).await
    }

    pub(crate) async fn issue_token(
        &self,
        account: AccountId,
        name: &str,
        days: Option<u32>,
    ) -> AppResult<(Token, String)> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > 100 {
            return Err(AppError::field("name", "Give the token a name of 1 to 100 characters."));
        }
        if self.store().tokens(account).await?.len() >= TOKENS {
            return Err(AppError::field("name", format!("An account may have {TOKENS} tokens; delete one first.")));
        }
        let secret = self.secret();
        let now = self.now();
        let token = Token {
            id: new_id!(self, TokenId),
            account,
            name: name.to_owned(),
            prefix: secret.chars().take(6).collect(),
            hash: hash(&secret),
            created_at: now,
            expires_at: days.map(|days| after_days(now, i64::from(days))),
            last_used_at: None,
        };
        self.store().insert_token(&token).await?;
        Ok((token, secret))
    }

    /// The caller's tokens, newest first.
    pub async fn tokens(&self, caller: &Caller) -> AppResult<Vec<Token>> {
        Ok(self.store().tokens(caller.account().ok_or(AppError::LoginRequired)?).await?)
    }

    /// Revokes one of the caller's tokens; says whether it was there.
    pub async fn delete_token(&self, caller: &Caller, token: TokenId) -> AppResult<bool> {
        Ok(self.store().delete_token(caller.account().ok_or(AppError::LoginRequired)?, token).await?)
    }
}

/// `days` after `now`, or the end of time.
pub(crate) fn after_days(now: Timestamp, days: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(days.saturating_mul(24))).unwrap_or(Timestamp::MAX)
}
