//! `csw svc redis-acl`: the users of the Redis that Jobs get their arguments from.

use std::path::Path;

use csw_kubernetes::redis::{acl_file, set_up};
use serde_json::json;

use crate::{
    cli::build::RedisAcl,
    failure::{Code, Failure, Outcome},
    folder::write_privately,
    output::Printer,
    settings::Settings,
    wiring::{redis_address, redis_passwords},
};

pub(super) async fn run(settings: &Settings, options: &RedisAcl, printer: Printer) -> Outcome {
    let passwords = redis_passwords(&settings.redis)?;
    if let Some(file) = &options.output {
        let text = acl_file(&passwords);
        if file == Path::new("-") {
            return printer.result(&json!({ "aclfile": text }), || text.trim_end().to_owned());
        }
        write_privately(file, &text)?;
        return printer.result(&json!({ "file": file }), || format!("the users of Redis are in {}", file.display()));
    }
    let address = redis_address(&settings.redis)?;
    let kept = set_up(&address, &passwords).await.map_err(|error| {
        let way_out = "check `redis.url` and the passwords; a Redis that lets nobody in needs its aclfile instead: \
                       `csw svc redis-acl --output FILE`";
        Failure::new(Code::Unavailable, error.to_string(), way_out)
    })?;
    let answer = json!({ "url": address.url(), "kept": kept });
    printer.result(&answer, || {
        let first = format!("{} has its users", address.url());
        let rest = if kept {
            "; its aclfile has them too"
        } else {
            " until it is started again: it has no aclfile (`csw svc redis-acl --output FILE` writes one)"
        };
        format!("{first}{rest}")
    })
}
