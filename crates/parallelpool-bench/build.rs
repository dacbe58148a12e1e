//! Tells the crate which cargo profile it is built with: a figure without it says little.

use std::path::Path;

fn main() {
    // PROFILE names the profile that ours inherits from; the folder has its own name.
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    let folder = Path::new(&out).ancestors().nth(3).and_then(Path::file_name);
    let profile = folder.and_then(|name| name.to_str()).unwrap_or("unknown");
    println!("cargo::rustc-env=PARALLELPOOL_BENCH_PROFILE={profile}");
    println!("cargo::rerun-if-changed=build.rs");
}
