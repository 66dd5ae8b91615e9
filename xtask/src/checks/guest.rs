//! The kernel's contract and the claims on the oldest kernel that is served, in an emulated guest.
//!
//! The guest is a tool of its own: `TOOL -t SECONDS -a FILE[:PATH]... SCRIPT ARGUMENT...` boots a
//! kernel, puts the files into it with their libraries, runs the script as root, prints what the
//! script prints and ends as it does. Emulation is many times slower than the machine, so nothing
//! is measured there, and of what each change must pass only a short part is.
//!
//! The tests look for the gateway at the path where it was built, also in the guest: that may not
//! be under `/tmp`, over which a guest mounts a folder of its own.

mod card;
mod service;
mod tuning;

use std::env;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{debian, redis};
use crate::shell::{Result, cargo, root, run as run_command, shown, target};

/// Names the tool where no option does.
const VARIABLE: &str = "HOLDFAST_GUEST";
/// Where the tool is looked for last, from the root of the repository.
const USUAL: &str = "../shared/tools/guest";

/// The integration tests that run there.
const TESTS: [&str; 2] = ["kernel_contract", "claims"];

/// What the guest runs: all on `io_uring`, and what needs a store on epoll too. Their gateways
/// speak to the kernel as they are told or not at all.
const SCRIPT: &str = "\
echo \"kernel $(uname -rv)\"
export RUST_BACKTRACE=1 HOLDFAST_REDIS_SERVER=/guest/redis-server
ended=0
tests() {
  io=$1 program=$2
  shift 2
  echo \"tests $program on $io\"
  HOLDFAST_IO=$io /guest/$program --test-threads=2 --show-output \"$@\" 2>&1 || ended=1
}
tests uring kernel_contract
tests uring claims --skip on_epoll
tests epoll claims --skip on_uring embedded_on redis_on hosts_share the_store_may
exit $ended
";

/// How often it runs tests.
const RUNS: usize = 3;

/// What the tool needs, by program and package.
const NEEDS: [(&str, &str); 3] =
    [("qemu-system-x86_64", "qemu-system-x86"), ("busybox", "busybox-static"), ("cpio", "cpio")];
/// Seconds until the short part is given up, the fetching of a kernel among them.
const SHORT: u32 = 300;

/// What a test of the kernel's contract says instead of failing where there is no `io_uring`.
const SKIPPED: &str = "skipped: ";

/// Where the guest comes from and how long it may take.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program that runs a script in a guest; without it `$HOLDFAST_GUEST`, else
    /// `../shared/tools/guest`
    #[arg(long, value_name = "PATH")]
    tool: Option<PathBuf>,
    /// Seconds until the guest is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    limit: u32,
    /// Show what `holdfast-tuning` does to a kernel and undoes, and what so many clients take of a
    /// gateway with one shard there (0 for no gateway), instead
    #[arg(long, value_name = "CLIENTS", num_args = 0..=1, default_missing_value = "200000")]
    tuning: Option<u32>,
    /// Install the Debian packages on a Debian with systemd there, run the gateway in the sandbox
    /// of its unit, and remove them, instead
    #[arg(long, conflicts_with = "tuning")]
    service: bool,
    /// Show what `holdfast-tuning` does to a network card with four queues there, and undoes,
    /// instead; needs root and `/dev/net/tun`
    #[arg(long, conflicts_with_all = ["tuning", "service"])]
    card: bool,
}

/// What each change must pass of it: what `holdfast-tuning` does to a kernel, it undoes. Without
/// the tool a line says that it was left out.
pub(crate) fn short() -> Result {
    match tool(None) {
        Ok(tool) => {
            debian::ensure(&NEEDS)?;
            debian::ensure_known("linux-image-amd64")?;
            tuning::run(&tool, SHORT, 0)
        }
        Err(why) => {
            eprintln!("\nskipped: what holdfast-tuning does to a kernel of its own: {why}");
            Ok(())
        }
    }
}

