//! Writes `variants.rs`: the executor's own scheduling sources on each simulator and on real threads,
//! as they are and once for each fault of `faults.txt`.
//!
//! A fault is a piece of text in one source and what stands there instead. Where the text does not
//! occur exactly once, `FITS` is false and the fault's test says so: whoever changes such a line
//! says what its fault is now.

use std::path::{Path, PathBuf};
use std::{env, fs};

const SIMULATORS: [&str; 3] = ["shuttle", "loom", "real"];
/// Sources of a variant; `model` is this package's.
const SOURCES: [&str; 3] = ["idle", "schedule", "model"];

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let faults = fs::read_to_string(here.join("faults.txt")).expect("faults.txt is here");
    println!("cargo::rerun-if-changed=faults.txt");
    let mut variants = String::new();
    for simulator in SIMULATORS {
        variants += &variant(&here, &out, simulator, "as_it_is", None);
        for fault in parse(&faults) {
            variants += &variant(&here, &out, simulator, &fault.name, Some(&fault));
        }
    }
    fs::write(out.join("variants.rs"), variants).expect("the build's folder can be written");
}

struct Fault {
    name: String,
    source: String,
    text: String,
    instead: String,
}

/// Blocks `# name source`, text, a line `---`, other text; comments begin with `//`.
fn parse(faults: &str) -> Vec<Fault> {
    let blocks = faults.split("\n# ").skip(1);
    let block = |block: &str| {
        let (head, body) = block.split_once('\n').expect("a head line");
        let (name, source) = head.split_once(' ').expect("a name and a source");
        let (text, instead) = body.split_once("\n---\n").expect("two texts");
        let strip =
            |text: &str| text.lines().filter(|line| !line.starts_with("//")).collect::<Vec<_>>().join("\n");
        Fault {
            name: name.into(),
            source: source.into(),
            text: strip(text).trim_end().into(),
            instead: strip(instead).trim_end().into(),
        }
    };
    blocks.map(block).collect()
}

/// A module with a simulator's locks under the name `sync`, and the sources above them.
fn variant(here: &Path, out: &Path, simulator: &str, name: &str, fault: Option<&Fault>) -> String {
    let sync = here.join(format!("src/sync_{simulator}.rs"));
    let mut module = format!("pub mod {simulator}_{name} {{\n");
    module += &format!("    #[path = {sync:?}]\n    pub(super) mod sync;\n");
    module += "    pub(super) use super::edges;\n";
    let mut fits = true;
    for source in SOURCES {
        let mut path = match source {
            "model" => here.join("src/model.rs"),
            _ => here.join(format!("../parallelpool-core/src/parallel/{source}.rs")),
        };
        println!("cargo::rerun-if-changed={}", path.display());
        if let Some(fault) = fault.filter(|fault| fault.source == source) {
            let text = fs::read_to_string(&path).expect("a source of the executor");
            fits = text.matches(&fault.text).count() == 1;
            path = out.join(format!("{simulator}_{name}.rs"));
            fs::write(&path, text.replace(&fault.text, &fault.instead))
                .expect("the build's folder can be written");
        }
        let seen = if source == "model" { "pub" } else { "pub(super)" };
        module += &format!("    #[path = {path:?}]\n    {seen} mod {source};\n");
    }
    module + &format!("    pub static FITS: bool = {fits};\n}}\n")
}
