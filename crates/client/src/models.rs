//! Looking at models, and changing what their publisher decides.

use serde_json::Value;

use crate::{
    client::Client,
    error::{ClientError, ClientResult},
    types::{InputsSchema, Model, ModelDetails, Page, Version},
};

impl Client {
    /// Every model that the caller may see.
    pub async fn models(&self) -> ClientResult<Vec<Model>> {
        self.find("/publish/api/", &[("page_size", 200)]).await
    }

    /// A page of the caller's own models.
    pub async fn own_models(&self, page: u32) -> ClientResult<Page<Model>> {
        self.find("/api/v1/models", &[("page", page)]).await
    }

    /// One model; `name` is `OWNER/TITLE`.
    pub async fn model(&self, name: &str) -> ClientResult<Model> {
        self.get(&format!("/publish/api/{name}/detail/")).await
    }

    /// Makes a model of the caller's, without a version yet.
    pub async fn create_model(&self, details: &ModelDetails) -> ClientResult<Model> {
        self.post("/publish/api/", details).await
    }

    /// Changes what the publisher decides.
    pub async fn update_model(&self, name: &str, details: &ModelDetails) -> ClientResult<Model> {
        self.put(&format!("/publish/api/{name}/detail/"), details).await
    }

    /// The bill of materials of a version, CycloneDX.
    pub async fn sbom(&self, name: &str, version: &str) -> ClientResult<Value> {
        self.get(&format!("/{name}/api/v1/versions/{version}/sbom/")).await
    }

    /// The versions of a model, newest first.
    pub async fn versions(&self, name: &str) -> ClientResult<Vec<Version>> {
        self.get(&format!("/publish/api/{name}/versions/")).await
    }

    /// The objects that the live version has in the site's cluster besides its runs.
    pub async fn manifests(&self, name: &str) -> ClientResult<Vec<Value>> {
        #[derive(serde::Deserialize)]
        struct Manifests {
            objects: Vec<Value>,
        }
        let written: Manifests = self.get(&format!("/publish/api/{name}/manifests/")).await?;
        Ok(written.objects)
    }

    /// Makes a version live: a pointer moves, nothing is built. While a staged version is compared with the live one this is
    /// refused with 409, unless `skip_comparison`.
    pub async fn promote(&self, name: &str, version: &str, skip_comparison: bool) -> ClientResult<Value> {
        let body = serde_json::json!({ "skip_comparison": skip_comparison });
        self.post(&format!("/publish/api/{name}/versions/{version}/promote/"), &body).await
    }

    /// What a version makes of the simulations that are looked at most, if it was compared.
    pub async fn comparison(&self, name: &str, version: &str) -> ClientResult<Option<Value>> {
        match self.get(&format!("/{name}/api/v1/versions/{version}/comparison/")).await {
            Ok(found) => Ok(Some(found)),
            Err(ClientError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Compares a staged version with the live one, again if it was compared before.
    pub async fn compare(&self, name: &str, version: &str) -> ClientResult<Value> {
        let nothing = Value::Object(serde_json::Map::new());
        self.post(&format!("/{name}/api/v1/versions/{version}/comparison/"), &nothing).await
    }

    /// Makes the version live that was so before the present one.
    pub async fn roll_back(&self, name: &str) -> ClientResult<Model> {
        self.post(&format!("/publish/api/{name}/rollback/"), &Value::Object(serde_json::Map::new())).await
    }

    /// The input schema for some values of the meta parameters; `{}` for the defaults.
    pub async fn schema(&self, name: &str, meta_parameters: &Value) -> ClientResult<InputsSchema> {
        let body = serde_json::json!({ "meta_parameters": meta_parameters });
        self.post(&format!("/{name}/api/v1/inputs/"), &body).await
    }
}
