//! Outputs with their data as JSON, written in parts as they come from object storage: an answer of any length needs
//! the memory of a few parts.

use std::io;

use axum::body::{Body, Bytes};
use base64::{Engine, engine::general_purpose::STANDARD};
use csw_app::App;
use csw_core::output::{MediaType, Output, OutputKind};
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Bytes that are gathered before they are handed on.
const PART: usize = 64 * 1024;

/// Parts that wait for a slow client.
const WAITING: usize = 4;

#[derive(Serialize)]
struct Head<'a> {
    id: String,
    title: &'a str,
    media_type: &'static str,
    filename: &'a str,
}

/// Streams `head`, then `{"renderable": [...], "downloadable": [...]}`, then `tail`.
pub(super) fn stream(app: App, head: Vec<u8>, outputs: Vec<Output>, tail: &'static str) -> Body {
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut writer = Writer { buffer: head, sender };
        if let Err(error) = write(&app, &outputs, tail, &mut writer).await {
            // A client that went away is no news; what can't be read breaks the answer off, so that it is seen.
            if !writer.sender.is_closed() {
                tracing::error!(%error, "outputs can't be sent");
            }
            let _ = writer.sender.send(Err(error)).await;
        }
    });
    Body::from_stream(ReceiverStream::new(receiver))
}

async fn write(app: &App, outputs: &[Output], tail: &str, writer: &mut Writer) -> io::Result<()> {
    let mut opening = "{\"renderable\":[";
    for kind in [OutputKind::Renderable, OutputKind::Downloadable] {
        writer.put(opening.as_bytes()).await?;
        opening = "],\"downloadable\":[";
        let mut first = true;
        for output in outputs.iter().filter(|output| output.kind == kind) {
            if !std::mem::take(&mut first) {
                writer.put(b",").await?;
            }
            item(app, output, writer).await?;
        }
    }
    writer.put(b"]}").await?;
    writer.put(tail.as_bytes()).await?;
    writer.flush().await
}

async fn item(app: &App, output: &Output, writer: &mut Writer) -> io::Result<()> {
    let head = Head {
        id: output.id.to_string(),
        title: &output.title,
        media_type: output.media_type.as_str(),
        filename: &output.filename,
    };
    let mut head = serde_json::to_vec(&head).map_err(io::Error::other)?;
    head.pop();
    writer.put(&head).await?;
    writer.put(b",\"data\":").await?;
    let mut encoder = Encoder::of(output.media_type);
    let mut text = Vec::with_capacity(PART);
    let mut bytes = app.read_output(output, None).await.map_err(io::Error::other)?;
    encoder.open(&mut text);
    while let Some(part) = bytes.next().await {
        encoder.push(&part.map_err(io::Error::other)?, &mut text);
        writer.put(&text).await?;
        text.clear();
    }
    encoder.close(&mut text);
    writer.put(&text).await?;
    writer.put(b"}").await
}

struct Writer {
    buffer: Vec<u8>,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Writer {
    async fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PART { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = Bytes::from(std::mem::take(&mut self.buffer));
        self.sender.send(Ok(part)).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Bytes on their way to a JSON value.
enum Encoder {
    /// They are JSON.
    Json,
    /// They are UTF-8; a part may end within a character, whose bytes are passed on as they come.
    Text,
    /// Any bytes; up to two wait for a third.
    Base64(Vec<u8>),
}

impl Encoder {
    fn of(media: MediaType) -> Self {
        match media {
            MediaType::Bokeh => Self::Json,
            _ if media.is_binary() => Self::Base64(Vec::new()),
            _ => Self::Text,
        }
    }

    fn open(&self, out: &mut Vec<u8>) {
        if !matches!(self, Self::Json) {
            out.push(b'"');
        }
    }

    fn push(&mut self, part: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Json => out.extend_from_slice(part),
            Self::Text => escape(part, out),
            Self::Base64(held) => {
                held.extend_from_slice(part);
                let rest = held.split_off(held.len() / 3 * 3);
                out.extend_from_slice(STANDARD.encode(&held).as_bytes());
                *held = rest;
            }
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Self::Base64(held) = self {
            out.extend_from_slice(STANDARD.encode(held).as_bytes());
        }
        self.open(out);
    }
}

fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn encoded(media: MediaType, bytes: &[u8], size: usize) -> Value {
        let mut encoder = Encoder::of(media);
        let mut out = Vec::new();
        encoder.open(&mut out);
        for part in bytes.chunks(size) {
            encoder.push(part, &mut out);
        }
        encoder.close(&mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn any_cut_gives_the_same_json() {
        let text = "quote \" back \\ line\n\r\t\u{0}\u{1f}\u{7f} € 😀 </script>";
        let bytes: Vec<u8> = (0..=255).collect();
        for size in 1..20 {
            assert_eq!(encoded(MediaType::Csv, text.as_bytes(), size), Value::String(text.to_owned()));
            assert_eq!(encoded(MediaType::Png, &bytes, size), Value::String(STANDARD.encode(&bytes)));
            assert_eq!(encoded(MediaType::Bokeh, b"{\"a\": [1, 2]}", size)["a"][1], 2);
        }
        assert_eq!(encoded(MediaType::Png, b"", 1), Value::String(String::new()));
    }
}
