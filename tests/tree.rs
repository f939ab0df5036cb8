//! Guards over the source tree itself.

use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PACKAGES: [&str; 7] = ["", "time", "sip", "media", "engine", "control-api", "benches"];

fn files(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|e| e == ending) {
            found.push(path);
        }
    }
}

fn rust_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for package in PACKAGES {
        for dir in ["src", "tests", "examples"] {
            files(&Path::new(ROOT).join(package).join(dir), "rs", &mut found);
        }
    }
    found
}

#[test]
fn no_file_is_too_long() {
    let mut long = Vec::new();
    let mut all = rust_sources();
    for ending in ["svelte", "ts"] {
        files(&Path::new(ROOT).join("web/src"), ending, &mut all);
    }
    assert!(all.len() > 50, "the walk found only {} files", all.len());
    for path in all {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        if lines > 800 {
            long.push(format!("{} has {lines} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "split by state or by verb: {long:#?}");
}

/// Every Rust file is reached by a `mod` line of its parent: a file that is not is dead.
#[test]
fn no_file_is_dead() {
    let mut dead = Vec::new();
    for path in rust_sources() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let dir = path.parent().unwrap();
        let root = matches!(name.as_str(), "main" | "lib" | "build");
        let example = dir.file_name().is_some_and(|d| d == "examples");
        // An integration test of a package is its own crate root.
        let test_root = dir.file_name().is_some_and(|d| d == "tests") && dir != Path::new(ROOT).join("tests");
        if root || example || test_root {
            continue;
        }
        let (module, parents) = if name == "mod" {
            let up = dir.parent().unwrap();
            (dir.file_name().unwrap().to_str().unwrap().to_owned(), parents_of(up))
        } else {
            (name, parents_of(dir))
        };
        // Or by a `#[path = "…"]` of a file beside it or one folder up.
        let as_path = format!("{}\"]", path.file_name().unwrap().to_str().unwrap());
        let mut neighbours = Vec::new();
        files(dir.parent().unwrap(), "rs", &mut neighbours);
        let by_path = neighbours.iter().filter_map(|p| std::fs::read_to_string(p).ok()).any(|text| {
            text.lines().any(|l| l.trim().starts_with("#[path = ") && l.trim().ends_with(&as_path))
        });
        if by_path {
            continue;
        }
        let reached = parents.iter().filter_map(|p| std::fs::read_to_string(p).ok()).any(|text| {
            text.lines().any(|l| {
                let l = l.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
                l.trim_start_matches("pub ").starts_with(&format!("mod {module};"))
            })
        });
        if !reached {
            dead.push(path);
        }
    }
    assert!(dead.is_empty(), "no `mod` line reaches {dead:#?}");
}

/// Files that may declare the modules of a folder.
fn parents_of(dir: &Path) -> Vec<PathBuf> {
    let mut parents: Vec<PathBuf> = ["mod.rs", "lib.rs", "main.rs"].iter().map(|f| dir.join(f)).collect();
    parents.push(dir.with_extension("rs"));
    parents
}

/// sip and media never see each other; neither knows the engine; the engine does not know the API.
#[test]
fn arrows_run_one_way() {
    let forbidden = [
        ("sip", ["kraliki_media", "kraliki_engine", "kraliki_control_api"]),
        ("media", ["kraliki_sip", "kraliki_engine", "kraliki_control_api"]),
        ("engine", ["kraliki_control_api", "axum::", "utoipa_axum"]),
        ("control-api", ["kraliki_sip", "kraliki_media", "sqlx::"]),
    ];
    for (package, names) in forbidden {
        let mut found = Vec::new();
        files(&Path::new(ROOT).join(package).join("src"), "rs", &mut found);
        // A package's tests may stand in for the outside.
        for path in found.into_iter().filter(|p| !p.components().any(|c| c.as_os_str() == "tests")) {
            let text = std::fs::read_to_string(&path).unwrap();
            for name in names {
                assert!(!text.contains(name), "{} mentions {name}", path.display());
            }
        }
    }
}
