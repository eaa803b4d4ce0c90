//! The workshop: `cargo xtask COMMAND`, from anywhere in the repository.
//!
//! Whatever the tower demands of itself is one of these commands, so that a newcomer, a reviewer
//! and the build machine run the same thing. `test-all` (or `ci`) never changes a tracked file;
//! `fix`, `golden` and `acceptance` do.

mod acceptance;
mod bench;
mod bugs;
mod command;
mod docs;
mod forward;
mod scenarios;
mod table;
mod test_all;
mod tests_built;
mod tidy;
mod tower;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

/// What to print when asked, or when asked for something unknown.
const USAGE: &str = "\
usage: cargo xtask COMMAND

  test-all [--quick]   everything that must hold; one verdict on the last line
  ci [--quick]         the same
  tidy                 what a compiler cannot check: arrows, purity, doors, sizes
  fix                  format, and let clippy repair what it can
  golden [NAME]        rewrite golden files from what the tests do now
  sim [ARGS]           simulate: --scenario NAME --seeds A..B | --seed N --trace | --minutes M
  virtual [ARGS]       the whole stack in virtual time: --seeds A..B | --seed N [--trace]
  soak [ARGS]          scenarios over many seeds, in parallel: --scenario NAME, --seeds A..B,
                       --minutes M, --jobs N
  bugs                 plant each known mistake and demand that a test catches it
  chaos [ARGS]         real processes, killed at random
  bench core [FLAGS]   the pure core beside omnipaxos
  bench peers [FLAGS]  three nodes beside three nodes of etcd, on one disk
  bench wal [FLAGS]    the log beside the raw disk
  bench rpc [FLAGS]    calls through our network beside bare tarpc
                       FLAGS: --rounds N --seconds S --only SIDE, and a part of the table:
                         core   --cell REPLICAS,WINDOW,BATCH,SIZE[,bytes][,all-know] ...
                         peers  --clients N,N --op put,get --size BYTES --keys N --warmup S
                         wal    --writers N,N --size BYTES,BYTES
                         rpc    --in-flight N,N --size BYTES,BYTES
                       --write puts the table into docs/performance.md
  bench pb [--write]   a primary and its backup; or a part: put failover transfer wire, --small
  bench lock [--write] the table of locks and its server; or a part: table served handover, --small
  bench [ARGS]         any other words: what `synod bench` takes
  acceptance           write docs/acceptance.md from the tests that exist and last ran
  docs                 check links and pasted sessions of the documentation
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command; whether all is well.
fn run(words: &[&str]) -> anyhow::Result<bool> {
    let Some((command, rest)) = words.split_first() else {
        eprint!("{USAGE}");
        return Ok(false);
    };
    let workspace = || Workspace::load();
    match (*command, rest) {
        ("test-all" | "ci", []) => test_all::run(&workspace()?, false),
        ("test-all" | "ci", ["--quick"]) => test_all::run(&workspace()?, true),
        ("tidy", []) => tidy::run(&workspace()?),
        ("fix", []) => forward::fix(&workspace()?),
        ("golden", [] | [_]) => forward::golden(&workspace()?, rest.first().copied()),
        ("sim", _) => forward::sim(&workspace()?, rest),
        ("soak", _) => forward::soak(&workspace()?, rest),
        ("virtual", _) => forward::whole_stack(&workspace()?, rest),
        ("bugs", []) => bugs::run(&workspace()?),
        ("bench", _) => {
            let workspace = workspace()?;
            match bench::run(&workspace, rest)? {
                Some(well) => Ok(well),
                None => forward::synod(&workspace, words),
            }
        }
        ("chaos", _) => forward::synod(&workspace()?, words),
        ("acceptance", []) => acceptance::run(&workspace()?),
        ("docs", []) => docs::run(&workspace()?),
        ("help" | "--help" | "-h", _) => {
            print!("{USAGE}");
            Ok(true)
        }
        _ => {
            eprintln!("xtask: no such command: {}\n\n{USAGE}", words.join(" "));
            Ok(false)
        }
    }
}
