//! What a tree of processes uses, as Linux accounts for it (proc(5)).

use std::fs;

use crate::support::process_tree::tree;

/// The unit of processor time in `/proc`: fixed for programs on every architecture that Linux runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory of all processes in megabytes (10^6 bytes); a page that several share is counted once, in equal parts.
pub fn proportional_megabytes(root: u32) -> f64 {
    tree(root).iter().filter_map(|pid| proportional_kib(*pid)).sum::<f64>() * 1024.0 / 1e6
}

fn proportional_kib(pid: u32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The most memory that one process has had in megabytes (10^6 bytes), pages that it shares counted whole.
pub fn peak_megabytes(pid: u32) -> Option<f64> {
    status_megabytes(pid, "VmHWM:")
}

/// The memory that one process has now in megabytes (10^6 bytes), pages that it shares counted whole.
pub fn resident_megabytes(pid: u32) -> Option<f64> {
    status_megabytes(pid, "VmRSS:")
}

fn status_megabytes(pid: u32, name: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Processor time of all processes since they started, with that of those below them that have ended since.
pub fn processor_seconds(root: u32) -> f64 {
    tree(root).iter().filter_map(|pid| ticks(*pid)).sum::<f64>() / TICKS_PER_SECOND
}

/// Fields 14 to 17 of `/proc/<pid>/stat`: own time in user and system mode, and that of children that were waited for. The name
/// before them may hold spaces, so fields are counted from its closing bracket, which ends field 2.
fn ticks(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let times: Vec<f64> = fields.skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    (times.len() == 4).then(|| times.iter().sum())
}
