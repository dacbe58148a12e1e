//! What a figure was taken on: machine, kernel, commit, build.

use std::process::Command;

use serde::Serialize;

/// The machine and the moment.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Machine {
    /// Model name of the first CPU.
    pub cpu: String,
    /// CPUs that this process may use.
    pub cpus: usize,
    /// Memory in KiB.
    pub memory_kib: Option<u64>,
    /// Kernel release.
    pub kernel: String,
    /// Load average over the last minute, before the measurement. Above zero others were at work.
    pub load: Option<f64>,
}

impl Machine {
    /// This machine now.
    pub fn here() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into());
        let memory = field("/proc/meminfo", "MemTotal");
        let memory_kib = memory.and_then(|text| text.split(' ').next()?.parse().ok());
        let kernel = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| std::env::consts::OS.into());
        let load = read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok());
        Self { cpu, cpus, memory_kib, kernel, load }
    }
}

/// `git describe` of the working directory, where there is one.
pub fn commit() -> Option<String> {
    let arguments = ["describe", "--always", "--dirty", "--abbrev=12"];
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// The value behind the first `name :` of a file under /proc.
fn field(path: &str, name: &str) -> Option<String> {
    let text = read(path)?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_says_what_it_is() {
        let machine = Machine::here();
        assert!(machine.cpus > 0);
        assert!(!machine.cpu.is_empty() && !machine.kernel.is_empty());
    }
}
