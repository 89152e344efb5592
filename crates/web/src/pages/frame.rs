//! Outputs as documents of their own. What a model made may hold any markup, so it is served with a policy that takes
//! its origin away (`sandbox`), and our pages show it in frames that do the same: it can't read our cookies, our pages,
//! or the network. Scripts in it do not run, but for the code that a bokeh document brings for BokehJS.
//!
//! A script of ours in each of them tells the page how high it is, and lets tables be sorted.

use std::fmt::Write as _;

use askama::Template;
use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use csw_app::{App, AppError};
use csw_core::{
    ids::OutputId,
    output::{
        MediaType, Output,
        bokeh::{SCRIPTS, script_key, version_of},
    },
    tables::csv,
};
use futures::TryStreamExt;
use serde_json::Value;

use super::{
    assets,
    page::{PageResult, go, show},
    render::{markdown, url},
    visitor::{Place, Visitor},
};

/// Larger outputs are offered as files only: a page is made in memory.
pub(crate) const LARGEST: u64 = 16 << 20;

/// Rows of a CSV that are shown.
const ROWS: usize = 1_000;

/// What a frame may do, apart from scripts: nothing is fetched but our own styles, and nothing is sent.
const POLICY: &str = "sandbox allow-scripts; default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data: blob:; \
                      font-src data:; media-src data: blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

#[derive(Template)]
#[template(path = "frame.html")]
struct Frame {
    title: String,
    /// Whether it follows the reader's choice of light or dark. What brings colours of its own does not.
    plain: bool,
    style: String,
    /// What the scripts that may run carry, and nothing else can.
    nonce: String,
    script: String,
    /// BokehJS.
    scripts: Vec<String>,
    body: String,
    document: Option<String>,
    drawing: String,
}

impl Frame {
    fn new(title: &str, plain: bool, body: String) -> Self {
        Self {
            title: title.to_owned(),
            plain,
            nonce: String::new(),
            style: assets::url("frame.css"),
            script: assets::url("frame.js"),
            scripts: Vec::new(),
            body,
            document: None,
            drawing: String::new(),
        }
    }

    /// The policy that lets these scripts run. BokehJS makes functions of texts.
    fn policy(&self) -> String {
        let making = if self.scripts.is_empty() { "" } else { " 'unsafe-eval'" };
        format!("{POLICY}; script-src 'nonce-{}'{making}", self.nonce)
    }
}

async fn bytes_of(app: &App, key: &str) -> Result<Vec<u8>, AppError> {
    let stream = app.ports().objects.get(key, None).await?;
    stream
        .try_fold(Vec::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        })
        .await
        .map_err(AppError::from)
}

