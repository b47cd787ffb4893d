//! `dashboard`: shows a web page of a pod on this machine, until Ctrl-C.
//!
//! Each local connection gets one of its own through the API server, so that a broken one affects no other; a pod that is gone is
//! looked for again.

mod forward;
mod pages;
mod pods;

use super::cluster::{self, ClusterArgs, Connected};
use super::input::{Outcome, wrong_use};
use super::screen::Screen;
use crate::object::labels::REVISION;
use crate::object::manifests::revision_label;
use anyhow::{Context, bail};
use clap::{ArgAction, Args};
use forward::Forward;
use pages::{CONTROLZ, PAGES, Page};
use pods::Wanted;
use std::io::Write;
use std::process::{Command, Stdio};
use tokio::net::TcpListener;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator dashboard grafana
  istio-operator dashboard prometheus --port 9091 --browser=false
  istio-operator dashboard envoy productpage-v1-5d8d5c6b9-x7k2p.default
  istio-operator dashboard envoy -l app=productpage -n default
  istio-operator dashboard controlz

It ends by Ctrl-C.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("namespace", |arg| arg.help("Namespace of the pod (default: that of the control plane; for envoy that of the context)")))]
#[command(mut_arg("istio_namespace", |arg| arg.help("Namespace of the control plane (default: istio-system)")))]
pub(super) struct DashboardArgs {
    /// What to show.
    #[arg(value_name = "PAGE", value_parser = clap::builder::PossibleValuesParser::new(PAGES.map(|page| page.name)))]
    page: String,
    /// Pod to show it of: NAME or NAME.NAMESPACE (envoy, controlz).
    #[arg(value_name = "POD")]
    pod: Option<String>,
    /// Labels of the pods of which one is shown, instead of its own name or the usual ones.
    #[arg(short = 'l', long, value_name = "LABELS", conflicts_with = "pod")]
    selector: Option<String>,
    /// Revision of the control plane, default for the unnamed one (controlz; default: any).
    #[arg(short, long, value_name = "REVISION", conflicts_with_all = ["pod", "selector"])]
    revision: Option<String>,
    /// Port to listen at (default: that of the page, or if it is taken any that is free).
    #[arg(short, long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Address to listen at; whoever reaches it sees the page.
    #[arg(long, default_value = "localhost")]
    address: String,
    /// Open a browser.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value_t = true,
        default_missing_value = "true", value_name = "true|false")]
    browser: bool,
    /// Port of ControlZ in the pod.
    #[arg(long = "ctrlz_port", visible_alias = "ctrlz-port", default_value_t = pages::CONTROLZ_PORT)]
    controlz_port: u16,
    #[command(flatten)]
    cluster: ClusterArgs,
}

pub(super) fn run(args: &DashboardArgs, out: &mut dyn Write) -> Outcome {
    let page = PAGES.iter().find(|page| page.name == args.page).context("there is no such page")?;
    if let Some(wrong) = args.wrong_for(page) {
        return Ok(wrong_use(&wrong));
    }
    let connected = cluster::connect_for_streams(&args.cluster.connect)?;
    let forward = args.forward(page, &connected)?;
    connected.wait(args.serve(page, forward, &mut Screen::new(out)))
}

/// What is wrong where a page needs a pod.
const NO_POD: &str = "name a pod, as NAME or NAME.NAMESPACE, or its labels with -l";

impl DashboardArgs {
    /// What is wrong with the flags for a page, if something is.
    fn wrong_for(&self, page: &Page) -> Option<String> {
        let name = page.name;
        match self.pod.as_deref() {
            // Flags take it behind `=` only, so it was taken for the pod.
            Some(value @ ("true" | "false")) => {
                Some(format!("{value} is not a pod; a value for --browser is written --browser={value}"))
            }
            Some(pod) if !page.takes_pod => Some(format!(
                "{name} takes no name of a pod, such as {pod}; name its namespace with -n, or labels with -l"
            )),
            None if page.selector.is_none() && self.selector.is_none() => Some(NO_POD.to_owned()),
            _ if self.revision.is_some() && name != CONTROLZ => {
                Some(format!("{name} is of no revision; -r is for {CONTROLZ}"))
            }
            _ => None,
        }
    }

    fn forward(&self, page: &'static Page, connected: &Connected) -> anyhow::Result<Forward> {
        let client = connected.cluster.client().clone();
        let namespace = match page.selector {
            Some(_) => self.cluster.istio_namespace.as_deref().unwrap_or("istio-system"),
            None => client.default_namespace(),
        };
        let namespace = self.cluster.namespace.as_deref().unwrap_or(namespace).to_owned();
        let revision = self.revision.as_deref().map(|revision| format!(",{REVISION}={}", revision_label(revision)));
        let selector = self.selector.as_deref().or(page.selector);
        let selector = selector.map(|selector| selector.to_owned() + revision.as_deref().unwrap_or_default());
        let wanted = match (&self.pod, selector) {
            (Some(pod), _) => Wanted::named(pod, namespace)?,
            (None, Some(selector)) => Wanted::labelled(page.title, &selector, namespace),
            (None, None) => bail!("{NO_POD}"),
        };
        let port = if page.name == CONTROLZ { self.controlz_port } else { page.port };
        Ok(Forward { client, wanted, port })
    }

