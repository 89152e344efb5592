//! Which bucket, at whom, and with whose credentials.

use std::{fmt, sync::Arc, time::Duration};

use csw_core::{causes, ports::ObjectError};
use object_store::{
    ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, S3ConditionalPut},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    signer::Signer,
};

use super::azure::{self, SasSigner};

/// A storage that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_mins(2);

/// Requests that fail for a passing reason are repeated for so long.
const PATIENCE: Duration = Duration::from_secs(45);

/// A run may take a week, and what nobody names is removed after nine days: what was put again within a day need not be
/// sent again.
const FRESH: Duration = Duration::from_hours(24);

/// Where S3 is, unless told otherwise.
const REGION: &str = "us-east-1";

/// Who keeps the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Amazon S3, and what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Provider {
    const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "azure",
        }
    }
}

/// What the storage is asked with.
#[derive(Clone, PartialEq, Eq)]
pub enum BucketCredentials {
    /// What the provider's own tools would find: variables, the machine's or the pod's own identity.
    Ambient,
    /// The text of a file: S3's has a section with `aws_access_key_id` and `aws_secret_access_key`; Google's is the JSON of
    /// a service account; Azure's is an account's key, or a connection string.
    Text(String),
    /// None at all, to find out what strangers may do.
    Anonymous,
}

impl fmt::Debug for BucketCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ambient => "Ambient",
            Self::Text(_) => "Text(***)",
            Self::Anonymous => "Anonymous",
        })
    }
}

/// A bucket.
#[derive(Debug, Clone)]
pub struct BucketConfig {
    /// Who keeps it.
    pub provider: Provider,
    /// Its name; of Azure the container.
    pub bucket: String,
    /// What all keys begin with; empty, or names with slashes between them.
    pub prefix: String,
    /// Address of the storage, where it is not the provider's own.
    pub endpoint: Option<String>,
    /// Region, for S3.
    pub region: Option<String>,
    /// Account, for Azure.
    pub account: Option<String>,
    /// Section of a file of S3's credentials; `default` by default.
    pub profile: Option<String>,
    /// Whether the bucket's name is part of the host, for S3 at an endpoint of its own.
    pub virtual_host: bool,
    /// Whether S3 is asked to put only where nothing is; some servers that speak its protocol can't.
    pub conditional_puts: bool,
    /// What it is asked with.
    pub credentials: BucketCredentials,
    /// What was put within this time is not sent again.
    pub fresh: Duration,
}

/// A bucket that can be asked.
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) signer: Option<Sign>,
}

/// Who makes signed addresses.
#[derive(Clone)]
pub(super) enum Sign {
    /// Headers of the answer are parts of the query with these names.
    Query(Arc<dyn Signer>),
    Sas(SasSigner),
}

impl BucketConfig {
    /// A bucket, without a prefix, at its provider's own address.
    pub fn new(provider: Provider, bucket: &str) -> Self {
        Self {
            provider,
            bucket: bucket.to_owned(),
            prefix: String::new(),
            endpoint: None,
            region: None,
            account: None,
            profile: None,
            virtual_host: false,
            conditional_puts: true,
            credentials: BucketCredentials::Ambient,
            fresh: FRESH,
        }
    }

