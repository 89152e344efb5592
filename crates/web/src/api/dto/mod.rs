//! The JSON of the API. Field names and shapes are those of Compute Studio 1.6, so that its clients keep working; what
//! came later is added, never put in place.

mod account;
mod model;
mod pull;
mod secret;
mod simulation;

pub(crate) use self::{
    account::{AccountBody, KeyBody, NewTokenBody, TokenBody, TrustBody, UserBody},
    model::{BuildBody, Project, SchemaChangesBody, TagsBody, VersionBody, VersionName},
    pull::PullBody,
    secret::{SecretBody, SecretEventBody},
    simulation::{
        AccessBody, InputsBody, InviteBody, MiniSimulation, ModelConfig, NewBody, OutputsBody, RemoteOutputs,
        SimulationBody,
    },
};