/// Builds the tests, runs them in the guest and sums them up.
pub(crate) fn run(args: &Args) -> Result {
    let tool = tool(args.tool.as_deref())?;
    if let Some(clients) = args.tuning {
        return tuning::run(&tool, args.limit, clients);
    }
    if args.service {
        return service::run(&tool, args.limit);
    }
    if args.card {
        return card::run(&tool, args.limit);
    }
    redis::ensure()?;
    let mut command = cargo(&["test", "--package", "holdfast", "--no-run"]);
    command.args(TESTS.iter().flat_map(|test| ["--test", test]));
    let built = build(command, &[&TESTS[..], &["holdfast"]].concat())?;
    let (folder, script) = prepare(SCRIPT)?;
    let mut guest = guest(&tool, args.limit);
    for program in &built {
        guest.arg("-a").arg(program.pack(&folder)?);
    }
    guest.arg("-a").arg(format!("{}:/guest/redis-server", redis::path()?.display()));
    let (summary, ended) = watch(guest.arg(script))?;
    eprint!("\n{summary}");
    ended?;
    summary.judge(RUNS)
}

/// A folder for what the guest gets, with the script that it runs.
fn prepare(script: &str) -> Result<(PathBuf, PathBuf)> {
    let folder = target().join("guest");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let file = folder.join("script.sh");
    fs::write(&file, script).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok((folder, file))
}

/// The tool's command; line by line, so that a person sees it go on.
fn guest(tool: &Path, limit: u32) -> Command {
    let mut guest = Command::new("stdbuf");
    guest.arg("-oL").arg(tool).args(["-t", &limit.to_string()]);
    guest
}

/// The tool, where it is.
fn tool(named: Option<&Path>) -> Result<PathBuf> {
    let variable = env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let tool = named.map(Path::to_owned).or(variable).unwrap_or_else(|| root().join(USUAL));
    if tool.is_file() {
        return fs::canonicalize(&tool).map_err(|error| format!("{}: {error}", tool.display()));
    }
    Err(format!(
        "the guest tool is missing: {} is no file; name one with --tool PATH or ${VARIABLE}",
        tool.display()
    ))
}

/// A program that the guest gets.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    name: String,
    built: PathBuf,
    /// It lies in the guest where it was built, not beside the others.
    in_place: bool,
}

impl Program {
    /// Copies it without its symbols, which the guest would have to unpack; gives the tool's word
    /// for it.
    fn pack(&self, folder: &Path) -> Result<String> {
        let packed = folder.join(&self.name);
        run_command(Command::new("strip").arg("-o").arg(&packed).arg(&self.built))?;
        let place = if self.in_place { self.built.display().to_string() } else { self.place() };
        Ok(format!("{}:{place}", packed.display()))
    }

    fn place(&self) -> String {
        format!("/guest/{}", self.name)
    }
}

/// Builds as the command says, and gives these programs of what was built.
fn build(mut command: Command, wanted: &[&str]) -> Result<Vec<Program>> {
    command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    eprintln!("\n$ {}", shown(&command));
    let output = command.output().map_err(|error| format!("cannot run cargo: {error}"))?;
    if !output.status.success() {
        return Err("what the guest runs does not build".into());
    }
    let mut built = programs(&String::from_utf8_lossy(&output.stdout));
    built.retain(|program| wanted.contains(&program.name.as_str()));
    if built.len() == wanted.len() { Ok(built) } else { Err(format!("cargo built {built:?}")) }
}

/// The programs that cargo says it built, of a line of JSON each.
fn programs(messages: &str) -> Vec<Program> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs = messages.filter_map(|message| {
        let target = &message["target"];
        let built = PathBuf::from(message["executable"].as_str()?);
        let name = target["name"].as_str()?.to_owned();
        Some(Program { name, built, in_place: target["kind"][0] == "bin" })
    });
    programs.collect()
}

/// Runs the guest, shows what it prints and sums it up; gives how it ended as well.
fn watch(guest: &mut Command) -> Result<(Summary, Result)> {
    eprintln!("\n$ {}", shown(guest));
    let mut child = guest.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let output = child.stdout.take().ok_or("a child without an output")?;
    let mut summary = Summary::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.map_err(|error| error.to_string())?;
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        summary.take(line.trim_end());
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let ended = match status.code() {
        Some(0) => Ok(()),
        Some(124) => Err("the guest was given up; it may need a longer --limit".to_owned()),
        _ => Err(format!("the guest's tests failed: {status}")),
    };
    Ok((summary, ended))
}

