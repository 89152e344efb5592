//! What git does around a push.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use csw_core::ports::RepositoryError;

use super::file;

/// Before anything of a push is taken: names that may not be pushed refuse all of it. They are compared as texts.
const BEFORE: &str = r#"#!/bin/sh
[ -n "$CSW_ONLY" ] || exit 0
set -f
while read -r old new name; do
    IFS='
'
    allowed=
    for one in $CSW_ONLY; do
        case "$one" in
            */) case "$name" in "$one"?*) allowed=yes ;; esac ;;
            *) [ "$name" = "$one" ] && allowed=yes ;;
        esac
    done
    unset IFS
    if [ -z "$allowed" ]; then
        printf '%s\n' "$CSW_REFUSAL"
        exit 1
    fi
done
"#;

/// After a push: tells what becomes of it, and notes what was said with it.
const AFTER: &str = r#"#!/bin/sh
cat >/dev/null
printf '%s\n' "$CSW_NOTE"
at=0
while [ "$at" -lt "${GIT_PUSH_OPTION_COUNT:-0}" ]; do
    eval "printf '%s\n' \"\$GIT_PUSH_OPTION_$at\"" >>"$CSW_OPTIONS"
    at=$((at + 1))
done
"#;

/// Where they are, for all repositories.
pub(super) fn folder(repositories: &Path) -> PathBuf {
    repositories.join("hooks")
}

/// Writes them, unless they are there as this program has them. Another process may run them meanwhile.
pub(super) fn ensure(repositories: &Path) -> Result<(), RepositoryError> {
    let folder = folder(repositories);
    for (name, text) in [("pre-receive", BEFORE), ("post-receive", AFTER)] {
        let hook = folder.join(name);
        if fs::read(&hook).is_ok_and(|found| found == text.as_bytes()) {
            continue;
        }
        let new = folder.join(format!(".new-{}", uuid::Uuid::now_v7()));
        let written = fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&new, text))
            .and_then(|()| fs::set_permissions(&new, fs::Permissions::from_mode(0o755)))
            .and_then(|()| fs::rename(&new, &hook));
        written.map_err(|error| file(&hook, &error))?;
    }
    Ok(())
}
