//! `csw models push`: an image that was built here, to a registry.

use csw_core::names::ModelName;
use csw_publish::image::{self, Patience, Place, PushOptions};
use serde_json::json;

use super::build::{images, size};
use crate::{
    cli::build::Push,
    failure::{Code, Failure, Outcome},
    output::Printer,
    progress::Bars,
    settings::Settings,
    wiring,
};

pub(crate) async fn run(settings: &Settings, name: &str, options: &Push, printer: Printer) -> Outcome {
    let model: ModelName = name.parse().map_err(|error| Failure::usage(format!("{error}"), "write OWNER/TITLE"))?;
    let maker = format!("csw models -n {model} build --image");
    push_image(settings, &model, &maker, options, printer).await
}

/// Sends an image that `maker` made.
pub(crate) async fn push_image(
    settings: &Settings,
    model: &ModelName,
    maker: &str,
    options: &Push,
    printer: Printer,
) -> Outcome {
    let place = place(settings, options)?;
    let credentials = wiring::images::credentials(settings, options.user.clone())?;
    let layout = images(settings, options.out.as_deref())?;
    let tag = match &options.tag {
        Some(tag) => tag.clone(),
        None => image::newest_tag(&layout, model)?.ok_or_else(|| {
            Failure::new(
                Code::Refused,
                format!("there is no image of {model} in {}", layout.folder().display()),
                format!("`{maker}` makes one; `--out DIR` names another folder"),
            )
        })?,
    };
    let push = PushOptions {
        place,
        tag: options.as_tag.clone(),
        credentials,
        insecure: options.insecure || settings.images.insecure,
        patience: Patience::default(),
    };
    let pushed = match image::push(&layout, model, &tag, push, &Bars::new(printer)).await {
        Ok(pushed) => pushed,
        Err(error) => {
            printer.result(
                &json!({ "ok": false, "model": model.to_string(), "message": error.to_string() }),
                String::new,
            )?;
            return Err(error.into());
        }
    };
    let mut value = serde_json::to_value(&pushed).unwrap_or_default();
    if let Some(answer) = value.as_object_mut() {
        answer.insert("ok".to_owned(), true.into());
        answer.insert("model".to_owned(), model.to_string().into());
    }
    printer.result(&value, || {
        format!(
            "{}\n{}\nsent {} of {} in {:.1} s: {} layers sent, {} mounted, {} there already",
            pushed.tagged,
            pushed.reference,
            size(pushed.bytes_sent),
            size(pushed.bytes),
            pushed.seconds,
            pushed.layers_sent,
            pushed.layers_mounted,
            pushed.layers_present
        )
    })
}

fn place(settings: &Settings, options: &Push) -> Outcome<Place> {
    let named = options.registry.clone().or_else(|| settings.images.registry.clone());
    let of_project = || options.project.as_ref().map(|project| format!("gcr.io/{}", project.to_lowercase()));
    let named = named.or_else(of_project).ok_or_else(|| {
        Failure::usage("which registry?", "name it with `--registry HOST/PREFIX`, such as ghcr.io/my-name")
    })?;
    Ok(Place::parse(&named)?)
}