/// What the guest said of its tests.
#[derive(Debug, Default)]
struct Summary {
    kernel: String,
    tests: Vec<Tests>,
}

/// The tests of one run.
#[derive(Debug, Default)]
struct Tests {
    name: String,
    passed: usize,
    failed: Vec<String>,
    skipped: usize,
}

impl Summary {
    fn take(&mut self, line: &str) {
        if let Some(kernel) = line.find("kernel ").filter(|_| self.kernel.is_empty()) {
            // The screen is cleared by what stands before it on the first line.
            line[kernel..].clone_into(&mut self.kernel);
        } else if let Some(name) = line.strip_prefix("tests ") {
            self.tests.push(Tests { name: name.to_owned(), ..Tests::default() });
        } else if let Some(tests) = self.tests.last_mut() {
            tests.take(line);
        }
    }

    /// Whether so many runs of tests were all on `io_uring` and passed.
    fn judge(&self, runs: usize) -> Result {
        let whole = |tests: &Tests| tests.passed > 0 && tests.failed.is_empty();
        if self.tests.len() != runs || !self.tests.iter().all(whole) {
            return Err("not all tests passed in the guest".into());
        }
        if self.tests.iter().any(|tests| tests.skipped > 0) {
            return Err("the guest has no io_uring".into());
        }
        Ok(())
    }
}

impl Tests {
    fn take(&mut self, line: &str) {
        let ended = line.strip_prefix("test ").and_then(|test| test.split_once(" ... "));
        match ended {
            Some((_, "ok")) => self.passed += 1,
            Some((name, "FAILED")) => self.failed.push(name.to_owned()),
            _ => self.skipped += usize::from(line.starts_with(SKIPPED)),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, emulated", self.kernel)?;
        for Tests { name, passed, failed, skipped } in &self.tests {
            writeln!(f, "{name}: {passed} passed, {} failed, {skipped} skipped", failed.len())?;
            failed.iter().try_for_each(|test| writeln!(f, "  failed: {test}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(lines: &[&str]) -> Summary {
        let mut summary = Summary::default();
        for line in lines {
            summary.take(line);
        }
        summary
    }

    const PASSED: [&str; 7] = [
        "kernel 6.1.0",
        "tests kernel_contract on uring",
        "test a ... ok",
        "tests claims on uring",
        "test b ... ok",
        "tests claims on epoll",
        "test c ... ok",
    ];

    #[test]
    fn what_passed_is_counted() {
        let summary = summary(&PASSED);
        assert!(summary.judge(RUNS).is_ok());
        let line = "kernel_contract on uring: 1 passed, 0 failed, 0 skipped";
        assert!(summary.to_string().contains(line), "{summary}");
    }

    #[test]
    fn a_failure_is_named_and_an_error() {
        let summary = summary(&[&PASSED[..], &["test b::c ... FAILED"]].concat());
        assert!(summary.judge(RUNS).is_err());
        assert!(summary.to_string().contains("failed: b::c"), "{summary}");
    }

    #[test]
    fn a_guest_that_ends_early_or_skips_is_an_error() {
        assert!(summary(&PASSED[..3]).judge(RUNS).is_err());
        assert!(summary(&[&PASSED[..], &["skipped: no io_uring"]].concat()).judge(RUNS).is_err());
    }

    #[test]
    fn programs_are_those_that_cargo_built() {
        let messages = r#"{"target":{"kind":["lib"],"name":"l"},"executable":null}
{"target":{"kind":["bin"],"name":"holdfast"},"executable":"/t/holdfast"}
{"reason":"build-finished","success":true}"#;
        let gateway =
            Program { name: "holdfast".into(), built: "/t/holdfast".into(), in_place: true };
        assert_eq!(programs(messages), [gateway]);
    }

    #[test]
    fn a_tool_that_is_missing_is_said_to_be() {
        let refused = tool(Some(Path::new("no/such/guest"))).unwrap_err();
        assert!(refused.contains("no/such/guest") && refused.contains("--tool"), "{refused}");
    }
}
