//! `synod`: reads the command line, does it, ends with a number that scripts can trust.

use std::process::ExitCode;

use clap::Parser;
use synod::{
    cli::{CheckWhat, Cli, Format, On, StoreKind, Verb},
    failure::{Exit, Failure},
    print,
    store::Site,
    verbs::Deed,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let filter = std::env::var("SYNOD_LOG").unwrap_or_else(|_| "warn,tarpc=off".to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(print::colours(&std::io::stderr()))
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(cli)),
        Err(error) => Err(Failure::new(Exit::Environment, error)),
    };
    match ended {
        Ok(()) => ExitCode::from(Exit::Ok as u8),
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.exit as u8)
        }
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let (format, store) = (print::format(cli.output), cli.store);
    let how = (store, format);
    match cli.verb {
        Verb::Init(flags) => synod::node::init(&flags, format),
        Verb::Kv(flags) => synod::node::run(&flags, format).await,
        Verb::View(flags) => synod::view::run(&flags, format).await,
        Verb::Pb(flags) => synod::pb::run(&flags, format).await,
        Verb::Lock(flags) => synod::lock::run(&flags, format).await,
        Verb::Put(on) => perform(on, Deed::Put, how).await,
        Verb::Append(on) => perform(on, Deed::Append, how).await,
        Verb::Get(on) => perform(on, Deed::Get, how).await,
        Verb::Delete(on) => perform(on, Deed::Delete, how).await,
        Verb::Cas(on) => perform(on, Deed::Cas, how).await,
        Verb::Mget(on) => perform(on, Deed::Mget, how).await,
        Verb::Mset(on) => perform(on, Deed::Mset, how).await,
        Verb::ScanAll(on) => perform(on, Deed::ScanAll, how).await,
        Verb::Shell(on) => synod::shell::run(&on.what, &on.servers, how).await,
        Verb::Load(on) => synod::load::run(&on.what, &on.servers, how).await,
        Verb::Status(flags) => synod::status::run(&flags, how).await,
        Verb::Wal(flags) => synod::logtool::run(&flags, format),
        Verb::Snapshot(flags) => synod::snapshottool::run(&flags, how).await,
        Verb::Check(flags) => match flags.what {
            CheckWhat::History { file, html } => {
                synod::check::history(&file, html.as_deref(), format)
            }
        },
        Verb::Bench(flags) => synod::bench::run(&flags, how).await,
        Verb::Demo(flags) => synod::demo::run(&flags, format).await,
        Verb::Chaos(flags) => synod::chaos::run(&flags, how).await,
        Verb::Completions(flags) => synod::version::completions(&flags, format),
        Verb::Version(flags) => synod::version::run(&flags, format),
    }
}

async fn perform<T: clap::Args>(
    on: On<T>,
    deed: impl Fn(T) -> Deed,
    (store, format): (StoreKind, Format),
) -> Result<(), Failure> {
    let deed = deed(on.what);
    if store == StoreKind::Pb {
        deed.is_for_pairs()?;
    }
    let site = Site::of(store, &on.servers)?;
    let filled = deed.filled_in()?;
    filled.perform(&mut site.client(on.servers.budget()), format).await
}