    async fn serve(&self, page: &Page, forward: Forward, screen: &mut Screen<'_>) -> Outcome {
        // Where no pod is, or none may be reached, there is nothing to listen for.
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        tokio::select! {
            pod = forward.open() => screen.note(&pod?.told),
            _ = &mut interrupted => return Ok(0),
        }
        let listeners = self.listen(forward.port).await?;
        let port = listeners.first().context("no address to listen at")?.local_addr()?.port();
        let url = format!("http://{}:{port}{}", host(&self.address), page.path);
        screen.say(&url);
        if self.browser && !open_browser(&url) {
            screen.note("No browser could be opened; open the address above.");
        }
        tokio::select! {
            error = forward.serve(listeners, screen) => Err(error),
            _ = &mut interrupted => Ok(0),
        }
    }

    /// Listens at all that the address stands for, at one port.
    async fn listen(&self, usual: u16) -> anyhow::Result<Vec<TcpListener>> {
        let listen = async |port: u16| -> std::io::Result<Vec<TcpListener>> {
            let (mut listeners, mut refused): (Vec<TcpListener>, _) = (vec![], None);
            for address in tokio::net::lookup_host((self.address.as_str(), port)).await? {
                let mut address = address;
                if let Some(first) = listeners.first() {
                    address.set_port(first.local_addr()?.port());
                }
                match TcpListener::bind(address).await {
                    Ok(listener) => listeners.push(listener),
                    // Whoever asks for the name would get now this page, now another's.
                    Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(error),
                    // A machine without IPv6 may have a name for it all the same.
                    Err(error) => refused = Some(error),
                }
            }
            refused.filter(|_| listeners.is_empty()).map_or(Ok(listeners), Err)
        };
        let taken = |port: u16| format!("listen at port {port} of {}; name another one with --port", self.address);
        match self.port {
            Some(port) => listen(port).await.with_context(|| taken(port)),
            None => match listen(usual).await {
                Ok(listeners) => Ok(listeners),
                Err(_) => listen(0).await.with_context(|| format!("listen at {}", self.address)),
            },
        }
    }
}

/// An address as it stands in a URL.
fn host(address: &str) -> String {
    match address {
        // Who listens everywhere listens here.
        "0.0.0.0" | "::" => "localhost".to_owned(),
        other if other.contains(':') => format!("[{other}]"),
        other => other.to_owned(),
    }
}

/// Opens a browser, if there is a program for it.
fn open_browser(url: &str) -> bool {
    let programs: &[&[&str]] = match std::env::consts::OS {
        "macos" => &[&["open"]],
        "windows" => &[&["rundll32", "url.dll,FileProtocolHandler"]],
        _ => &[&["xdg-open"], &["x-www-browser"], &["www-browser"]],
    };
    programs.iter().filter_map(|program| program.split_first()).any(|(program, args)| {
        let mut command = Command::new(program);
        command.args(args).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DashboardArgs,
    }

    #[test]
    fn a_browser_is_opened_unless_the_flag_says_false() {
        let browser = |flags: &[&str]| {
            let line = [&["dashboard", "kiali"], flags].concat();
            Line::try_parse_from(line).map(|line| line.args.browser).ok()
        };
        assert_eq!([browser(&[]), browser(&["--browser"]), browser(&["--browser=true"])], [Some(true); 3]);
        assert_eq!((browser(&["--browser=false"]), browser(&["--browser=x"])), (Some(false), None));
    }

    #[test]
    fn what_a_page_does_not_take_is_refused_before_a_cluster_is_asked() {
        let wrong = |words: &[&str]| {
            let line = Line::try_parse_from([&["dashboard"], words].concat()).unwrap();
            let page = PAGES.iter().find(|page| page.name == line.args.page).unwrap();
            line.args.wrong_for(page).unwrap_or_default()
        };
        for (words, part) in [
            (&["envoy"][..], "NAME.NAMESPACE"),
            (&["grafana", "foo.bar"], "takes no name of a pod"),
            (&["grafana", "--browser", "false"], "--browser=false"),
            (&["envoy", "--browser", "false"], "--browser=false"),
            (&["kiali", "-r", "canary"], "-r is for controlz"),
        ] {
            assert!(wrong(words).contains(part), "{words:?}: {}", wrong(words));
        }
        for words in [&["envoy", "a.b"][..], &["envoy", "-l", "a=b"], &["controlz", "-r", "canary"], &["grafana"]] {
            assert_eq!(wrong(words), "");
        }
    }

    #[tokio::test]
    async fn a_port_that_another_has_at_one_address_is_not_shared() {
        for address in std::net::ToSocketAddrs::to_socket_addrs("localhost:0").unwrap() {
            // Not every machine has all that its names stand for.
            let Ok(other) = std::net::TcpListener::bind(address) else { continue };
            let taken = other.local_addr().unwrap().port();
            let listen = async |flags: &[&str]| {
                let line = Line::try_parse_from([&["dashboard", "kiali"], flags].concat()).unwrap();
                line.args.listen(taken).await
            };
            assert!(listen(&["--port", &taken.to_string()]).await.is_err(), "{address}");
            for listener in listen(&[]).await.unwrap() {
                assert_ne!(listener.local_addr().unwrap().port(), taken, "{address}");
            }
        }
    }

    #[test]
    fn addresses_stand_in_urls_as_browsers_read_them() {
        let hosts = ["localhost", "0.0.0.0", "::", "::1", "192.0.2.7"].map(host);
        assert_eq!(hosts, ["localhost", "localhost", "localhost", "[::1]", "192.0.2.7"]);
    }
}
