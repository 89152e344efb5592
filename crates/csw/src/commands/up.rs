//! `csw up`: the whole site in one process, until it is asked to stop.

use std::{io::IsTerminal, net::SocketAddr, path::Path, time::Duration};

use axum::{Router, http::Uri, serve::ListenerExt};
use csw_kubernetes::leader::{Leadership, Lost};
use serde_json::json;
use tokio::{net::TcpListener, signal::unix::SignalKind, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    cli::{LogForm, Place, Up},
    failure::{Code, Failure, Outcome},
    folder::{Folder, write_privately},
    output::Printer,
    settings::{ExecutorWord, LISTEN, Settings},
    wiring::{self, Runs},
};

/// Connections that are still open when every run is over get so long.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// How often a process that waits looks whether its folder is free.
const LOOK: Duration = Duration::from_millis(500);

/// What to do first, for whoever starts a site.
const FIRST_LOGIN: &str = "first-login.txt";

pub(crate) async fn run(settings: &Settings, options: &Up, printer: Printer) -> Outcome {
    start_log(options.log)?;
    let public_url =
        options.front.public_url.as_ref().or(settings.public_url.as_ref()).map(|url| origin(url)).transpose()?;
    let stop = stop_signal()?;
    let cluster = match options.executor.or(settings.executor) {
        Some(ExecutorWord::Kubernetes) => Some(wiring::Cluster::find(settings).await?),
        _ => None,
    };
    let way_out = "stop the other server, or choose another folder with `--data`";
    let place = &options.workshop.place;
    let data = settings.data(place);
    // Of several processes for a cluster's sake one works, and the others wait.
    let (folder, leadership) = match &cluster {
        None => (Folder::take(&data, way_out)?, None),
        Some(cluster) => tokio::select! {
            led = lead(settings, place, cluster) => led.map(|(folder, leadership)| (folder, Some(leadership)))?,
            () = stop.cancelled() => return Ok(()),
        },
    };
    let data = folder.path();
    let listener = listen(settings, options).await?;
    let address = listener.local_addr().map_err(|error| Failure::local(error.to_string(), "try another port"))?;
    let public_url = public_url.unwrap_or_else(|| local_url(address));
    let runs = cluster.map_or(Runs::Here, Runs::Cluster);
    let site = wiring::site(settings, &options.workshop, &folder, public_url.clone(), runs).await?;
    let callbacks = site.callbacks.map(|(listener, router)| tokio::spawn(axum::serve(listener, router).into_future()));
    let background = site.app.start().await;
    let closing = CancellationToken::new();
    let server = serve(listener, site.router, closing.clone());
    tracing::info!(url = %public_url, %address, data = %data.display(), "serving");
    let accounts = site.app.ports().store.accounts(csw_core::page::PageRequest { number: 1, size: 1 }).await?;
    if accounts.total == 0 {
        explain_first_login(data, &public_url, printer)?;
    }
    let ready = json!({
        "url": public_url,
        "listen": address.to_string(),
        "data": data,
        "database": site.database,
        "pid": std::process::id(),
        "version": env!("CARGO_PKG_VERSION"),
    });
    printer.result(&ready, || format!("Serving {public_url} from {}; Ctrl-C stops it.", data.display()))?;
    let lost = tokio::select! {
        () = stop.cancelled() => None,
        lost = lost(leadership.as_ref()) => Some(lost),
    };
    if lost.is_none() {
        drain(&site.leaving, options.front.drain).await;
    }
    stop.cancel();
    closing.cancel();
    tracing::info!(grace_seconds = options.grace, "stopping: live runs may finish, the others go back to the queue");
    background.shut_down(options.grace).await;
    site.cgroups.close();
    server.end().await;
    if let Some(callbacks) = callbacks {
        callbacks.abort();
    }
    tracing::info!("stopped");
    match (leadership, lost) {
        (_, Some(lost)) => return Err(led_no_more(lost)),
        (Some(leadership), None) => leadership.resign().await,
        (None, None) => {}
    }
    Ok(())
}

/// Answers a while longer, and tells whoever asks that nobody is to be sent here any more.
pub(super) async fn drain(leaving: &CancellationToken, seconds: u32) {
    leaving.cancel();
    if seconds > 0 {
        tracing::info!(seconds, "asked to stop: /readyz says so, and what still comes is answered");
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    }
}

/// A server that answers until it is asked to stop.
pub(super) struct Serving(JoinHandle<std::io::Result<()>>);

impl Serving {
    /// Waits for the last answers, for a while.
    pub(super) async fn end(self) {
        if tokio::time::timeout(LAST_ANSWERS, self.0).await.is_err() {
            tracing::info!("some connections were still open");
        }
    }
}

/// Answers what a router answers, until `stop`.
pub(super) fn serve(listener: TcpListener, router: Router, stop: CancellationToken) -> Serving {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    Serving(tokio::spawn(async move {
        // Events are small writes that somebody waits for: they must not wait for an acknowledgement.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its delay");
            }
        });
        axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await
    }))
}

