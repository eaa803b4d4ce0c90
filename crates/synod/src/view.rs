//! `synod view`: the service that says who is primary, run until told to stop, or looked at.

use std::{sync::Arc, time::Duration};

use net::{Addr, CallError, Network, Tcp};
use serde_json::{Value, json};
use viewservice::{
    Home, SERVICE_NODE, Server, ServerStatus, Service, Status, Storage, Stuck, ViewClient,
};

use crate::{
    cli::{self, Format},
    failure::{Exit, Failure},
    print::{self, Mood},
    store::Site,
};

/// `synod view`
///
/// # Errors
///
/// If the service cannot start or its disk failed; if the one that is looked at cannot be reached.
pub async fn run(flags: &cli::View, format: Format) -> Result<(), Failure> {
    match &flags.what {
        Some(cli::ViewWhat::Status(views)) => status(views, format).await,
        None => serve(&flags.serve, format).await,
    }
}

/// Everything a view service needs to know to start.
#[derive(Clone, Debug)]
pub struct ViewSettings {
    /// Where it listens.
    pub listen: Addr,
    /// Its directory.
    pub data: std::path::PathBuf,
    /// The number that all nodes of one installation share.
    pub cluster: u64,
}

impl ViewSettings {
    fn from_flags(flags: &cli::ViewServe) -> Result<Self, Failure> {
        let missing = |what: &str, how: &str| {
            let why =
                format!("{what} is missing: {how}; to look at a running one: synod view status");
            Failure::new(Exit::Usage, why)
        };
        let listen = flags.listen.clone();
        let listen = listen.ok_or_else(|| missing("--listen", "say where it listens"))?;
        let data = flags.data.clone();
        let data = data.ok_or_else(|| missing("--data", "name its directory"))?;
        Ok(Self { listen: listen.0, data, cluster: flags.cluster })
    }

    /// Creates the service's directory, once.
    ///
    /// # Errors
    ///
    /// If it holds a node already or cannot be made.
    pub fn init(&self) -> Result<(), Failure> {
        Ok(Storage::init(&self.data, self.cluster, SERVICE_NODE, &wal::Config::default())?)
    }

    /// Opens the service on `network`.
    ///
    /// # Errors
    ///
    /// If its directory or its address cannot be used.
    pub async fn open(&self, network: Arc<dyn Network>) -> Result<Service, Failure> {
        let config = wal::Config::default();
        let storage = Storage::open(&self.data, self.cluster, SERVICE_NODE, config)?;
        let (cluster, addr) = (self.cluster, self.listen.clone());
        let home = Home { network, cluster, me: SERVICE_NODE, addr, storage };
        Ok(Service::open(home).await?)
    }
}

