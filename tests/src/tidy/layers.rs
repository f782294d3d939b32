//! Which crate may depend on which: the table of the architecture.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::project::{Project, SourceFile, Violation};

/// One row of the table of layers.
struct Layer {
    folder: &'static str,
    package: &'static str,
    /// The packages of ours it may depend on, for its code and for its tests alike.
    may_import: &'static [&'static str],
}

/// One dependency on a package of ours, as a manifest states it.
struct Dependency {
    package: String,
    line: usize,
}

/// Package names of ours by the names the workspace gives them.
type WorkspaceNames = BTreeMap<String, String>;

/// Checks every manifest: each crate is in the table and depends only on what its row allows, and
/// no crate depends on the examples, tests or benchmarks, which are never published.
#[must_use]
pub fn layers(project: &Project) -> Vec<Violation> {
    let manifests = project.files().iter().filter(|file| is_manifest(&file.path));
    let mut violations = Vec::new();
    let mut workspace_names = WorkspaceNames::new();
    let mut members = Vec::new();
    for file in manifests {
        match DeTable::parse(&file.text) {
            Ok(table) if file.path == "Cargo.toml" => {
                workspace_names = read_workspace_names(table.get_ref());
            }
            Ok(table) => members.push((file, table)),
            Err(error) => {
                let line = line_at(&file.text, error.span().unwrap_or_default());
                let rule = format!("does not parse: {}", error.message());
                violations.push(Violation::new(&file.path, line, rule));
            }
        }
    }
    for (file, table) in members {
        check_member(file, table.get_ref(), &workspace_names, &mut violations);
    }
    violations
}

fn is_manifest(path: &str) -> bool {
    path == "Cargo.toml"
        || path.split_once('/').is_some_and(|(folder, rest)| {
            (folder == "crates" && rest.ends_with("/Cargo.toml"))
                || (UNPUBLISHED.contains(&folder) && rest == "Cargo.toml")
        })
}

fn check_member(
    file: &SourceFile,
    table: &DeTable<'_>,
    workspace_names: &WorkspaceNames,
    violations: &mut Vec<Violation>,
) {
    let folder = file.path.strip_suffix("/Cargo.toml").unwrap_or(&file.path);
    let package = text_at(table, &["package", "name"]).unwrap_or_default();
    let mut fail = |line: usize, rule: String| {
        violations.push(Violation::new(&file.path, line, rule));
    };
    if UNPUBLISHED.contains(&folder) {
        if value_at(table, &["package", "publish"]).and_then(DeValue::as_bool) != Some(false) {
            fail(1, format!("`{package}` must say `publish = false`"));
        }
        return;
    }
    let folder = folder.strip_prefix("crates/").unwrap_or(folder);
    let Some(layer) = LAYERS.iter().find(|layer| layer.folder == folder) else {
        fail(1, format!("`crates/{folder}` is not in the table of layers"));
        return;
    };
    if package != layer.package {
        fail(1, format!("`crates/{folder}` must hold `{}`, not `{package}`", layer.package));
    }
    for dependency in dependencies_of_ours(&file.text, table, workspace_names) {
        if !layer.may_import.contains(&dependency.package.as_str()) {
            let imported = &dependency.package;
            fail(dependency.line, format!("`{}` may not depend on `{imported}`", layer.package));
        }
    }
}

fn dependencies_of_ours(
    text: &str,
    manifest: &DeTable<'_>,
    workspace_names: &WorkspaceNames,
) -> Vec<Dependency> {
    let mut found = Vec::new();
    let targets = value_at(manifest, &["target"]).and_then(DeValue::as_table);
    let of_targets = targets.into_iter().flat_map(|targets| targets.values());
    let scopes = of_targets.filter_map(|target| target.get_ref().as_table());
    for scope in std::iter::once(manifest).chain(scopes) {
        for kind in DEPENDENCY_KINDS {
            let Some(dependencies) = value_at(scope, &[kind]).and_then(DeValue::as_table) else {
                continue;
            };
            for (name, detail) in dependencies {
                let package = package_of(name.get_ref(), detail.get_ref(), workspace_names);
                if is_ours(&package) {
                    found.push(Dependency { package, line: line_at(text, name.span()) });
                }
            }
        }
    }
    found
}

fn read_workspace_names(root: &DeTable<'_>) -> WorkspaceNames {
    let dependencies = value_at(root, &["workspace", "dependencies"]).and_then(DeValue::as_table);
    let none = WorkspaceNames::new();
    dependencies
        .into_iter()
        .flatten()
        .map(|(name, detail)| {
            let name = name.get_ref().to_string();
            let package = package_of(&name, detail.get_ref(), &none);
            (name, package)
        })
        .collect()
}

/// The package behind a dependency's name, which `package = "…"` may change.
fn package_of(name: &str, detail: &DeValue<'_>, workspace_names: &WorkspaceNames) -> String {
    let renamed = detail.as_table().and_then(|detail| text_at(detail, &["package"]));
    renamed
        .map(str::to_owned)
        .or_else(|| workspace_names.get(name).cloned())
        .unwrap_or_else(|| name.to_owned())
}

fn is_ours(package: &str) -> bool {
    package == "quorate" || package.starts_with("quorate-")
}

fn text_at<'a>(table: &'a DeTable<'_>, path: &[&str]) -> Option<&'a str> {
    value_at(table, path).and_then(DeValue::as_str)
}

fn value_at<'a, 'input>(table: &'a DeTable<'input>, path: &[&str]) -> Option<&'a DeValue<'input>> {
    let (first, rest) = path.split_first()?;
    let value = table.get(*first)?.get_ref();
    if rest.is_empty() { Some(value) } else { value_at(value.as_table()?, rest) }
}

