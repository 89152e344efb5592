//! What a path and a query name: a model or simulation as the one who asks sees it, or parts that a handler reads itself.

use std::str::FromStr;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use csw_app::{ModelView, SimulationView};
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

use crate::{
    auth::Identity,
    error::{ApiError, ApiResult},
    state::WebState,
};

/// Parts of a path. What can't be the name of anything of ours does not exist.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<WebState> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> ApiResult<Self> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(named)| Self(named)).map_err(|_| ApiError::not_found())
    }
}

/// What a query string asks for.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<WebState> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> ApiResult<Self> {
        let read = axum::extract::Query::from_request_parts(parts, state).await;
        read.map(|axum::extract::Query(asked)| Self(asked))
            .map_err(|error| ApiError::detail(StatusCode::BAD_REQUEST, error.body_text()))
    }
}

/// The name of a model in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ModelPath {
    /// Who published the model, in any letter case.
    pub(crate) owner: String,
    /// The model's title, in any letter case.
    pub(crate) title: String,
}

/// A simulation in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SimulationPath {
    /// Who published the model, in any letter case.
    pub(crate) owner: String,
    /// The model's title, in any letter case.
    pub(crate) title: String,
    /// Number of the simulation within the model.
    pub(crate) model_pk: u32,
}

/// A model that the caller may see.
pub(crate) struct AtModel {
    pub(crate) who: Identity,
    pub(crate) view: ModelView,
}

impl FromRequestParts<WebState> for AtModel {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> ApiResult<Self> {
        let Path(path) = Path::<ModelPath>::from_request_parts(parts, state).await?;
        let who = Identity::from_request_parts(parts, state).await?;
        let view = state.app.model(&who.caller, &path.owner, &path.title).await?;
        Ok(Self { who, view })
    }
}

/// A simulation that the caller may see.
pub(crate) struct AtSimulation {
    pub(crate) who: Identity,
    pub(crate) view: SimulationView,
}

impl FromRequestParts<WebState> for AtSimulation {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> ApiResult<Self> {
        let Path(path) = Path::<SimulationPath>::from_request_parts(parts, state).await?;
        let who = Identity::from_request_parts(parts, state).await?;
        let view = state.app.simulation(&who.caller, &path.owner, &path.title, path.model_pk).await?;
        Ok(Self { who, view })
    }
}

/// An identifier in a path; what is none does not exist.
pub(crate) fn id<T: FromStr>(text: &str) -> ApiResult<T> {
    text.parse().map_err(|_| ApiError::not_found())
}