async fn serve(flags: &cli::ViewServe, format: Format) -> Result<(), Failure> {
    let settings = ViewSettings::from_flags(flags)?;
    if flags.bootstrap {
        settings.init()?;
    }
    let mut service = settings.open(Arc::new(Tcp)).await?;
    eprintln!("the view service serves on {}", service.addr);
    if format == Format::Json {
        let (node, addr) = (SERVICE_NODE.0, service.addr.to_string());
        // It serves on when nobody reads what it says.
        let _ = print::json(&json!({"event": "serving", "node": node, "addr": addr}));
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let ended = tokio::select! {
        ended = service.ended() => ended,
        _ = terminate.recv() => service.stop().await,
        _ = tokio::signal::ctrl_c() => service.stop().await,
    };
    last_words(&settings, ended)
}

/// How a view service ended, by itself or because it was told to: only its log can fail.
fn last_words(settings: &ViewSettings, ended: std::io::Result<()>) -> Result<(), Failure> {
    ended.map_err(|error| Failure::log(&settings.data, "view service", "no view is lost", error))
}

/// Between two looks at a view service that cannot be reached.
const PAUSE: Duration = Duration::from_millis(50);

/// What a view service says of the world, asked again and again until it says something or `limit`
/// is over.
///
/// # Errors
///
/// If it cannot be reached in that time.
pub(crate) async fn look(
    ask: impl AsyncFn() -> Result<Status, CallError>,
    site: &Site,
    limit: Duration,
) -> Result<Status, Failure> {
    let mut why = "no answer in time".to_owned();
    let found = tokio::time::timeout(limit, async {
        loop {
            match ask().await {
                Ok(status) => return status,
                Err(error) => why = error.to_string(),
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    if let Ok(status) = found.await {
        return Ok(status);
    }
    let why = format!("{site} cannot be reached ({why}): is it running, and is --cluster right?");
    Err(Failure::new(Exit::Environment, why))
}

/// `synod view status`: a sentence first, then a line a server.
async fn status(views: &cli::Views, format: Format) -> Result<(), Failure> {
    let (view, cluster) = (views.view.0.clone(), views.cluster);
    let client = ViewClient::new(Arc::new(Tcp), cluster, view.clone());
    let status =
        look(async || client.status().await, &Site::Pb { view, cluster }, views.budget()).await?;
    let (sentence, healthy) = sentence(&status);
    match format {
        Format::Json => {
            for server in &status.servers {
                print::json(&line(server))?;
            }
            print::json(&summary(&status, &sentence, healthy))
        }
        Format::Table | Format::Plain => {
            let mood = if healthy { Mood::Good } else { Mood::Bad };
            print::line(print::coloured(&std::io::stdout(), mood, &sentence))?;
            print::line(in_force(&status))?;
            let rows: Vec<Vec<String>> = status.servers.iter().map(row).collect();
            print::table(&["NODE", "INCARNATION", "ROLE", "VIEW", "HEARD", "ADDRESS"], &rows)
        }
    }
}

/// Health in one sentence: who serves, and who may fail.
pub(crate) fn sentence(status: &Status) -> (String, bool) {
    match &status.stuck {
        Some(Stuck::Nobody) => return ("nobody serves: no server has come yet".to_owned(), false),
        Some(stuck) => return (format!("stuck: {stuck}"), false),
        None => {}
    }
    let node = |server: &Option<Server>| server.as_ref().map(|server| server.member.node.0);
    let (primary, backup) = (node(&status.view.primary), node(&status.view.backup));
    let text = match (primary, backup) {
        (None, _) => "nobody serves: no server has come yet".to_owned(),
        (Some(primary), None) => {
            format!("node {primary} is primary and has no backup: it must not fail")
        }
        (Some(primary), Some(backup)) if status.acknowledged => {
            let text = format!(
                "healthy: node {primary} is primary, node {backup} its backup has everything: either may fail"
            );
            return (text, true);
        }
        (Some(primary), Some(backup)) => format!(
            "node {primary} is primary, node {backup} is receiving everything: node {primary} must not fail yet"
        ),
    };
    (text, false)
}

/// The view in force, in one line.
fn in_force(status: &Status) -> String {
    if status.view.primary.is_none() {
        return format!("no view yet; {} incarnations issued", status.issued);
    }
    let state = match (status.acknowledged, status.adopted) {
        (true, _) => "acknowledged",
        (false, true) => "not acknowledged yet",
        (false, false) => "not known to its primary yet",
    };
    format!(
        "view {}, {state}, in force for {:.1} s; {} incarnations issued",
        status.view.number,
        status.since.as_secs_f64(),
        status.issued
    )
}

fn row(status: &ServerStatus) -> Vec<String> {
    let member = status.server.member;
    vec![
        member.node.0.to_string(),
        member.incarnation.to_string(),
        status.role.to_string(),
        status.pinged.map_or("-".to_owned(), |view| view.to_string()),
        format!("{:.2} s ago", status.silent.as_secs_f64()),
        print::cell(status.server.addr.as_bytes()),
    ]
}

fn line(status: &ServerStatus) -> Value {
    let member = status.server.member;
    json!({
        "node": member.node.0, "incarnation": member.incarnation.0.to_string(),
        "role": status.role.to_string(), "view": status.pinged.map(|view| view.to_string()),
        "silent_ms": status.silent.as_secs_f64() * 1e3, "addr": status.server.addr,
    })
}

fn summary(status: &Status, sentence: &str, healthy: bool) -> Value {
    let named = |server: &Option<Server>| {
        server.as_ref().map(|server| {
            let member = server.member;
            json!({
                "node": member.node.0, "incarnation": member.incarnation.0.to_string(),
                "addr": server.addr,
            })
        })
    };
    json!({
        "healthy": healthy, "summary": sentence, "view": status.view.number.to_string(),
        "primary": named(&status.view.primary), "backup": named(&status.view.backup),
        "adopted": status.adopted, "acknowledged": status.acknowledged,
        "since_ms": status.since.as_secs_f64() * 1e3, "issued": status.issued.to_string(),
        "stuck": status.stuck.as_ref().map(ToString::to_string),
    })
}

#[cfg(test)]
mod tests {
    use viewservice::{Incarnation, View};

    use super::*;

    fn site() -> Site {
        Site::Pb { view: Addr::from("127.0.0.1:9"), cluster: 1 }
    }

    #[tokio::test(start_paused = true)]
    async fn a_view_service_that_is_just_coming_up_is_asked_again() {
        let (tries, nobody) = (std::cell::Cell::new(0), Duration::ZERO);
        let status = async || match tries.replace(tries.get() + 1) {
            0..3 => Err(CallError::Lost),
            _ => Ok(Status {
                view: View::default(),
                adopted: false,
                acknowledged: false,
                since: nobody,
                issued: Incarnation(0),
                servers: Vec::new(),
                stuck: Some(Stuck::Nobody),
            }),
        };
        let found = look(status, &site(), Duration::from_secs(5)).await.expect("it came up");
        assert_eq!((found.stuck, tries.get()), (Some(Stuck::Nobody), 4));
        // One that never comes is given up in time, and the last reason is told.
        let began = tokio::time::Instant::now();
        let limit = Duration::from_secs(2);
        let failed = look(async || Err(CallError::Lost), &site(), limit).await;
        let failure = failed.expect_err("nobody is there");
        assert_eq!((failure.exit, began.elapsed()), (Exit::Environment, limit));
        assert!(failure.why.contains(&CallError::Lost.to_string()), "{failure}");
        // Nor does one that hangs keep anybody for longer.
        let failed = look(async || std::future::pending().await, &site(), limit).await;
        assert!(failed.expect_err("it hangs").why.contains("no answer in time"));
        assert_eq!(began.elapsed(), 2 * limit);
    }

    #[test]
    fn a_log_that_fails_while_the_service_stops_is_a_failure_of_storage() {
        let (listen, data) = (Addr::any(), std::path::PathBuf::from("data/view"));
        let settings = ViewSettings { listen, data, cluster: 1 };
        assert!(last_words(&settings, Ok(())).is_ok());
        let failed = last_words(&settings, Err(std::io::Error::other("no space")));
        let failure = failed.expect_err("its log failed");
        assert_eq!(failure.exit, Exit::Storage);
        assert!(failure.why.contains("data/view failed (no space)"), "{failure}");
    }
}
