//! The JSON of the API. Field names and shapes are those of Compute Studio 1.6, so that its clients keep working; what
//! came later is added, never put in place.

mod account;
mod model;
mod secret;
mod simulation;

pub(crate) use self::{
    account::{AccountBody, KeyBody, NewTokenBody, TokenBody, UserBody},
    model::{BuildBody, Project, SchemaChangesBody, TagsBody, VersionBody},
    secret::{SecretBody, SecretEventBody},
    simulation::{
        AccessBody, InputsBody, InviteBody, MiniSimulation, ModelConfig, NewBody, OutputsBody, RemoteOutputs,
        SimulationBody,
    },
};
