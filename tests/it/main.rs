//! Tests of the whole: the real program, a real folder, real models, over HTTP and the command line.

mod accounts;
mod backup;
mod command_line;
mod common;
mod contract;
mod dependencies;
mod examples;
mod faults;
mod forge;
mod images;
mod mail;
mod operators;
mod pipeline;
mod publish_repository;
mod publishing;
mod real_models;
mod rebuilding;
mod secrets;
mod simulations;
mod webhooks;
