//! Server-sent events: status, log and progress of a simulation as they happen.

use bytes::{Bytes, BytesMut};
use futures::{Stream, TryStreamExt};
use serde_json::Value;

use crate::{client::Client, error::ClientResult};

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What kind: `status`, `log`, `progress`, ...
    pub name: String,
    /// Its data: JSON, or the text itself.
    pub data: Value,
    /// Its identifier, to resume after.
    pub id: Option<String>,
}

/// The events of one simulation, until it is over.
pub struct EventStream {
    parts: Box<dyn Stream<Item = ClientResult<Bytes>> + Unpin + Send>,
    parser: Parser,
}

impl Client {
    /// Follows a simulation.
    pub async fn events(&self, name: &str, number: u32) -> ClientResult<EventStream> {
        let parts = self.stream(&format!("/{name}/api/v1/{number}/events/")).await?;
        Ok(EventStream { parts: Box::new(parts), parser: Parser::default() })
    }
}

impl EventStream {
    /// The next event, or nothing once the server has closed the stream.
    pub async fn next(&mut self) -> ClientResult<Option<Event>> {
        loop {
            if let Some(event) = self.parser.next() {
                return Ok(Some(event));
            }
            match self.parts.try_next().await? {
                Some(part) => self.parser.push(&part),
                None => return Ok(None),
            }
        }
    }
}

#[derive(Default)]
struct Parser {
    waiting: BytesMut,
}

impl Parser {
    fn push(&mut self, part: &[u8]) {
        self.waiting.extend(part.iter().filter(|byte| **byte != b'\r'));
    }

    fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.waiting.windows(2).position(|pair| pair == b"\n\n")?;
            let block = self.waiting.split_to(end + 2);
            if let Some(event) = parse(&String::from_utf8_lossy(&block)) {
                return Some(event);
            }
        }
    }
}

/// An event of a block of lines; comments alone are none.
fn parse(block: &str) -> Option<Event> {
    let (mut name, mut id, mut data) = ("message".to_owned(), None, Vec::new());
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => data.push(value),
            "id" => id = Some(value.to_owned()),
            _ => {}
        }
    }
    if data.is_empty() {
        return None;
    }
    let text = data.join("\n");
    let data = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Some(Event { name, data, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_whole_however_they_are_cut() {
        let text = b": hello\n\nevent: status\ndata: {\"status\":\"PENDING\"}\nid: 3\n\ndata: a\ndata: b\r\n\r\n";
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for part in text.chunks(size) {
                parser.push(part);
                while let Some(event) = parser.next() {
                    events.push(event);
                }
            }
            assert_eq!(events.len(), 2, "in parts of {size}");
            assert_eq!(events[0].data["status"], "PENDING");
            assert_eq!(events[1].data, Value::String("a\nb".to_owned()));
        }
    }
}
