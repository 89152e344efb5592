//! Secrets of a model, on the page of its settings: names, who set them and when. Values go in and never come out.

use csw_app::{AppError, AppResult, ModelView, SecretsOf};

use super::{
    account::{Confirmation, confirmation, errors_of},
    model_settings::{found, page_of},
    page::{PageResult, done, problems, sentence, show},
    render::when,
    visitor::{Fields, Place, Visitor},
};

/// The part of the page.
#[derive(Default)]
pub(crate) struct Secrets {
    pub(crate) rows: Vec<Row>,
    /// As it was sent, where that was refused.
    pub(crate) name: String,
    pub(crate) name_problem: String,
    pub(crate) value_problem: String,
    /// Why there is no list.
    pub(crate) trouble: String,
}

pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) set_by: String,
    pub(crate) set_at: String,
}

/// What the page shows of a model's secrets. A store that does not answer is no reason to hide the other settings.
pub(crate) async fn part(visitor: &Visitor, view: &ModelView) -> AppResult<Secrets> {
    let infos = match visitor.app.secrets(&visitor.caller, SecretsOf::Model(view)).await {
        Ok(infos) => infos,
        Err(error @ (AppError::Unavailable { .. } | AppError::Internal { .. })) => {
            tracing::warn!(%error, "the secrets of a model can't be listed");
            let trouble = "The secrets can't be listed now. The site's operator finds why in the log.".to_owned();
            return Ok(Secrets { trouble, ..Secrets::default() });
        }
        Err(other) => return Err(other),
    };
    let row = |info: csw_core::secret::SecretInfo| Row {
        name: info.name.to_string(),
        version: info.version,
        set_by: info.set_by.unwrap_or_default(),
        set_at: info.set_at.map(when).unwrap_or_default(),
    };
    Ok(Secrets { rows: infos.into_iter().map(row).collect(), ..Secrets::default() })
}

/// Sets a secret.
pub(crate) async fn set(visitor: Visitor, Place((owner, title)): Place<(String, String)>, sent: Fields) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    let (name, value) = (sent.get("name").trim(), sent.get("value").to_owned());
    // Browsers write line ends their own way.
    let value = value.replace("\r\n", "\n");
    let stored = visitor.app.set_secret(&visitor.caller, SecretsOf::Model(&view), name, value).await;
    let Err(error) = stored else {
        return Ok(done(&format!("/{}/settings/", view.model.name()), "secret"));
    };
    let mut page = visitor.take(page_of(&visitor, &view).await)?;
    name.clone_into(&mut page.secrets.name);
    match errors_of(&error) {
        Some(errors) => {
            for (field, sentence) in problems(errors) {
                let place =
                    if field == "name" { &mut page.secrets.name_problem } else { &mut page.secrets.value_problem };
                *place = sentence;
            }
        }
        None => page.secrets.name_problem = sentence(&error),
    }
    Ok(show(&page))
}

/// Asks whether a secret is to be deleted.
pub(crate) async fn delete_form(
    visitor: Visitor,
    Place((owner, title, name)): Place<(String, String, String)>,
) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    let infos = visitor.take(visitor.app.secrets(&visitor.caller, SecretsOf::Model(&view)).await)?;
    if !infos.iter().any(|info| info.name.as_str() == name) {
        return Err(visitor.fail(AppError::missing(format!("the secret {name}"))));
    }
    let place = format!("/{}/", view.model.name());
    Ok(confirmation(
        &visitor,
        Confirmation {
            heading: "Delete this secret?",
            lead: format!(
                "“{name}” and all its versions are removed for good. Runs that begin from then on do not have it."
            ),
            action: format!("{place}secrets/{name}/delete/"),
            button: "Delete for ever",
            danger: true,
            back: (format!("{place}settings/"), "Keep it"),
        },
    ))
}

/// Deletes a secret.
pub(crate) async fn delete(
    visitor: Visitor,
    Place((owner, title, name)): Place<(String, String, String)>,
) -> PageResult {
    let view = found(&visitor, &owner, &title).await?;
    visitor.take(visitor.app.delete_secret(&visitor.caller, SecretsOf::Model(&view), &name).await)?;
    Ok(done(&format!("/{}/settings/", view.model.name()), "unsecret"))
}
