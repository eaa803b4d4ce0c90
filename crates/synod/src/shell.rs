//! `synod shell`: the verbs of a store at a prompt, or from a script.

use std::{
    io::IsTerminal,
    path::Path,
    time::{Duration, Instant},
};

use clap::{CommandFactory, Parser, Subcommand};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    cli::{self, Format, Servers, StoreKind},
    failure::{Exit, Failure},
    prompt::{Heard, History, Prompt, Seen, words},
    status,
    store::{Client, Site},
    verbs::{self, Deed},
};

/// How long `status` waits for a node.
const GLANCE: Duration = Duration::from_secs(1);

/// A command at the prompt.
#[derive(Debug, Parser)]
#[command(multicall = true, disable_help_flag = true, help_template = "{subcommands}")]
struct Line {
    /// What to do.
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
#[command(subcommand_help_heading = "Commands")]
enum What {
    #[command(flatten)]
    Deed(Deed),
    /// How the nodes are doing.
    Status,
    /// Say how long each command takes, or stop saying so.
    Timing,
    /// Print results in another form from here on.
    Output {
        /// The form.
        format: Format,
    },
    /// Leave. Ctrl-D does, too.
    #[command(alias = "exit")]
    Quit,
}

/// `synod shell`
///
/// # Errors
///
/// If a command of a script fails: its exit code. At a prompt only if the terminal does not work.
pub async fn run(
    flags: &cli::Shell,
    servers: &Servers,
    (store, format): (StoreKind, Format),
) -> Result<(), Failure> {
    let (site, budget) = (Site::of(store, servers)?, servers.budget());
    let people = std::io::stdin().is_terminal();
    let seen = Seen::default();
    let client = site.client(budget);
    let mut shell = Shell { site, budget, client, format, timing: false, seen };
    if people {
        eprintln!(
            "synod {}, at {}; help lists the commands",
            env!("CARGO_PKG_VERSION"),
            shell.site
        );
        let history = history(flags.history_file.as_deref());
        let prompt = Prompt::terminal(history, verb_names(), shell.seen.clone())?;
        // Caught from now on, so that no moment is left in which it would end everything.
        let interrupts = signal(SignalKind::interrupt())?;
        return shell.converse(prompt, interrupts).await;
    }
    tokio::select! {
        ended = shell.script(Prompt::piped()?, flags.keep_going) => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Unknown, INTERRUPTED)),
    }
}

const INTERRUPTED: &str = "interrupted: what was under way may or may not have happened";

/// The words that a command can begin with.
fn verb_names() -> Vec<String> {
    let commands = Line::command();
    let names = commands.get_subcommands().map(|command| command.get_name().to_owned());
    let mut names: Vec<String> = names.chain(["help".to_owned()]).collect();
    names.extend(["status", "timing", "output", "help", "quit"].map(|name| format!("\\{name}")));
    names
}

/// The history at the place that was asked for, else at the usual one; an empty name is none.
fn history(asked: Option<&Path>) -> Option<(History, Vec<String>)> {
    let usual = History::usual_place();
    let path = asked.or(usual.as_deref()).filter(|path| !path.as_os_str().is_empty())?;
    match History::open(path) {
        Ok(history) => Some(history),
        Err(error) => {
            eprintln!(
                "no history is kept: {}: {error}; --history-file names another place",
                path.display()
            );
            None
        }
    }
}

/// Whether there was an interrupt that nobody has looked at.
async fn is_due(interrupts: &mut Signal) -> bool {
    tokio::select! {
        biased;
        _ = interrupts.recv() => true,
        () = std::future::ready(()) => false,
    }
}

/// Whether to go on after a command.
enum Then {
    GoOn,
    Quit,
}

struct Shell {
    site: Site,
    budget: Duration,
    client: Client,
    format: Format,
    timing: bool,
    seen: Seen,
}

