//! What a version changes in the input schema: what its users will find different in the form.

use csw_core::ids::VersionId;
use csw_params::{DumpDiff, InputSchema, diff};
use indexmap::IndexMap;
use serde_json::json;

use crate::{
    App,
    error::{AppError, AppResult},
    models::ModelView,
};

/// The difference of two versions, for the default values of their meta parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaChanges {
    /// The version before, and what it says of itself.
    pub before: (VersionId, String),
    /// The version after, likewise.
    pub after: (VersionId, String),
    /// Of the meta parameters.
    pub meta_parameters: DumpDiff,
    /// Of the parameters of each section that both have, where there is any.
    pub sections: IndexMap<String, DumpDiff>,
    /// Sections that are new.
    pub sections_added: Vec<String>,
    /// Sections that are gone.
    pub sections_removed: Vec<String>,
}

impl SchemaChanges {
    /// Whether the form is the same.
    pub fn is_empty(&self) -> bool {
        self.meta_parameters.is_empty()
            && self.sections.is_empty()
            && self.sections_added.is_empty()
            && self.sections_removed.is_empty()
    }

    fn between(before: &InputSchema, after: &InputSchema) -> Parts {
        let mut sections = IndexMap::new();
        for (name, dump) in &after.model_parameters {
            if let Some(former) = before.model_parameters.get(name) {
                let difference = diff(former, dump);
                if !difference.is_empty() {
                    sections.insert(name.clone(), difference);
                }
            }
        }
        let names = |of: &InputSchema, not_in: &InputSchema| {
            of.model_parameters.keys().filter(|name| !not_in.model_parameters.contains_key(*name)).cloned().collect()
        };
        Parts {
            meta: diff(&before.meta_parameters, &after.meta_parameters),
            sections,
            added: names(after, before),
            removed: names(before, after),
        }
    }
}

struct Parts {
    meta: DumpDiff,
    sections: IndexMap<String, DumpDiff>,
    added: Vec<String>,
    removed: Vec<String>,
}

impl App {
    /// What `after` changes in the form, compared with `before`, or with the live version. Both are versions that the
    /// caller may use.
    pub async fn schema_changes(
        &self,
        view: &ModelView,
        before: Option<VersionId>,
        after: VersionId,
    ) -> AppResult<SchemaChanges> {
        let nothing = || AppError::field("from", "The model has no live version: name the one to compare with.");
        let before = before.or(view.model.live_version).ok_or_else(nothing)?;
        let (before, after) = (self.version(view, before).await?, self.version(view, after).await?);
        let schemas = (
            self.schema_of(&view.model, &before, &json!({}), None).await?,
            self.schema_of(&view.model, &after, &json!({}), None).await?,
        );
        let Parts { meta, sections, added, removed } = SchemaChanges::between(&schemas.0.parsed, &schemas.1.parsed);
        Ok(SchemaChanges {
            before: (before.id, before.reported),
            after: (after.id, after.reported),
            meta_parameters: meta,
            sections,
            sections_added: added,
            sections_removed: removed,
        })
    }
}
