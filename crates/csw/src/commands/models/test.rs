//! `csw models test`: what `csw check` does, of a repository too.

use super::build::source;
use crate::{
    cli::build::Test,
    commands::{check, date},
    failure::{Failure, Outcome},
    output::Printer,
    settings::Settings,
};

pub(crate) async fn run(settings: &Settings, name: &str, options: &Test, printer: Printer) -> Outcome {
    let model = name.parse().map_err(|error| Failure::usage(format!("{error}"), "write OWNER/TITLE"))?;
    let source = source(&options.source)?;
    let as_of = options.source.as_of.as_deref().map(date).transpose()?;
    let conditions = check::Conditions { as_of, cache: options.cache.clone(), ..check::Conditions::default() };
    check::verify(settings, &model, &source, conditions, printer).await
}
