//! The columns that rows are read from, by table. Every statement names them: one that says `*` means something else once
//! another release has added a column, and PostgreSQL then refuses what was prepared of it (`cached plan must not change
//! result type`).

/// Names, each after the same prefix, as a part of a statement.
macro_rules! listed {
    ($prefix:literal: $first:ident $($rest:ident)*) => {
        concat!($prefix, stringify!($first) $(, ", ", $prefix, stringify!($rest))*)
    };
}

/// The columns of a table; of one that is called otherwise in the statement, with that name and a dot before each.
macro_rules! columns {
    ($table:ident) => {
        $crate::columns::columns!($table, "")
    };
    (accounts, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            id name email first_name last_name password_hash role is_active created_at)
    };
    (builds, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            id model_id requested_by reason source ordered commit_id stages attempt stage state message version_id
            created_at finished_at)
    };
    (checks, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            id model_id beside remote_id told attempts retry_at created_at)
    };
    (compared, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            simulation_id baseline_run_id run_id verdict)
    };
    (comparisons, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            version_id model_id baseline_id requested_by state hidden created_at finished_at)
    };
    (invites, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            id simulation_id account_id created_at expires_at)
    };
    (models, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            id owner_id title oneliner description repo_url repo_tag cpus memory_gigabytes expected_seconds
            deadline_seconds listed is_public network deterministic warm_up build_limits status live_version_id
            latest_tag staging_tag sponsor_id sponsor_message created_at)
    };
    (promotions, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            version_id account_id at)
    };
    (pulls, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            merge id repository number author_id title body branch target head state checks skip_tests outcome
            revision created_at updated_at closed_at)
    };
    (run_outputs, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            id kind position title media_type filename size sha256 thumbnail run_id thumbnail_attempts)
    };
    (runs, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            id task model_id version_id simulation_id owner_id arguments memo_key cpus memory_bytes deadline_seconds
            state reason message attempt enqueued_at started_at finished_at cancel_requested phases lease
            model_version)
    };
    (schemas, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            meta_values meta_parameters model_parameters created_at)
    };
    (secrets, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            scope name version key_id sealed set_by set_at)
    };
    (simulations, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            id model_id number owner_id title readme is_public notify status reason traceback model_version
            version_id run_milliseconds cost created_at modified_at expected_at finished_at parent_id run_id
            answered_by archived views phases inputs_status meta_parameters adjustment errors_warnings
            custom_adjustment inputs_traceback client inputs_run_id inputs_version_id)
    };
    (trusts, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            id account_id repository reference environment models promote repository_id created_at last_used_at)
    };
    (versions, $prefix:literal) => {
        $crate::columns::listed!($prefix:
            id model_id digest commit_id reported artifact strategy state facts created_at)
    };
}

/// `SELECT` of the columns of a table, with what follows its name.
macro_rules! select {
    ($table:ident, $rest:literal) => {
        concat!("SELECT ", $crate::columns::columns!($table), " FROM ", stringify!($table), " ", $rest)
    };
}

pub(crate) use {columns, listed, select};

#[cfg(test)]
mod tests {
    #[test]
    fn no_statement_says_all_columns() {
        let sources = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
        let files = sources.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
        let texts: Vec<(std::path::PathBuf, String)> =
            files.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect();
        assert!(texts.len() > 20, "{}", texts.len());
        for (path, text) in texts.iter().filter(|(path, _)| !path.ends_with("columns.rs")) {
            for words in ["SELECT *", "RETURNING *", ".*,", ".* FROM"] {
                assert!(!text.contains(words), "`{words}` in {}", path.display());
            }
        }
    }

    #[test]
    fn each_name_has_the_prefix() {
        assert_eq!(columns!(promotions), "version_id, account_id, at");
        assert_eq!(columns!(promotions, "p."), "p.version_id, p.account_id, p.at");
    }
}
