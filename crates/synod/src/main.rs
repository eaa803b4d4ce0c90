//! `synod`: reads the command line, does it, ends with a number that scripts can trust.

use std::process::ExitCode;

use clap::Parser;
use synod::{
    cli::{CheckWhat, Cli, Verb},
    failure::{Exit, Failure},
    print,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let filter = std::env::var("SYNOD_LOG").unwrap_or_else(|_| "warn,tarpc=off".to_owned());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(Failure::new(Exit::Environment, error)),
    };
    match ended {
        Ok(()) => ExitCode::from(Exit::Ok as u8),
        Err(failure) => {
            if !failure.why.is_empty() {
                eprintln!("synod: {failure}");
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let format = print::format(cli.output);
    match cli.verb {
        Verb::Init(flags) => synod::node::init(&flags),
        Verb::Kv(flags) => synod::node::run(&flags).await,
        Verb::Put(flags) => synod::verbs::put(&flags, format).await,
        Verb::Append(flags) => synod::verbs::append(&flags, format).await,
        Verb::Get(flags) => synod::verbs::get(&flags, format).await,
        Verb::Delete(flags) => synod::verbs::delete(&flags, format).await,
        Verb::Cas(flags) => synod::verbs::cas(&flags, format).await,
        Verb::Status(flags) => synod::status::run(&flags, format).await,
        Verb::Wal(flags) => synod::logtool::run(&flags, format),
        Verb::Snapshot(flags) => synod::snapshottool::run(&flags, format).await,
        Verb::Check(flags) => match flags.what {
            CheckWhat::History { file, html } => {
                synod::check::history(&file, html.as_deref(), format)
            }
        },
        Verb::Bench(flags) => synod::bench::run(&flags, format).await,
        Verb::Demo(flags) => synod::demo::run(&flags, format).await,
        Verb::Chaos(flags) => synod::chaos::run(&flags, format).await,
    }
}
