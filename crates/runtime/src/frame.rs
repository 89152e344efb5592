//! Frames on a run's socket: one byte of kind, four bytes of length (little endian), and the content.

use bytes::{Buf, Bytes, BytesMut};
use csw_core::output::{MediaType, OutputKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};
use uuid::Uuid;

/// Kinds of frames that the server sends.
pub(crate) const CONFINE: u8 = b'C';
pub(crate) const WARM: u8 = b'W';
pub(crate) const ARGUMENTS: u8 = b'A';

/// The first frame of a run: `H`, with nothing in it.
pub(crate) const HELLO: [u8; HEADER] = [b'H', 0, 0, 0, 0];

const HEADER: usize = 5;

/// No frame is longer: outputs come in parts of a megabyte, and the answers of `get_inputs` and `validate_inputs` are
/// held in memory by everybody who handles them.
const LONGEST: usize = 64 << 20;

/// What a run says.
#[derive(Debug)]
pub(crate) enum Frame {
    /// The model's code is imported.
    Imported,
    /// An output begins.
    Output(Head),
    /// Bytes of it.
    Data(Bytes),
    /// It is complete.
    OutputEnd,
    /// The function returned or failed; nothing follows.
    Report(Box<Report>),
}

/// What is known of an output before its bytes.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    pub(crate) kind: OutputKind,
    pub(crate) position: u32,
    pub(crate) title: String,
    pub(crate) media_type: MediaType,
    pub(crate) id: Option<Uuid>,
}

/// The end of a run, as its process tells it.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) returned: Option<Returned>,
    pub(crate) failed: Option<String>,
    #[serde(default)]
    pub(crate) memory_error: bool,
    /// The model failed for want of room on the disk.
    #[serde(default)]
    pub(crate) disk_full: bool,
    #[serde(default)]
    pub(crate) milliseconds: u64,
    pub(crate) version: Option<String>,
    #[serde(default)]
    pub(crate) cpu_milliseconds: u64,
    #[serde(default)]
    pub(crate) peak_memory_bytes: u64,
}

/// What the function returned.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Returned {
    Version(String),
    Defaults { meta_parameters: Value, model_parameters: Value },
    Parse { errors_warnings: Value, custom_adjustment: Option<Value> },
    Sim { outputs: u32 },
}

/// Why frames can't be read on.
#[derive(Debug, Error)]
pub(crate) enum FrameError {
    /// The socket broke.
    #[error("reading from the run's process: {0}")]
    Broken(#[from] std::io::Error),
    /// The model wrote into its socket, or the answer is beyond all measure.
    #[error("the run's process sent what is not understood: {0}")]
    Garbled(String),
}

/// Reads frames; may be dropped between and asked again.
pub(crate) struct Frames<R> {
    reader: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: BytesMut::new() }
    }

    /// The next frame; `None` at the end of the socket.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn take(&mut self) -> Result<Option<Frame>, FrameError> {
        let [kind, a, b, c, d, ..] = self.buffer[..] else { return Ok(None) };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > LONGEST {
            return Err(FrameError::Garbled(format!("a frame of {length} bytes; {LONGEST} are allowed")));
        }
        if self.buffer.len() < HEADER + length {
            self.buffer.reserve(HEADER + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        let content = self.buffer.split_to(length).freeze();
        Ok(Some(match kind {
            b'I' => Frame::Imported,
            b'O' => Frame::Output(decode(&content)?),
            b'D' => Frame::Data(content),
            b'E' => Frame::OutputEnd,
            b'R' => Frame::Report(Box::new(decode(&content)?)),
            other => return Err(FrameError::Garbled(format!("a frame of the kind {other}"))),
        }))
    }
}

fn decode<'a, T: Deserialize<'a>>(content: &'a [u8]) -> Result<T, FrameError> {
    serde_json::from_slice(content).map_err(|error| FrameError::Garbled(error.to_string()))
}

/// A frame with JSON in it.
pub(crate) fn encode<T: Serialize>(kind: u8, value: &T) -> serde_json::Result<Vec<u8>> {
    let mut frame = vec![kind, 0, 0, 0, 0];
    serde_json::to_writer(&mut frame, value)?;
    let length = u32::try_from(frame.len() - HEADER).map_err(serde::ser::Error::custom)?;
    frame[1..HEADER].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
        let mut frames = Frames::new(bytes);
        let mut found = vec![];
        while let Some(frame) = frames.next().await? {
            found.push(frame);
        }
        Ok(found)
    }

    #[tokio::test]
    async fn frames_follow_each_other() {
        let mut bytes = b"I\0\0\0\0".to_vec();
        bytes.extend(encode(b'R', &serde_json::json!({"returned": {"version": "1"}, "milliseconds": 3})).unwrap());
        let found = read(&bytes).await.unwrap();
        assert!(matches!(found[0], Frame::Imported));
        let Frame::Report(report) = &found[1] else { panic!("{found:?}") };
        assert!(matches!(&report.returned, Some(Returned::Version(text)) if text == "1"));
        assert_eq!(report.milliseconds, 3);
    }

    #[tokio::test]
    async fn noise_is_an_error_and_never_a_big_allocation() {
        assert!(read(b"O\xff\xff\xff\xff").await.is_err());
        assert!(read(b"Z\0\0\0\0").await.is_err());
        assert!(read(b"R\x02\0\0\0{]").await.is_err());
        assert!(read(b"D\x09\0\0\0half").await.unwrap().is_empty());
    }
}
