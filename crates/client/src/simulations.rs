//! Simulations: making, following, reading.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use futures::TryStreamExt;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::{
    client::{Client, read_json},
    error::{ClientError, ClientResult},
    types::{Detail, Inputs, MiniSimulation, Page, RemoteOutputs, Simulation},
};

/// What to run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewSimulation {
    /// `{name: value or [VO]}`.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub meta_parameters: Value,
    /// `{section: {name: value or [VO]}}`.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub adjustment: Value,
    /// Number of the simulation it derives from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_model_pk: Option<u32>,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether anybody may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_public: Option<bool>,
    /// Mail at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notify_on_completion: Option<bool>,
    /// Run again, though an earlier result could answer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fresh: bool,
    /// Identifier of a version other than the live one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The same key gives the same simulation again.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// Which simulations of the caller are wanted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SimulationQuery {
    /// Part of the list, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
    /// Text in the title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// A status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// `OWNER/TITLE` of a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Comma list of keys, `-` before one for descending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordering: Option<String>,
}

fn path(name: &str, number: u32, rest: &str) -> String {
    format!("/{name}/api/v1/{number}/{rest}")
}

impl Client {
    /// Makes a simulation; its validation and run follow by themselves.
    pub async fn create(&self, name: &str, new: &NewSimulation) -> ClientResult<Inputs> {
        let mut request = self.request(Method::POST, &format!("/{name}/api/v1/")).json(new);
        if let Some(key) = &new.idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        self.json(request).await
    }

    /// What was submitted to a simulation.
    pub async fn inputs(&self, name: &str, number: u32) -> ClientResult<Inputs> {
        self.get(&path(name, number, "edit/")).await
    }

    /// A simulation with the data of its outputs.
    pub async fn simulation(&self, name: &str, number: u32) -> ClientResult<Simulation> {
        self.get(&path(name, number, "")).await
    }

    /// A simulation with references to its outputs.
    pub async fn remote(&self, name: &str, number: u32) -> ClientResult<Detail<RemoteOutputs>> {
        read_json(self.send(self.request(Method::GET, &path(name, number, "remote/"))).await?).await
    }

    /// Waits for the end of a simulation. One whose inputs are not valid ends as it stands, with status `STARTED`.
    pub async fn wait(&self, name: &str, number: u32) -> ClientResult<Detail<RemoteOutputs>> {
        let mut pause = Duration::from_millis(20);
        loop {
            let simulation = self.remote(name, number).await?;
            if simulation.is_over() {
                return Ok(simulation);
            }
            if simulation.status == "STARTED" {
                let inputs = self.inputs(name, number).await?;
                if matches!(inputs.status.as_str(), "INVALID" | "FAIL" | "WORKER_FAILURE" | "STARTED") {
                    return Ok(simulation);
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(Duration::from_secs(2));
        }
    }

    /// Changes title, readme, visibility, notification or archiving.
    pub async fn update(&self, name: &str, number: u32, changes: &Value) -> ClientResult<MiniSimulation> {
        self.put(&path(name, number, ""), changes).await
    }

    /// A copy for the caller.
    pub async fn fork(&self, name: &str, number: u32) -> ClientResult<MiniSimulation> {
        self.post(&path(name, number, "fork/"), &json!({})).await
    }

    /// Stops validation or run.
    pub async fn cancel(&self, name: &str, number: u32) -> ClientResult<()> {
        self.send(self.request(Method::POST, &path(name, number, "cancel/")).json(&json!({}))).await.map(drop)
    }

    /// Removes a simulation.
    pub async fn delete_simulation(&self, name: &str, number: u32) -> ClientResult<()> {
        self.delete(&path(name, number, "")).await
    }

    /// Sets roles: pairs of a name and `read`, `write`, `admin` or nothing.
    pub async fn set_access(&self, name: &str, number: u32, roles: &[(&str, Option<&str>)]) -> ClientResult<()> {
        let body: Vec<Value> =
            roles.iter().map(|(username, role)| json!({ "username": username, "role": role })).collect();
        self.send(self.request(Method::PUT, &path(name, number, "access/")).json(&body)).await.map(drop)
    }

    /// Text of the run's log from byte `offset` on.
    pub async fn log(&self, name: &str, number: u32, offset: u64) -> ClientResult<Bytes> {
        self.log_text(&path(name, number, "log/"), offset).await
    }

    /// The caller's simulations.
    pub async fn simulations(&self, query: &SimulationQuery) -> ClientResult<Page<MiniSimulation>> {
        self.find("/api/v1/sims", query).await
    }

    /// Writes the bytes of an output into a file; says how many.
    pub async fn save_output(&self, name: &str, number: u32, id: &str, into: &Path) -> ClientResult<u64> {
        self.save(&path(name, number, &format!("outputs/{id}/")), into).await
    }

    /// Writes the zip of a simulation's downloadable outputs into a file; says how many bytes.
    pub async fn save_zip(&self, name: &str, number: u32, into: &Path) -> ClientResult<u64> {
        self.save(&format!("/{name}/{number}/download/"), into).await
    }

    async fn save(&self, path: &str, into: &Path) -> ClientResult<u64> {
        let failed = |cause| ClientError::File { path: into.display().to_string(), cause };
        let mut parts = self.stream(path).await?;
        let mut file = tokio::fs::File::create(into).await.map_err(failed)?;
        let mut length = 0;
        while let Some(part) = parts.try_next().await? {
            file.write_all(&part).await.map_err(failed)?;
            length += part.len() as u64;
        }
        file.flush().await.map_err(failed)?;
        Ok(length)
    }
}
