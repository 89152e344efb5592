//! The page that shows an output to the browser.
//!
//! Our page holds the output as the text of a frame with an origin of its own, out of which no address of a file leads,
//! and says in its policy that nothing is fetched. The frame inherits that policy and can't shed it. Of its scripts only those
//! run that carry the number of this one picture: ours, and BokehJS.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use csw_core::{
    output::MediaType,
    ports::{DrawError, Subject},
    tables::csv,
};

/// Side of the picture, in pixels of the page and of the picture alike.
pub(crate) const WIDTH: u32 = 600;
/// The other side.
pub(crate) const HEIGHT: u32 = 450;

/// Rows of a CSV that have room in a picture.
const ROWS: usize = 60;

const STYLE: &str = include_str!("look.css");
const FIT: &str = include_str!("fit.js");
const DRAW: &str = include_str!("draw.js");

/// What is in the frame.
struct Look {
    /// How it is fitted into the picture; a class of the style.
    kind: &'static str,
    body: String,
}

/// The page of a subject. `nonce` is what its own scripts carry.
pub(crate) fn page(subject: &Subject, nonce: &str) -> Result<String, DrawError> {
    let Look { kind, body } = look(subject)?;
    let mut frame = format!("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><style>{STYLE}</style>");
    for script in &subject.scripts {
        write_script(&mut frame, nonce, &String::from_utf8_lossy(script));
    }
    write_script(&mut frame, nonce, FIT);
    let _ = write!(frame, "<body class=\"{kind}\">{body}");
    if kind == "plot" {
        write_script(&mut frame, nonce, DRAW);
    }
    let frame = frame.replace('&', "&amp;").replace('"', "&quot;");
    Ok(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; script-src 'nonce-{nonce}' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: \
         blob:; font-src data:; frame-src 'none'; form-action 'none'; base-uri 'none'\"><style>html, body {{ margin: 0; \
         background: #fff; overflow: hidden }} iframe {{ border: 0; display: block; width: {WIDTH}px; height: {HEIGHT}px \
         }}</style></head><body><iframe sandbox=\"allow-scripts\" srcdoc=\"{frame}\"></iframe></body></html>"
    ))
}

fn look(subject: &Subject) -> Result<Look, DrawError> {
    let text = || String::from_utf8_lossy(&subject.bytes);
    let picture = |kind: &str| Look {
        kind: "image",
        body: format!("<img src=\"data:{kind};base64,{}\">", STANDARD.encode(&subject.bytes)),
    };
    Ok(match subject.media_type {
        MediaType::Bokeh if subject.scripts.is_empty() => {
            return Err(DrawError::Nothing { why: "its BokehJS is not on this site".to_owned() });
        }
        // In JSON this character stands in texts only, where it could end the block that holds the document.
        MediaType::Bokeh => Look {
            kind: "plot",
            body: format!(
                "<div id=\"plot\"></div><script type=\"application/json\" id=\"document\">{}</script>",
                text().replace('<', "\\u003c")
            ),
        },
        MediaType::Table => Look { kind: "table", body: text().into_owned() },
        MediaType::Csv => Look { kind: "table", body: table(&text()) },
        MediaType::Markdown => Look { kind: "prose", body: markdown(&text()) },
        MediaType::Text => Look { kind: "text", body: format!("<pre>{}</pre>", escape(&text())) },
        MediaType::Png => picture("image/png"),
        MediaType::Jpeg => picture("image/jpeg"),
        MediaType::Mp3 | MediaType::Mp4 | MediaType::Hdf5 | MediaType::Pdf => {
            let why = format!("a file of type {} has no look", subject.media_type.as_str());
            return Err(DrawError::Nothing { why });
        }
    })
}

/// A script in the page. What would end its block, or begin a comment, is the same to JavaScript with a backslash.
fn write_script(page: &mut String, nonce: &str, script: &str) {
    let script = script.replace("</script", "<\\/script").replace("<!--", "<\\!--");
    let _ = write!(page, "<script nonce=\"{nonce}\">{script}</script>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn table(text: &str) -> String {
    let (rows, _) = csv::rows(text, ROWS);
    let mut html = String::from("<table>");
    for (at, row) in rows.iter().enumerate() {
        let cell = if at == 0 { "th" } else { "td" };
        html.push_str("<tr>");
        for text in row {
            let _ = write!(html, "<{cell}>{}</{cell}>", escape(text));
        }
        html.push_str("</tr>");
    }
    html.push_str("</table>");
    html
}

fn markdown(text: &str) -> String {
    let mut options = comrak::Options::default();
    options.extension.table = true;
    options.extension.strikethrough = true;
    comrak::markdown_to_html(text, &options)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn subject(media_type: MediaType, text: &str) -> Subject {
        Subject { media_type, bytes: Bytes::copy_from_slice(text.as_bytes()), scripts: vec![] }
    }

    #[test]
    fn no_output_leaves_its_frame() {
        for media_type in [MediaType::Table, MediaType::Text, MediaType::Markdown, MediaType::Csv] {
            let page = page(&subject(media_type, "\"></iframe><b>out</b>"), "7").unwrap();
            assert_eq!(page.matches("<iframe").count(), 1);
            assert_eq!(
                page.split_once("srcdoc=\"").unwrap().1.find('"'),
                page.split_once("srcdoc=\"").unwrap().1.find("\"></iframe></body>")
            );
        }
    }

    #[test]
    fn no_script_ends_its_block() {
        let scripts = vec![Bytes::from_static(b"a = '</script><!-- <script>'")];
        let page = page(&Subject { scripts, ..subject(MediaType::Bokeh, "{\"a\": \"</script>\"}") }, "7").unwrap();
        assert!(page.contains("a = '<\\/script><\\!-- <script>'"));
        assert!(page.contains("\\u003c/script>"));
    }

    #[test]
    fn what_has_no_look_is_told() {
        assert!(matches!(page(&subject(MediaType::Pdf, ""), "7"), Err(DrawError::Nothing { .. })));
        let why = page(&subject(MediaType::Bokeh, "{}"), "7").unwrap_err().to_string();
        assert_eq!(why, "there is nothing to be seen: its BokehJS is not on this site");
    }
}