    /// What it is called in messages.
    pub fn name(&self) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("{}://{}{slash}{}", self.provider.scheme(), self.bucket, self.prefix)
    }

    /// The same with what its credentials say of the account, which strangers need as well.
    pub(super) fn resolved(self) -> Self {
        let parts = match &self.credentials {
            BucketCredentials::Text(text) if self.provider == Provider::Azure => azure::connection(text),
            _ => return self,
        };
        Self { account: self.account.or(parts.account), endpoint: self.endpoint.or(parts.endpoint), ..self }
    }

    pub(super) fn open(&self) -> Result<Opened, ObjectError> {
        match self.provider {
            Provider::S3 => self.s3(),
            Provider::Gcs => self.gcs(),
            Provider::Azure => self.azure(),
        }
    }

    /// Plain HTTP only where the endpoint says so.
    fn client(endpoint: Option<&String>) -> ClientOptions {
        let plain = endpoint.is_some_and(|url| url.starts_with("http://"));
        ClientOptions::new()
            .with_allow_http(plain)
            .with_timeout_disabled()
            .with_read_timeout(SILENCE)
            .with_connect_timeout(Duration::from_secs(10))
    }

    fn s3(&self) -> Result<Opened, ObjectError> {
        let begun = if self.is_ambient() { AmazonS3Builder::from_env() } else { AmazonS3Builder::new() };
        let mut builder = begun
            .with_bucket_name(&self.bucket)
            .with_client_options(Self::client(self.endpoint.as_ref()))
            .with_retry(retries())
            .with_virtual_hosted_style_request(self.endpoint.is_none() || self.virtual_host);
        if !self.conditional_puts {
            builder = builder.with_conditional_put(S3ConditionalPut::Disabled);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        let from_environment = || ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| std::env::var(name).ok());
        builder =
            builder.with_region(self.region.clone().or_else(from_environment).unwrap_or_else(|| REGION.to_owned()));
        match &self.credentials {
            BucketCredentials::Ambient => {}
            BucketCredentials::Anonymous => builder = builder.with_skip_signature(true),
            BucketCredentials::Text(text) => {
                let profile = self.profile.as_deref().unwrap_or("default");
                let keys = section(text, profile);
                let key = |name: &str| {
                    let lacking = || self.wrong(&format!("its credentials have no `{name}` in [{profile}]"));
                    keys.iter().find(|(key, _)| *key == name).map(|(_, value)| *value).ok_or_else(lacking)
                };
                builder = builder
                    .with_access_key_id(key("aws_access_key_id")?)
                    .with_secret_access_key(key("aws_secret_access_key")?);
                if let Ok(token) = key("aws_session_token") {
                    builder = builder.with_token(token);
                }
            }
        }
        let store = Arc::new(builder.build().map_err(|error| self.unusable(&error))?);
        Ok(Opened { signer: Some(Sign::Query(Arc::<object_store::aws::AmazonS3>::clone(&store))), store })
    }

    fn gcs(&self) -> Result<Opened, ObjectError> {
        let begun =
            if self.is_ambient() { GoogleCloudStorageBuilder::from_env() } else { GoogleCloudStorageBuilder::new() };
        let mut builder = begun
            .with_bucket_name(&self.bucket)
            .with_client_options(Self::client(self.endpoint.as_ref()))
            .with_retry(retries());
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint.trim_end_matches('/'));
        }
        match &self.credentials {
            BucketCredentials::Ambient => {}
            BucketCredentials::Anonymous => builder = builder.with_skip_signature(true),
            BucketCredentials::Text(text) => builder = builder.with_service_account_key(text),
        }
        let store = Arc::new(builder.build().map_err(|error| self.unusable(&error))?);
        let signer: Arc<dyn Signer> = Arc::<object_store::gcp::GoogleCloudStorage>::clone(&store);
        Ok(Opened { signer: Some(Sign::Query(signer)), store })
    }

    fn azure(&self) -> Result<Opened, ObjectError> {
        let begun = if self.is_ambient() { MicrosoftAzureBuilder::from_env() } else { MicrosoftAzureBuilder::new() };
        let mut builder = begun.with_container_name(&self.bucket).with_retry(retries());
        let (account, endpoint) = (self.account.clone(), self.endpoint.clone());
        let mut key = std::env::var("AZURE_STORAGE_ACCOUNT_KEY").ok().filter(|_| self.is_ambient());
        match &self.credentials {
            BucketCredentials::Ambient => {}
            BucketCredentials::Anonymous => builder = builder.with_skip_signature(true),
            BucketCredentials::Text(text) => key = Some(azure::connection(text).key),
        }
        let account = account
            .or_else(|| std::env::var("AZURE_STORAGE_ACCOUNT_NAME").ok())
            .ok_or_else(|| self.wrong("it needs the name of an account: `objects.account`"))?;
        builder = builder.with_account(&account).with_client_options(Self::client(endpoint.as_ref()));
        if let Some(endpoint) = &endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
        }
        if let Some(key) = &key {
            builder = builder.with_access_key(key.trim());
        }
        let store = builder.build().map_err(|error| self.unusable(&error))?;
        let signer = key.and_then(|key| SasSigner::new(&account, &key, &self.bucket, endpoint.as_deref()));
        Ok(Opened { store: Arc::new(store), signer: signer.map(Sign::Sas) })
    }

    /// Variables of the environment belong together: keys that were given are not mixed with them.
    fn is_ambient(&self) -> bool {
        self.credentials == BucketCredentials::Ambient
    }

    fn wrong(&self, sentence: &str) -> ObjectError {
        ObjectError::Unavailable { key: self.name(), cause: sentence.to_owned() }
    }

    fn unusable(&self, error: &object_store::Error) -> ObjectError {
        self.wrong(&causes::chain(error))
    }
}

fn retries() -> RetryConfig {
    RetryConfig { max_retries: 4, retry_timeout: PATIENCE, ..RetryConfig::default() }
}

/// The keys of a section of a file that has sections.
fn section<'a>(text: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let mut inside = false;
    let mut keys = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = title.trim() == name;
        } else if let (true, Some((key, value))) = (inside, line.split_once('=')) {
            keys.push((key.trim(), value.trim()));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_credentials_has_sections() {
        let text =
            "[default]\naws_access_key_id = a\n# none\n[site]\naws_access_key_id=b\naws_secret_access_key = c=d\n";
        assert_eq!(section(text, "default"), [("aws_access_key_id", "a")]);
        assert_eq!(section(text, "site"), [("aws_access_key_id", "b"), ("aws_secret_access_key", "c=d")]);
        assert!(section(text, "none").is_empty());
    }

    #[test]
    fn what_a_bucket_lacks_is_named_and_its_secrets_are_not_shown() {
        let mut config = BucketConfig::new(Provider::S3, "results");
        config.prefix = "site".to_owned();
        config.credentials = BucketCredentials::Text("[default]\naws_access_key_id = AKIA\n".to_owned());
        let said = config.open().err().expect("it has no secret key").to_string();
        assert!(said.contains("s3://results/site") && said.contains("aws_secret_access_key"), "{said}");
        assert!(!format!("{config:?}").contains("AKIA"));
        let azure = BucketConfig::new(Provider::Azure, "results").open().err().map(|error| error.to_string());
        assert!(azure.is_some_and(|said| said.contains("objects.account")));
    }
}