fn line_at(text: &str, span: Range<usize>) -> usize {
    let before = text.as_bytes().iter().take(span.start);
    before.filter(|byte| **byte == b'\n').count() + 1
}

const UNPUBLISHED: [&str; 3] = ["examples", "tests", "benches"];
const DEPENDENCY_KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Lower layers first; the rows of one layer do not import each other.
const LAYERS: [Layer; 9] = [
    Layer { folder: "types", package: "quorate-types", may_import: &[] },
    Layer { folder: "storage", package: "quorate-storage", may_import: &["quorate-types"] },
    Layer { folder: "transport", package: "quorate-transport", may_import: &["quorate-types"] },
    Layer { folder: "kv-api", package: "quorate-kv-api", may_import: &["quorate-types"] },
    Layer {
        folder: "mvcc",
        package: "quorate-mvcc",
        may_import: &["quorate-types", "quorate-storage", "quorate-kv-api"],
    },
    Layer {
        folder: "raft-node",
        package: "quorate-raft-node",
        may_import: &["quorate-types", "quorate-storage", "quorate-transport"],
    },
    Layer {
        folder: "quorate",
        package: "quorate",
        may_import: &[
            "quorate-types",
            "quorate-storage",
            "quorate-transport",
            "quorate-kv-api",
            "quorate-mvcc",
            "quorate-raft-node",
        ],
    },
    Layer {
        folder: "gateway",
        package: "quorate-gateway",
        may_import: &["quorate-types", "quorate-kv-api", "quorate"],
    },
    Layer {
        folder: "testkit",
        package: "quorate-testkit",
        may_import: &[
            "quorate-types",
            "quorate-storage",
            "quorate-transport",
            "quorate-kv-api",
            "quorate-mvcc",
            "quorate-raft-node",
            "quorate",
        ],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, manifest: &str, expected: &[&str]) {
        let workspace = SourceFile {
            path: "Cargo.toml".to_owned(),
            text: "[workspace.dependencies]\nkv = { package = \"quorate-mvcc\" }\n".to_owned(),
        };
        let member = SourceFile { path: path.to_owned(), text: manifest.to_owned() };
        let found: Vec<String> = layers(&Project::from_files(vec![workspace, member]))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, expected, "{manifest}");
    }

    fn check_storage(dependencies: &str, expected: &[&str]) {
        let manifest = format!("[package]\nname = \"quorate-storage\"\n{dependencies}\n");
        check("crates/storage/Cargo.toml", &manifest, expected);
    }

    #[test]
    fn what_the_table_allows_passes() {
        check_storage("[dependencies]\nquorate-types.workspace = true\nbytes = \"1\"", &[]);
        check_storage("[dev-dependencies]\nquorate-types.workspace = true", &[]);
        check("tests/Cargo.toml", "[package]\nname = \"t\"\npublish = false", &[]);
    }

    #[test]
    fn siblings_and_higher_layers_are_refused_wherever_they_are_named() {
        let refused = "crates/storage/Cargo.toml:4: `quorate-storage` may not depend on ";
        let sibling = format!("{refused}`quorate-transport`");
        let higher = format!("{refused}`quorate-mvcc`");
        check_storage("[dependencies]\nquorate-transport.workspace = true", &[&sibling]);
        check_storage("[dev-dependencies]\nquorate-mvcc = { path = \"../mvcc\" }", &[&higher]);
        check_storage("[build-dependencies]\nx = { package = \"quorate-mvcc\" }", &[&higher]);
        check_storage("[dependencies]\nkv.workspace = true", &[&higher]);
        check_storage("[target.'cfg(unix)'.dependencies]\nquorate-mvcc = \"0.1\"", &[&higher]);
    }

    #[test]
    fn a_line_inside_a_table_of_its_own_is_named() {
        let manifest = "[dependencies]\nbytes = \"1\"\n\n[dependencies.quorate]\npath = \"x\"";
        let expected = "crates/storage/Cargo.toml:6: `quorate-storage` may not depend on `quorate`";
        check_storage(manifest, &[expected]);
    }

    #[test]
    fn nothing_depends_on_examples_tests_or_benches() {
        let expected =
            "crates/storage/Cargo.toml:4: `quorate-storage` may not depend on `quorate-tests`";
        check_storage(
            "[dev-dependencies]\nquorate-tests = { path = \"../../tests\" }",
            &[expected],
        );
    }

    #[test]
    fn unknown_crates_wrong_names_and_published_tests_are_refused() {
        let unknown = "crates/extra/Cargo.toml:1: `crates/extra` is not in the table of layers";
        check("crates/extra/Cargo.toml", "[package]\nname = \"quorate-extra\"", &[unknown]);
        let name = "crates/types/Cargo.toml:1: `crates/types` must hold `quorate-types`, not `t`";
        check("crates/types/Cargo.toml", "[package]\nname = \"t\"", &[name]);
        let published = "tests/Cargo.toml:1: `t` must say `publish = false`";
        check("tests/Cargo.toml", "[package]\nname = \"t\"", &[published]);
    }

    #[test]
    fn a_manifest_that_does_not_parse_is_a_violation() {
        let project = Project::from_files(vec![SourceFile {
            path: "crates/types/Cargo.toml".to_owned(),
            text: "[package]\nname = \n".to_owned(),
        }]);
        let found = layers(&project);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
    }

    #[test]
    fn the_table_lets_no_crate_import_its_own_layer_or_a_higher_one() {
        for (position, layer) in LAYERS.iter().enumerate() {
            let lower = &LAYERS[..position];
            for import in layer.may_import {
                assert!(lower.iter().any(|lower| lower.package == *import), "{import}");
            }
        }
    }
}
