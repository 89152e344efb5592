//! The JSON of the API, as a client sees it.

mod cost;
mod model;
mod page;
mod pull;
mod secret;
mod simulation;
mod token;

pub use self::{
    cost::{Budget, CostRow, Costs, Sponsor},
    model::{Build, Model, ModelDetails, Version},
    page::Page,
    pull::{Pull, PullCheck, PullCommit, PullFile},
    secret::{Secret, SecretEvent},
    simulation::{
        Detail, Inputs, InputsSchema, MiniSimulation, Output, OutputReference, OutputReferences, Outputs,
        ReferenceList, RemoteOutputs, Simulation,
    },
    token::{NewToken, Token},
};