impl Shell {
    /// With somebody who sees what fails and decides.
    async fn converse(
        &mut self,
        mut prompt: Prompt,
        mut interrupts: Signal,
    ) -> Result<(), Failure> {
        loop {
            let text = match prompt.next("synod> ").await {
                Heard::Text(text) => text,
                Heard::Interrupted => continue,
                Heard::End => return Ok(()),
                Heard::Broken(why) => return Err(Failure::new(Exit::Environment, why)),
            };
            // The editor gives nothing whose quotes are open.
            for command in words::commands(&text).unwrap_or_default() {
                while is_due(&mut interrupts).await {}
                let done = tokio::select! {
                    done = self.command(&command) => done,
                    _ = interrupts.recv() => {
                        // Its session may have a request under way: another client goes on.
                        self.client = self.site.client(self.budget);
                        Err(Failure::new(Exit::Unknown, INTERRUPTED))
                    }
                };
                match done {
                    Ok(Then::GoOn) => {}
                    Ok(Then::Quit) => return Ok(()),
                    Err(failure) => {
                        failure.tell();
                        break;
                    }
                }
            }
        }
    }

    /// With nobody: the first failure ends it, unless it is to go on; then the first failure is
    /// how it ends.
    async fn script(&mut self, mut prompt: Prompt, keep_going: bool) -> Result<(), Failure> {
        let (mut text, mut line, mut begun, mut first) = (String::new(), 0_u64, 1, None);
        loop {
            match prompt.next("").await {
                Heard::Text(more) => text.push_str(&more),
                Heard::Interrupted | Heard::End if text.is_empty() => break,
                Heard::Interrupted | Heard::End => {
                    let why = format!("line {begun}: a quote is open to the end");
                    return Err(Failure::new(Exit::Usage, why));
                }
                Heard::Broken(why) => return Err(Failure::new(Exit::Environment, why)),
            }
            line += 1;
            let Ok(commands) = words::commands(&text) else { continue };
            text.clear();
            for command in commands {
                match self.command(&command).await {
                    Ok(Then::GoOn) => {}
                    Ok(Then::Quit) => return first.map_or(Ok(()), |exit| Err(Failure::told(exit))),
                    Err(failure) if failure.why.is_empty() => return Err(failure),
                    Err(failure) => {
                        let Failure { exit, why } = failure;
                        let failure = Failure::new(exit, format!("line {begun}: {why}"));
                        if !keep_going {
                            return Err(failure);
                        }
                        failure.tell();
                        first.get_or_insert(exit);
                    }
                }
            }
            begun = line + 1;
        }
        first.map_or(Ok(()), |exit| Err(Failure::told(exit)))
    }

    async fn command(&mut self, words: &[String]) -> Result<Then, Failure> {
        let began = Instant::now();
        let done = match parse::<Line>(words)?.map(|line| line.what) {
            None => Ok(()),
            Some(What::Quit) => return Ok(Then::Quit),
            Some(What::Timing) => {
                self.timing = !self.timing;
                eprintln!("timing is {}", if self.timing { "on" } else { "off" });
                return Ok(Then::GoOn);
            }
            Some(What::Output { format }) => {
                self.format = format;
                return Ok(Then::GoOn);
            }
            Some(What::Status) => status::of(&self.site, GLANCE, self.format).await,
            Some(What::Deed(deed)) => {
                deed.keys().for_each(|key| self.seen.remember(key));
                verbs::Filled::from(deed).perform(&mut self.client, self.format).await
            }
        };
        if self.timing {
            eprintln!("{:.1} ms", began.elapsed().as_secs_f64() * 1e3);
        }
        done.map(|()| Then::GoOn)
    }
}

/// What these words say, in the language of a prompt; `None` if they asked for help, which was
/// given. A backslash before the first word changes nothing: `\timing` is `timing`.
///
/// # Errors
///
/// If they say nothing that is understood.
pub fn parse<L: Parser>(words: &[String]) -> Result<Option<L>, Failure> {
    let mut words = words.to_vec();
    if let Some(first) = words.first_mut() {
        *first = first.trim_start_matches('\\').to_owned();
    }
    match L::try_parse_from(words) {
        Ok(line) => Ok(Some(line)),
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let why = text.strip_prefix("error: ").unwrap_or(&text);
            let why = why.lines().filter(|line| !line.is_empty() && !line.contains("try '--help'"));
            let why: Vec<&str> = why.map(str::trim).collect();
            Err(Failure::new(Exit::Usage, format!("{}; help lists the commands", why.join(" "))))
        }
        Err(error) => {
            eprintln!("{}", error.to_string().trim_end());
            Ok(None)
        }
    }
}
