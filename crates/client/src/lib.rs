//! A typed client of the REST API: the requests and answers of Compute Studio 1.6, and what came after it.
//!
//! The command line and the integration tests use it. It never prints, never reads configuration, and knows nothing of
//! the server's insides but the JSON it answers; fields that a newer server adds are ignored.
//!
//! Start reading at [`Client`], then `simulations` and `publishing`.

mod client;
mod costs;
mod error;
mod events;
mod models;
mod publishing;
mod pulls;
mod secrets;
mod simulations;
mod tokens;
mod trust;
mod types;
mod workflow;

pub use crate::{
    client::Client,
    error::{ClientError, ClientResult},
    events::{Event, EventStream},
    publishing::{BuildChoices, Upload},
    simulations::{NewSimulation, SimulationQuery},
    trust::{NewTrust, Trust},
    types::{
        Budget, Build, CostRow, Costs, Detail, Inputs, InputsSchema, MiniSimulation, Model, ModelDetails, NewToken,
        Output, OutputReference, OutputReferences, Outputs, Page, Pull, PullCheck, PullCommit, PullFile, ReferenceList,
        RemoteOutputs, Secret, SecretEvent, Simulation, Sponsor, Token, Version,
    },
    workflow::Workflow,
};