pub(super) fn led_no_more(lost: Lost) -> Failure {
    match lost {
        Lost::Taken => Failure::new(
            Code::Unavailable,
            "another process looks after the Jobs of this site now",
            "start this one again: it waits until it is needed",
        ),
        Lost::NotRenewed => Failure::new(
            Code::Unavailable,
            "the cluster's API server has not renewed the lead of this process in time, so another may have it",
            "start this one again: Jobs go on meanwhile, and it goes on with them when the API server answers",
        ),
    }
}

/// Waits until this process is the one that works in its folder and looks after the site's Jobs.
pub(super) async fn lead(
    settings: &Settings,
    place: &Place,
    cluster: &wiring::Cluster,
) -> Outcome<(Folder, Leadership)> {
    let data = settings.data(place);
    tracing::info!("waiting for the lead: one process at a time looks after the Jobs of a site");
    let folder = loop {
        match Folder::take_if_free(&data)? {
            Some(folder) => break folder,
            None => tokio::time::sleep(LOOK).await,
        }
    };
    let database = wiring::Database::choose(settings, place);
    let candidate = cluster.candidate(settings, folder.path(), &database)?;
    Ok((folder, candidate.lead().await))
}

/// Never, where nobody has to lead.
pub(super) async fn lost(leadership: Option<&Leadership>) -> Lost {
    match leadership {
        Some(leadership) => leadership.lost().await,
        None => std::future::pending().await,
    }
}

pub(super) fn start_log(form: Option<LogForm>) -> Outcome {
    let filter = EnvFilter::try_from_env("CSW_LOG")
        .or_else(|_| EnvFilter::try_new("info,sqlx=warn,hyper=warn"))
        .map_err(|error| Failure::usage(error.to_string(), "write CSW_LOG=info"))?;
    let form = form.unwrap_or(if std::io::stderr().is_terminal() { LogForm::Text } else { LogForm::Json });
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = match form {
        LogForm::Text => registry.with(layer.with_target(false)).try_init(),
        LogForm::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    started.map_err(|error| Failure::local(error.to_string(), "start only one server in a process"))
}

async fn listen(settings: &Settings, options: &Up) -> Outcome<TcpListener> {
    let wanted = options.front.listen.as_deref().or(settings.listen.as_deref()).unwrap_or(LISTEN);
    TcpListener::bind(wanted).await.map_err(|error| {
        Failure::local(
            format!("can't listen at {wanted}: {error}"),
            "choose another with `--listen ADDR:PORT`; port 0 is a free one",
        )
    })
}

/// The address of a whole site, without a slash at its end: pages and answers name their paths from its root.
pub(super) fn origin(url: &str) -> Outcome<String> {
    let bare = url.trim_end_matches('/');
    let is_root = |uri: &Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.path() == "/"
            && uri.query().is_none()
    };
    if bare.parse::<Uri>().is_ok_and(|uri| is_root(&uri)) {
        return Ok(bare.to_owned());
    }
    Err(Failure::usage(
        format!("`{url}` is not the address of a site"),
        "write `--public-url https://HOST[:PORT]`, without a path",
    ))
}

pub(super) fn local_url(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("http://127.0.0.1:{}", address.port());
    }
    format!("http://{address}")
}

/// Cancelled by the first SIGTERM or SIGINT. The second ends the process at once.
pub(super) fn stop_signal() -> Outcome<CancellationToken> {
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(tokio::signal::unix::signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = signals else {
        return Err(Failure::local("signals can't be handled", "raise the limit of open files"));
    };
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        let mut times = 0;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            times += 1;
            if times > 1 {
                tracing::warn!("asked to stop again: ending at once; the next start gives the runs back to the queue");
                std::process::exit(130);
            }
            asked.cancel();
        }
    });
    Ok(stop)
}

fn explain_first_login(data: &Path, url: &str, printer: Printer) -> Outcome {
    let place = data.display();
    let text = format!(
        "This site has no accounts yet. At this machine, make the first one:\n\n    \
         echo PASSWORD | csw accounts create NAME --role admin --password-stdin --data {place}\n\n\
         It prints a token for the API and for `csw`. Log in with name and password at {url}/users/login/\n"
    );
    printer.note(&text);
    write_privately(&data.join(FIRST_LOGIN), &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_at_the_root_of_its_address() {
        assert_eq!(origin("https://studio.example.org/").unwrap(), "https://studio.example.org");
        assert_eq!(origin("http://10.0.0.7:8080").unwrap(), "http://10.0.0.7:8080");
        for wrong in
            ["studio.example.org", "ftp://host", "https://", "https://host/studio", "https://a@host", "https://h/?x"]
        {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_url_of_all_addresses_is_one_that_works() {
        assert_eq!(local_url("0.0.0.0:80".parse().unwrap()), "http://127.0.0.1:80");
        assert_eq!(local_url("[::1]:80".parse().unwrap()), "http://[::1]:80");
    }
}
