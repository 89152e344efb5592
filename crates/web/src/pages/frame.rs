//! Outputs as documents of their own. What a model made may hold any script, so it is served with a policy that takes
//! its origin away (`sandbox`), and our pages show it in frames that do the same: it can't read our cookies, our pages,
//! or the network.

use askama::Template;
use axum::{
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_app::{App, AppError};
use csw_core::{ids::OutputId, output::MediaType};
use futures::TryStreamExt;
use serde_json::Value;

use super::{
    assets,
    page::{PageResult, show},
    render::markdown,
    visitor::Visitor,
};

/// Larger outputs are offered as files only.
const LARGEST: u64 = 64 << 20;

/// Scripts run without an origin; nothing is fetched but our own scripts, and nothing is sent.
const POLICY: &str = "sandbox allow-scripts; default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; \
                      style-src 'unsafe-inline'; img-src data: blob:; font-src data:; media-src data: blob:; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

#[derive(Template)]
#[template(path = "frame.html")]
struct Frame {
    title: String,
    scripts: Vec<String>,
    body: String,
    document: Option<String>,
    drawing: String,
}

/// Where the scripts of a version of BokehJS are in object storage.
fn script_key(version: &str, file: &str) -> String {
    format!("bokeh/{version}/{file}")
}

const SCRIPTS: [&str; 4] = ["bokeh.min.js", "bokeh-widgets.min.js", "bokeh-tables.min.js", "bokeh-mathjax.min.js"];

async fn bytes_of(app: &App, key: &str) -> Result<Vec<u8>, AppError> {
    let missing = |error: csw_core::ports::ObjectError| AppError::Unavailable { sentence: error.to_string() };
    let stream = app.ports().objects.get(key, None).await.map_err(missing)?;
    stream
        .try_fold(Vec::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        })
        .await
        .map_err(missing)
}

/// The version of BokehJS that a document was made for, in either of the places bokeh has written it.
fn bokeh_version(document: &Value) -> Option<&str> {
    document.get("version").or_else(|| document.get("doc")?.get("version")).and_then(Value::as_str)
}

async fn bokeh(app: &App, title: String, text: &str) -> Result<Frame, AppError> {
    let version = serde_json::from_str::<Value>(text).ok().and_then(|value| bokeh_version(&value).map(str::to_owned));
    let mut scripts = Vec::new();
    for file in SCRIPTS {
        if let Some(version) = &version
            && app.ports().objects.size(&script_key(version, file)).await.ok().flatten().is_some()
        {
            scripts.push(format!("/storage/bokeh/{version}/{file}"));
        }
    }
    let body = if scripts.is_empty() {
        let version = version.as_deref().unwrap_or("unknown");
        format!(
            "<p>BokehJS {} is not on this site, so this plot can't be drawn. Publish the model again.</p>",
            escape(version)
        )
    } else {
        String::new()
    };
    // `</script>` inside the data would end the block.
    let document = Some(text.replace("</", "<\\/")).filter(|_| !scripts.is_empty());
    Ok(Frame { title, scripts, body, document, drawing: assets::url("bokeh.js") })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

pub(crate) async fn view(
    visitor: Visitor,
    Path((owner, title, number, output)): Path<(String, String, u32, String)>,
) -> PageResult {
    let app = &visitor.app;
    let simulation = visitor.take(app.simulation(&visitor.caller, &owner, &title, number).await)?;
    let missing = || visitor.fail(AppError::missing("the output"));
    let id: OutputId = output.parse().map_err(|_| missing())?;
    let output = visitor.take(app.output(&simulation, id).await)?;
    if output.size > LARGEST {
        return Err(visitor.fail(AppError::Unavailable {
            sentence: format!("{} is too large to be shown; download it.", output.filename),
        }));
    }
    let bytes = visitor.take(bytes_of(app, &output.object_key()).await)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let plain = |body: String| Frame {
        title: output.title.clone(),
        scripts: Vec::new(),
        body,
        document: None,
        drawing: String::new(),
    };
    let frame = match output.media_type {
        MediaType::Bokeh => visitor.take(bokeh(app, output.title.clone(), &text).await)?,
        MediaType::Table => plain(text),
        MediaType::Markdown => plain(markdown(&text)),
        _ => plain(format!("<pre>{}</pre>", escape(&text))),
    };
    let mut response = show(&frame);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    Ok(response)
}

/// A script of BokehJS, from the environment of the model that used it.
pub(crate) async fn bokeh_script(visitor: Visitor, Path((version, file)): Path<(String, String)>) -> Response {
    let safe =
        |text: &str| !text.contains("..") && text.chars().all(|c| c.is_ascii_alphanumeric() || ".-+_".contains(c));
    if !safe(&version) || !SCRIPTS.contains(&file.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match bytes_of(&visitor.app, &script_key(&version, &file)).await {
        Ok(bytes) => (
            [
                (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
                (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            ],
            bytes,
        )
            .into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}
