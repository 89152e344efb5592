//! What becomes of a Job's pod.

/// What the node lets a pod suffer. Jobs take them in the order in which they were given; without any, they run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its command runs as a process.
    Run,
    /// Nothing happens: no controller looks at it.
    Ignored,
    /// It stays where it is, without a node.
    Unschedulable,
    /// Its image can't be pulled.
    NoImage,
    /// The same for some milliseconds; then it runs.
    NoImageFor(u64),
    /// Its container's configuration names what is not there.
    ConfigError,
    /// No pod is made, and an event says why.
    Refused(String),
    /// It starts, and its container is killed at its memory limit.
    OutOfMemory,
    /// It starts, and is evicted.
    Evicted,
    /// It starts, and its node goes away. A Job that ignores disruptions gets another pod, which runs.
    NodeLost,
    /// Its container ends with this code and nothing was run.
    Exit(i32),
}
