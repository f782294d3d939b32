//! Every plan that once broke a promise is kept as a file in `plans` and must run without trouble.

use std::path::Path;

use quorate_testkit::{Options, Plan, run_plan};

#[test]
fn saved_plans_break_no_promise() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder is part of the sources")
        .map(|entry| entry.expect("its entries can be read").path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no plan was found in {}", folder.display());
    for file in files {
        let name = file.display();
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let plan = Plan::from_json(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Err(failure) = run_plan(&plan, &Options::default()) {
            panic!("{name}: {failure}");
        }
    }
}
