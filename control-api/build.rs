//! Makes cargo notice that the console was built anew.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A debug build reads the console's files when they are asked for; a release build carries them, so it must be
    // built again when they change, or appear (a path that is missing is looked for at each build).
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if release || Path::new("../web/build").is_dir() {
        println!("cargo:rerun-if-changed=../web/build");
    }
}
