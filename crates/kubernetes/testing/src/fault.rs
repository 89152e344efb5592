//! What spoils requests.

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "words of the API")]
pub enum Verb {
    Get,
    List,
    Watch,
    Create,
    Replace,
    Patch,
    Delete,
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// 429, to come back after so many seconds.
    TooMany(u32),
    /// 500.
    Internal,
    /// 503: the server is starting or stopping.
    Unavailable,
    /// 403 with this message.
    Forbidden(String),
    /// 409: the object has changed meanwhile.
    Conflict,
    /// The connection is cut before anything was done.
    Cut,
    /// It is carried out, and the answer is lost.
    AnswerLost,
}

/// Faults that wait for requests.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(Verb, &'static str, Fault)>);

impl Faults {
    pub(crate) fn add(&mut self, verb: Verb, plural: &'static str, fault: Fault) {
        self.0.push((verb, plural, fault));
    }

    /// The first that fits, which is then used up.
    pub(crate) fn take(&mut self, verb: Verb, plural: &str) -> Option<Fault> {
        let index = self.0.iter().position(|(of, on, _)| *of == verb && *on == plural)?;
        Some(self.0.remove(index).2)
    }
}
