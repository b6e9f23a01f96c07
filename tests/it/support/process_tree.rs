//! The processes below one process, as Linux lists them.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// The process and all below it, parents before children; without `/proc` only the process itself.
pub fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = running().filter_map(|pid| Some((pid, parent_of(pid)?))).collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

/// Ends processes at once; one that is already gone is no fault.
pub fn kill_all(pids: &[u32]) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
        _ = kill_process(pid, Signal::KILL);
    }
}

/// Whether the process still runs; one that only waits to be collected by its parent does not.
pub fn is_running(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z')
}

/// The program and its arguments; nothing for a process that has ended.
pub fn arguments(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn running() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn parent_of(pid: u32) -> Option<u32> {
    state_and_parent(pid).map(|(_, parent)| parent)
}

/// Reads `/proc/<pid>/stat` (proc(5)): state and parent follow the name, which stands in brackets and may hold anything.
fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}