async fn bokeh(app: &App, title: &str, text: &str) -> Frame {
    let version = serde_json::from_str::<Value>(text).ok().and_then(|value| version_of(&value).map(str::to_owned));
    let mut scripts = Vec::new();
    for file in SCRIPTS {
        if let Some(version) = &version
            && app.ports().objects.size(&script_key(version, file)).await.ok().flatten().is_some()
        {
            scripts.push(format!("/storage/bokeh/{version}/{file}"));
        }
    }
    if scripts.is_empty() {
        let version = escape(version.as_deref().unwrap_or("of an unknown version"));
        let sentence = format!(
            "<p>BokehJS {version} is not on this site, so this plot can't be drawn. Publish the model again.</p>"
        );
        return Frame::new(title, true, sentence);
    }
    Frame {
        scripts,
        // In JSON this character stands in texts only, where it could end the block that holds the document.
        document: Some(text.replace('<', "\\u003c")),
        drawing: assets::url("bokeh.js"),
        ..Frame::new(title, false, String::new())
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A CSV as a table, whose first line has the names of the columns.
fn table(text: &str) -> String {
    let (rows, rest) = csv::rows(text, ROWS + 1);
    let mut html = String::from("<table>");
    for (at, row) in rows.iter().enumerate() {
        let cell = if at == 0 { "th" } else { "td" };
        html.push_str(if at == 0 { "<thead><tr>" } else { "<tr>" });
        for text in row {
            let _ = write!(html, "<{cell}>{}</{cell}>", escape(text));
        }
        html.push_str(if at == 0 { "</tr></thead><tbody>" } else { "</tr>" });
    }
    html.push_str(if rows.is_empty() { "</table>" } else { "</tbody></table>" });
    if rest {
        let _ = write!(html, "<p>These are the first {ROWS} rows; the file has all.</p>");
    }
    html
}

/// Whether markup brings colours of its own, which look right on white only.
fn is_coloured(markup: &str) -> bool {
    ["style", "bgcolor", "color="].iter().any(|word| markup.contains(word))
}

async fn frame(app: &App, output: &Output) -> Result<Frame, AppError> {
    if output.size > LARGEST {
        let sentence = format!("{} is too large to be shown; download it.", output.filename);
        return Err(AppError::Unavailable { sentence });
    }
    let bytes = bytes_of(app, &output.object_key()).await?;
    let text = String::from_utf8_lossy(&bytes);
    let title = output.title.as_str();
    Ok(match output.media_type {
        MediaType::Bokeh => bokeh(app, title, &text).await,
        MediaType::Table => Frame::new(title, !is_coloured(&text), text.into_owned()),
        MediaType::Csv => Frame::new(title, true, table(&text)),
        MediaType::Markdown => Frame::new(title, true, markdown(&text)),
        _ => Frame::new(title, true, format!("<pre>{}</pre>", escape(&text))),
    })
}

/// Whether a browser opens the frame by itself: it is made for a page, which keeps it from going anywhere else.
fn is_alone(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-dest").is_some_and(|to| to == "document")
}

pub(crate) async fn view(
    visitor: Visitor,
    Place((owner, title, number, output)): Place<(String, String, u32, String)>,
    headers: HeaderMap,
) -> PageResult {
    let app = &visitor.app;
    let simulation = visitor.take(app.simulation(&visitor.caller, &owner, &title, number).await)?;
    if is_alone(&headers) {
        return Ok(go(&url(&simulation.simulation)));
    }
    let id: OutputId = visitor.take(output.parse().map_err(|_| AppError::missing("the output")))?;
    let output = visitor.take(app.output(&simulation, id).await)?;
    let mut nonce = [0; 16];
    app.ports().randomness.fill(&mut nonce);
    let frame = Frame { nonce: hex::encode(nonce), ..visitor.take(frame(app, &output).await)? };
    let unwritable = |_| AppError::Internal { sentence: "the policy of a frame can't be a header".to_owned() };
    let policy = visitor.take(HeaderValue::try_from(frame.policy()).map_err(unwritable))?;
    let mut response = show(&frame);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    headers.insert(header::VARY, HeaderValue::from_static("sec-fetch-dest"));
    // Names that are looked up before they are used would be a way out, too.
    headers.insert("x-dns-prefetch-control", HeaderValue::from_static("off"));
    Ok(response)
}

/// A script of BokehJS, from the environment of the model that used it.
pub(crate) async fn bokeh_script(visitor: Visitor, Place((version, file)): Place<(String, String)>) -> Response {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_becomes_a_table_that_is_only_text() {
        let html = table("name,value\n<script>,1\n");
        assert_eq!(
            html,
            "<table><thead><tr><th>name</th><th>value</th></tr></thead><tbody>\
             <tr><td>&lt;script&gt;</td><td>1</td></tr></tbody></table>"
        );
        assert_eq!(table(""), "<table></table>");
    }

    #[test]
    fn colours_are_noticed() {
        assert!(is_coloured("<td style='background:#eee'>"));
        assert!(!is_coloured("<table border=\"1\" class=\"dataframe\"><td>1</td>"));
    }
}
