//! Password hashes: Argon2id with the crate's recommended parameters, in PHC form, so that parameters can be raised later.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};

use crate::{
    App,
    error::{AppError, AppResult},
};

/// Shortest password.
pub(crate) const SHORTEST: usize = 8;

impl App {
    /// Hashes off the async threads, a few at a time: each takes 19 MB.
    pub(crate) async fn hash_password(&self, password: &str) -> AppResult<String> {
        let _slot = self.inner.password_slots.acquire().await.map_err(internal)?;
        let mut salt = [0_u8; 16];
        self.inner.ports.randomness.fill(&mut salt);
        let password = password.to_owned();
        tokio::task::spawn_blocking(move || {
            Argon2::default()
                .hash_password_with_salt(password.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(internal)
        })
        .await
        .map_err(internal)?
    }

    /// Whether the password is the one of this hash.
    pub(crate) async fn password_matches(&self, password: &str, hash: &str) -> AppResult<bool> {
        let _slot = self.inner.password_slots.acquire().await.map_err(internal)?;
        let (password, hash) = (password.to_owned(), hash.to_owned());
        tokio::task::spawn_blocking(move || {
            let parsed = PasswordHash::new(&hash).map_err(internal)?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
        })
        .await
        .map_err(internal)?
    }
}

fn internal(error: impl std::fmt::Display) -> AppError {
    AppError::Internal { sentence: format!("password hashing failed: {error}") }
}

/// What is wrong with a new password, if anything.
pub(crate) fn weakness(password: &str, name: &str) -> Option<String> {
    if password.chars().count() < SHORTEST {
        return Some(format!("This password is too short. It must contain at least {SHORTEST} characters."));
    }
    if password.chars().all(|c| c.is_ascii_digit()) {
        return Some("This password is entirely numeric.".to_owned());
    }
    if !name.is_empty() && password.eq_ignore_ascii_case(name) {
        return Some("The password is too similar to the username.".to_owned());
    }
    None
}
