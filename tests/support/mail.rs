//! A mail server that takes messages and keeps them, one conversation after the other.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::bail;

use crate::Result;

/// A server on a free port of this machine. It offers no TLS, and knows nobody whose name begins with `nobody`.
pub struct MailServer {
    port: u16,
    messages: Arc<Mutex<Vec<Message>>>,
}

/// What was handed over.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// The sender of the envelope.
    pub from: String,
    /// The recipient of the envelope.
    pub to: String,
    /// Headers and body.
    pub text: String,
}

impl MailServer {
    /// Starts it; its threads end with the test.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let messages = Arc::<Mutex<Vec<Message>>>::default();
        let kept = Arc::clone(&messages);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away in the middle has sent nothing.
                let _ = converse(stream, &kept);
            }
        });
        Ok(Self { port, messages })
    }

    /// Its host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The first message, once there is one.
    pub fn message(&self) -> Result<Message> {
        for _ in 0..600 {
            if let Some(message) = lock(&self.messages).first() {
                return Ok(message.clone());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("no message came")
    }

    /// How many messages came.
    pub fn count(&self) -> usize {
        lock(&self.messages).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn converse(stream: TcpStream, messages: &Mutex<Vec<Message>>) -> Result {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    let mut say = move |text: &str| out.write_all(format!("{text}\r\n").as_bytes());
    say("220 test ESMTP")?;
    let mut message = Message::default();
    while let Some(line) = lines.next() {
        let line = line?;
        let (verb, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
        let address = || rest.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => say("250-test\r\n250 8BITMIME")?,
            "MAIL" => {
                message.from = address();
                say("250 fine")?;
            }
            "RCPT" if address().starts_with("nobody") => say("550 no such person")?,
            "RCPT" => {
                message.to = address();
                say("250 fine")?;
            }
            "DATA" => {
                say("354 go on")?;
                for line in lines.by_ref() {
                    let line = line?;
                    if line == "." {
                        break;
                    }
                    message.text.push_str(line.strip_prefix("..").map_or(line.as_str(), |_| &line[1..]));
                    message.text.push('\n');
                }
                lock(messages).push(std::mem::take(&mut message));
                say("250 kept")?;
            }
            "QUIT" => {
                say("221 bye")?;
                return Ok(());
            }
            "RSET" | "NOOP" => say("250 fine")?,
            _ => say("502 not here")?,
        }
    }
    Ok(())
}
