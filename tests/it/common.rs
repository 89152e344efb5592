//! What tests of models share.

use csw_client::{Client, Detail, Inputs, NewSimulation, RemoteOutputs};
use csw_tests::Result;
use serde_json::Value;

/// A simulation from its submission to its end.
pub(crate) struct Run {
    pub(crate) pk: u32,
    pub(crate) inputs: Inputs,
    pub(crate) end: Detail<RemoteOutputs>,
}

impl Run {
    /// Submits and waits, whatever comes of it.
    pub(crate) async fn of(client: &Client, model: &str, meta_parameters: Value, adjustment: Value) -> Result<Self> {
        Self::new(client, model, &NewSimulation { meta_parameters, adjustment, ..NewSimulation::default() }).await
    }

    pub(crate) async fn new(client: &Client, model: &str, new: &NewSimulation) -> Result<Self> {
        let pk = client.create(model, new).await?.sim.model_pk;
        let end = client.wait(model, pk).await?;
        Ok(Self { pk, inputs: client.inputs(model, pk).await?, end })
    }

    /// The same, which must succeed.
    pub(crate) fn succeeded(self) -> Self {
        let Self { inputs, end, .. } = &self;
        assert_eq!(end.status, "SUCCESS", "{:?} {} {:?}", end.traceback, inputs.errors_warnings, inputs.traceback);
        self
    }

    /// The data of the first output with this title.
    pub(crate) async fn data(&self, client: &Client, model: &str, title: &str) -> Result<Value> {
        let outputs = client.simulation(model, self.pk).await?.outputs.expect("it has outputs");
        let found = outputs.renderable.into_iter().chain(outputs.downloadable).find(|output| output.title == title);
        Ok(found.expect("an output of this title").data)
    }

    /// The JSON in a text of this title.
    pub(crate) async fn json(&self, client: &Client, model: &str, title: &str) -> Result<Value> {
        let data = self.data(client, model, title).await?;
        Ok(serde_json::from_str(data.as_str().expect("a text"))?)
    }

    /// The identifier of the first output with this title.
    pub(crate) fn output(&self, title: &str) -> &str {
        let outputs = &self.end.outputs.as_ref().expect("it has outputs").outputs;
        let found = outputs.iter().find(|output| output.title == title);
        found.and_then(|output| output.id.as_deref()).expect("an output of this title")
    }
}

/// The text of a page in which markup characters are written as they are.
pub(crate) fn unescaped(page: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'")];
    let numbered = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&"), ("&amp;", "&")];
    named.iter().chain(&numbered).fold(page.to_owned(), |page, (entity, sign)| page.replace(entity, sign))
}
