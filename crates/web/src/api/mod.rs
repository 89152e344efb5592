//! The REST API: the routes, fields and status codes of Compute Studio 1.6, and what came after it.
//!
//! Each route is declared with its part of the OpenAPI document, so that none is without one. To add a route: write its
//! handler with `#[utoipa::path]`, name it in the `router` of its module, and regenerate the committed document as its
//! test says.

mod accounts;
mod body;
mod callbacks;
pub(crate) mod costs;
mod dto;
mod extract;
mod inputs;
mod login;
mod models;
mod outputs_json;
mod page;
mod pulls;
mod range;
pub(crate) mod reference;
pub(crate) mod schema_cache;
mod secrets;
mod service;
mod simulations;
mod tokens;
mod trust;
mod users;
mod worker_outputs;

use axum::Router;
use utoipa::{
    OpenApi,
    openapi::{
        Components,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use crate::state::{WebOptions, WebState};

#[derive(OpenApi)]
#[openapi(info(
    title = "Compute Studio",
    description = "Publish computational models, run simulations of them, and read what they found.\n\n\
        Authentication: `Authorization: Token TOKEN` (or `Bearer`), HTTP Basic with a password or a token, or the \
        session of a browser. Publishing takes the OpenID Connect token of a GitHub workflow as well, as `Bearer`, where \
        an account trusts it (`/api/v1/trust/`). Bodies are JSON, forms or multipart forms; in forms, fields of a JSON type are strings \
        that hold JSON. Owners and titles are found in any letter case, and every path with or without its last slash.\
        \n\nErrors are `{\"detail\": sentence}`, or `{\"field\": [sentences]}` where the request is not valid. Limits \
        answer 429 with `Retry-After`. Lists answer `{\"count\", \"next\", \"previous\", \"results\"}`."
))]
struct Document;

fn routes(upload_limit: usize) -> OpenApiRouter<WebState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(simulations::router())
        .merge(inputs::router())
        .merge(models::router(upload_limit))
        .merge(pulls::router())
        .merge(users::router())
        .merge(login::router())
        .merge(tokens::router())
        .merge(trust::router())
        .merge(accounts::router())
        .merge(costs::router())
        .merge(secrets::router())
        .merge(callbacks::router())
        .merge(service::router())
}

/// The routes of the API.
pub(crate) fn router(options: &WebOptions) -> Router<WebState> {
    routes(options.upload_limit).split_for_parts().0
}

/// The document of the API.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = routes(0).into_openapi();
    let components = document.components.get_or_insert_with(Components::new);
    let token = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
        "Authorization",
        "`Token TOKEN`, or `Bearer TOKEN`",
    )));
    let basic = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Basic).build());
    let session = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("csw_session")));
    for (name, scheme) in [("token", token), ("basic", basic), ("session", session)] {
        components.add_security_scheme(name, scheme);
    }
    let nobody = SecurityRequirement::default();
    let ways = ["token", "basic", "session"].map(|name| SecurityRequirement::new(name, [] as [&str; 0]));
    document.security = Some(std::iter::once(nobody).chain(ways).collect());
    document
}
