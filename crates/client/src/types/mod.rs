//! The JSON of the API, as a client sees it.

mod model;
mod page;
mod secret;
mod simulation;
mod token;

pub use self::{
    model::{Build, Model, ModelDetails, Version},
    page::Page,
    secret::{Secret, SecretEvent},
    simulation::{
        Detail, Inputs, InputsSchema, MiniSimulation, Output, OutputReference, OutputReferences, Outputs,
        ReferenceList, RemoteOutputs, Simulation,
    },
    token::{NewToken, Token},
};
