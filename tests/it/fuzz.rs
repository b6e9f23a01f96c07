//! What others write and we read, with wrong bytes in it, thousands of times a second: nothing panics, hangs or takes memory without end.
//!
//! Each target runs for a few seconds in a process of its own with a limit of memory, on inputs that are made of valid ones. The input is
//! written down before it is read, so that one which ends the process, however it does, is at hand: the failure names its file.
//! `STREAMGAUGE_FUZZ_SECONDS=600 make test ARGS=fuzz::` looks longer, and `STREAMGAUGE_FUZZ_SEED` elsewhere.

mod mutation;
mod targets;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use mutation::Mutator;
use targets::{TARGETS, Target};

/// How long each target runs unless it is said otherwise.
const SECONDS: u64 = 3;

/// How long a process may take beyond that: it may have to wait for a processor, but no input takes so long.
const HANGS: Duration = Duration::from_secs(40);

/// Kilobytes of memory that a process may ask for: some hundred times what the largest request may take, the program itself included.
const MEMORY_KB: u64 = 2 << 20;

const TARGET: &str = "STREAMGAUGE_FUZZ_TARGET";
const INPUT: &str = "STREAMGAUGE_FUZZ_INPUT";
const SEED: &str = "STREAMGAUGE_FUZZ_SEED";
const LENGTH: &str = "STREAMGAUGE_FUZZ_SECONDS";
const REPLAY: &str = "STREAMGAUGE_FUZZ_REPLAY";

fn number(name: &str, usual: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn find(name: &str) -> &'static Target {
    let all = TARGETS.iter().chain(&targets::BROKEN);
    all.into_iter().find(|target| target.name == name).unwrap_or_else(|| panic!("there is no target {name}"))
}

/// Where the input of a target lies that is being read.
fn input_of(target: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/fuzz");
    fs::create_dir_all(&folder).unwrap();
    folder.join(target)
}

/// Starts a target in a process of its own.
fn start(target: &str, seconds: u64, input: &Path) -> Child {
    let own = "fuzz::a_target_in_a_process_of_its_own";
    let command = format!("ulimit -v {MEMORY_KB}; exec \"$0\" --exact {own} --ignored --nocapture");
    Command::new("sh")
        .args(["-c", &command])
        .arg(env::current_exe().unwrap())
        .envs([(TARGET, target), (LENGTH, &seconds.to_string())])
        .env(INPUT, input)
        // Each thread would ask for room of its own, which counts although nobody uses it.
        .env("MALLOC_ARENA_MAX", "2")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a target; what is wrong with it in words, with the input that shows it.
fn run(target: &str, seconds: u64, hangs: Duration) -> Result<String, String> {
    let input = input_of(target);
    let mut child = start(target, seconds, &input);
    let limit = Instant::now() + Duration::from_secs(seconds) + hangs;
    while child.try_wait().unwrap().is_none() && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(50));
    }
    let hung = child.try_wait().unwrap().is_none();
    if hung {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        fs::remove_file(&input).unwrap();
        return Ok(said);
    }
    let how = if hung { format!("read one input for {hangs:?}") } else { format!("ended with {}", output.status) };
    let bytes = fs::read(&input).unwrap_or_default();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).escape_debug().to_string();
    Err(format!(
        "{target} {how} at {} ({} bytes: {shown}); replay it with {REPLAY}={target} make test ARGS=fuzz::replay\n{said}",
        input.display(),
        bytes.len()
    ))
}

#[test]
#[ignore = "the other tests start it, in a process that may die"]
fn a_target_in_a_process_of_its_own() {
    let Ok(name) = env::var(TARGET) else { return };
    let (target, input) = (find(&name), PathBuf::from(env::var_os(INPUT).unwrap()));
    let seed = number(SEED, 0);
    let mut mutator = Mutator::new(target.corpus(), seed);
    let mut read = target.reader();
    let end = Instant::now() + Duration::from_secs(number(LENGTH, SECONDS));
    let mut inputs = 0_u64;
    for whole in target.corpus() {
        fs::write(&input, &whole).unwrap();
        assert!(read(&whole), "{name}: a valid input is refused: {}", String::from_utf8_lossy(&whole).escape_debug());
    }
    while Instant::now() < end {
        let bytes = mutator.next();
        fs::write(&input, &bytes).unwrap();
        read(&bytes);
        inputs += 1;
    }
    println!("{name}: {inputs} inputs from seed {seed}");
    assert!(inputs > 20, "too slow to say anything: {inputs} inputs");
}

/// Reads the last input that a target failed at once more.
#[test]
fn replay() {
    let Ok(name) = env::var(REPLAY) else { return };
    let bytes = fs::read(input_of(&name)).expect("the target has failed before, and its input lies where it was");
    find(&name).reader()(&bytes);
}

macro_rules! each_target {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            let said = run(stringify!($name), number(LENGTH, SECONDS), HANGS).unwrap_or_else(|why| panic!("{why}"));
            let said = said.lines().find(|line| line.contains("inputs from seed")).unwrap_or_default();
            println!("{said}");
        })*

        #[test]
        fn every_target_is_run() {
            let run = [$(stringify!($name)),*];
            assert_eq!(TARGETS.each_ref().map(|target| target.name), run);
        }
    };
}

each_target!(otlp_protobuf, otlp_json, otlp_logs, headers, filter, address);

/// A target that panics, hangs or takes memory without end fails, and its input is named.
#[test]
fn what_is_broken_is_found() {
    for (target, expected) in [("panics", "planted"), ("eats_memory", "memory"), ("hangs", "for 2s")] {
        let why = run(target, 3, Duration::from_secs(2)).expect_err(target);
        assert!(why.contains(expected), "{target}: {why}");
        let input = fs::read(input_of(target)).unwrap();
        assert!(targets::is_bad(&input), "{target}: {input:?}");
        fs::remove_file(input_of(target)).unwrap();
    }
}
