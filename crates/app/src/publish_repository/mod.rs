//! A publish repository: a file for each model, whose pull requests publish them. What it begins with, and what its files
//! say; the same wherever it is hosted.

mod config;

pub use self::config::{
    FOLDER, ModelConfig, Resources, clash, fresh, is_about_a_model, name, name_of_path, path_of, stamped,
};

/// What one begins with.
pub const TEMPLATE: [(&str, &str); 4] = [
    ("README.md", include_str!("template/README.md")),
    ("config/README.md", include_str!("template/config.md")),
    (".github/workflows/build.yml", include_str!("template/build.yml")),
    (".github/workflows/deploy.yml", include_str!("template/deploy.yml")),
];

/// What people write to leave a model's own tests out.
pub const SKIP_TEST: &str = "[skip test]";

/// Whether a text asks for that.
pub fn asks_to_skip_tests(text: &str) -> bool {
    text.to_lowercase().contains(SKIP_TEST)
}
