//! Identifiers: one type each, so that a run can't be taken for a simulation. All are UUIDs, version 7 where they are
//! keys of growing tables (they sort by creation on both databases).

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// An identifier that sorts by `now` and is unique by ten bytes of `randomness`.
            #[must_use]
            pub fn new(now: Timestamp, randomness: [u8; 10]) -> Self {
                let milliseconds = u64::try_from(now.as_millisecond()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(milliseconds, &randomness).into_uuid())
            }

            /// The identifier with this value, as stored or received.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The value.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )*};
}

ids! {
    /// An account.
    AccountId;
    /// A named API token of an account.
    TokenId;
    /// A published model.
    ModelId;
    /// An immutable build of a model.
    VersionId;
    /// One pass of the publishing pipeline.
    BuildId;
    /// A pull request (the row; users see its number).
    PullId;
    /// A simulation (the row; users see its number).
    SimulationId;
    /// One attempt to execute a task; `job_id` in the 1.6 REST fields.
    RunId;
    /// An output.
    OutputId;
    /// An invitation to become a coauthor.
    InviteId;
    /// A check that a forge shows beside a commit.
    CheckId;
    /// An account's trust in the workflows of a repository.
    TrustId;
    /// The right to act on a claimed run; a new one at each claim fences off workers that lost theirs.
    Lease;
}
