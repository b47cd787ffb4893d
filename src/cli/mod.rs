//! The command line. Data goes to stdout, everything else to stderr; 0 is success, 1 a failure or a difference found, 2 invalid
//! usage: an unknown flag or argument, or an invalid value of one. Something that is named and does not exist is a failure (1), and
//! so is a fault in a file, a package or a cluster.

mod accepted;
mod addons;
mod bug_report;
mod chart;
mod cluster;
mod completion;
mod confirm;
mod dashboard;
mod duration;
mod help;
mod inject;
mod input;
mod install;
mod lease;
mod manifest;
mod manifest_diff;
mod manifest_translate;
mod named;
mod operator;
mod output;
mod package;
mod precheck;
mod profile;
mod progress;
mod proxies;
mod release;
mod remaining;
mod resources;
mod revision;
mod rollout;
mod run;
mod run_packages;
mod screen;
mod signals;
mod table;
mod tag;
mod turn;
mod uninstall;
mod upgrade;
mod users;
mod verification;
mod verify_install;
mod version;

use crate::cluster::told;
use crate::controller::rbac;
use crate::release::Package;
use crate::render::RenderError;
use crate::spec::resolve::ResolveError;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use helm_template::threads;
use input::{Outcome, WrongUse};
use named::Named;
use std::io::Write;
use std::process::ExitCode;

/// The in-cluster operator for IstioOperator resources, and its command line.
#[derive(Parser)]
#[command(name = "istio-operator", version, max_term_width = 100, after_help = help::EXAMPLES)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the controller.
    #[command(visible_alias = "server", after_help = help::RUN)]
    Run(Named<run::RunArgs>),
    /// Generate manifests, compare them, or translate a spec to Helm values.
    #[command(subcommand, after_help = help::MANIFEST)]
    Manifest(Named<ManifestCommand>),
    /// Install Istio, or change the installation to what a spec says.
    #[command(visible_alias = "apply", after_help = install::INSTALL_EXAMPLES)]
    Install(Named<install::InstallArgs>),
    /// Upgrade a control plane in place, or plan an upgrade.
    #[command(after_help = install::UPGRADE_EXAMPLES)]
    Upgrade(Named<UpgradeArgs>),
    /// Remove a control plane, or everything of Istio.
    Uninstall(Named<uninstall::UninstallArgs>),
    /// Check that every object of an installation is there and ready.
    VerifyInstall(Named<verify_install::VerifyArgs>),
    /// Print the versions of this program, of the control planes and of the proxies.
    Version(Named<version::VersionArgs>),
    /// List, print and compare profiles.
    #[command(subcommand, after_help = help::PROFILE)]
    Profile(Named<profile::ProfileCommand>),
    /// Inject the sidecar proxy into the workloads of a file, as the injection webhook would.
    KubeInject(Named<inject::InjectArgs>),
    /// Print the CustomResourceDefinition of IstioOperator.
    #[command(after_help = help::CRD)]
    Crd,
    /// Print the ClusterRoles that the operator needs: its own, or with -d the one for a release.
    #[command(after_help = help::ROLE)]
    Role(Named<package::PackageArgs>),
    /// Write the built-in profiles and charts to a new directory, for use with --manifests.
    #[command(after_help = help::PACKAGE)]
    Package {
        /// The directory.
        directory: std::path::PathBuf,
    },
    /// Fetch release packages, and list those at hand.
    #[command(subcommand, after_help = help::RELEASE)]
    Release(Named<release::ReleaseCommand>),
    /// Install, list and remove add-ons: Prometheus, Jaeger, Grafana and Kiali.
    #[command(subcommand, after_help = help::ADDONS)]
    Addons(Named<addons::AddonsCommand>),
    /// Show a page of an add-on, of istiod or of a proxy, until Ctrl-C.
    #[command(aliases = ["dash", "d"])]
    Dashboard(Named<dashboard::DashboardArgs>),
    /// Render Helm charts.
    #[command(subcommand, after_help = help::CHART)]
    Chart(Named<chart::ChartCommand>),
    /// Collect resources, logs and events for a problem report into one archive, without secrets.
    BugReport(Named<bug_report::BugReportArgs>),
    /// Print what a shell needs to complete commands, flags and names.
    Completion(Named<completion::CompletionArgs>),
    /// Manage revision tags: names for revisions that namespaces use to ask for injection.
    #[command(subcommand, after_help = help::TAG)]
    Tag(Named<tag::TagCommand>),
    /// Deploy or remove the operator, and show the state of its resources.
    #[command(subcommand, after_help = help::OPERATOR)]
    Operator(Named<operator::OperatorCommand>),
    /// List revisions, and check whether Istio can be installed in a cluster.
    #[command(subcommand, visible_alias = "x", after_help = help::EXPERIMENTAL)]
    Experimental(Named<ExperimentalCommand>),
}

#[derive(Subcommand)]
enum ExperimentalCommand {
    /// List and describe revisions of the control plane.
    #[command(subcommand, after_help = revision::EXAMPLES)]
    Revision(revision::RevisionCommand),
    /// Check whether Istio can be installed or upgraded in the cluster.
    Precheck(precheck::PrecheckArgs),
}

#[derive(Subcommand)]
enum ManifestCommand {
    /// Print the Kubernetes objects that a spec installs.
    Generate(manifest::GenerateArgs),
    /// Compare manifests: of files, of specs, of releases, or with a cluster.
    Diff(Box<manifest_diff::DiffArgs>),
    /// The same as `install`.
    #[command(visible_alias = "apply", after_help = install::INSTALL_EXAMPLES)]
    Install(Box<install::InstallArgs>),
    /// Translate a spec to Helm values for each chart, with the commands that install them.
    Translate(manifest_translate::TranslateArgs),
}

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
struct UpgradeArgs {
    #[command(subcommand)]
    command: Option<UpgradeCommand>,
    #[command(flatten)]
    install: install::InstallArgs,
}

#[derive(Subcommand)]
enum UpgradeCommand {
    /// Show what an upgrade of a spec or of a resource would change.
    Plan(Box<upgrade::PlanArgs>),
}

fn role(args: &package::PackageArgs, out: &mut impl Write) -> Outcome {
    let text = match args.manifests {
        Some(_) => rbac::release_yaml(&args.open(None)?)?,
        None => rbac::own_yaml(),
    };
    write!(out, "{text}")?;
    Ok(0)
}

/// Prints an error, every problem of a spec on a line of its own.
fn tell(error: &anyhow::Error) {
    match error.downcast_ref() {
        Some(RenderError::Resolve(ResolveError::Invalid(problems))) => {
            for problem in problems {
                eprintln!("Error: {problem}");
            }
        }
        _ => eprintln!("Error: {}", told(error.as_ref())),
    }
}

/// All commands with their flags, for what is made of them.
#[must_use]
pub fn command() -> clap::Command {
    help::with_rest(help::with_flag(Args::command()), "")
}

/// Parses the arguments. The exit code is for a flag that is understood and refused.
fn parse() -> Result<Args, u8> {
    let first = std::env::args_os().nth(1).and_then(|arg| arg.into_string().ok());
    // Neither an alias nor `help`, which may be of any command.
    if let Some(name) = first.filter(|name| Command::has_subcommand(name)) {
        named::only(name);
    }
    let asks = |words: &[&str]| std::env::args_os().any(|arg| words.iter().any(|word| arg == *word));
    let known = match () {
        () if asks(&["help"]) => help::in_full(help::with_flag(Args::command())),
        () if asks(&["-h", "--help"]) => command(),
        () => help::with_flag(Args::command()),
    };
    let matches = accepted::with_flags(known).get_matches();
    match accepted::tell(&matches) {
        Some(code) => Err(code),
        None => Ok(Args::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command()).exit())),
    }
}

/// Parses the arguments, runs the command, and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    completion::answer(command);
    let command = match parse() {
        Ok(args) => args.command,
        Err(code) => return ExitCode::from(code),
    };
    if matches!(command, Command::Run(_)) {
        return end(perform(command));
    }
    // One thread that is deep enough for any chart is quicker than one for each.
    threads::with_stack(threads::DEEP, || end(perform(command))).map_or_else(
        |error| end(Err(anyhow::Error::new(error).context("start a thread"))),
        |ended| ended.unwrap_or(ExitCode::FAILURE),
    )
}

fn perform(command: Command) -> Outcome {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let code = match command {
        Command::Run(args) => run::run(&args),
        Command::Install(args) => install::run(&args, &mut out),
        Command::Manifest(command) => match &*command {
            ManifestCommand::Generate(args) => manifest::generate(args, &mut out),
            ManifestCommand::Diff(args) => manifest_diff::run(args, &mut out),
            ManifestCommand::Install(args) => install::run(args, &mut out),
            ManifestCommand::Translate(args) => manifest_translate::run(args, &mut out),
        },
        Command::Upgrade(args) => match &args.command {
            Some(UpgradeCommand::Plan(plan)) => upgrade::run(plan, &mut out),
            None => install::upgrade(&args.install, &mut out),
        },
        Command::Uninstall(args) => uninstall::run(&args, &mut out),
        Command::VerifyInstall(args) => verify_install::run(&args, &mut out),
        Command::Version(args) => version::run(&args, &mut out),
        Command::Profile(command) => profile::run(&command, &mut out),
        Command::KubeInject(args) => inject::run(&args, &mut out),
        Command::Crd => write!(out, "{}", crate::api::crd::to_yaml()).map(|()| 0).map_err(Into::into),
        Command::Role(args) => role(&args, &mut out),
        Command::Package { directory } => Package::export(&directory).map(|()| 0).map_err(Into::into),
        Command::Release(command) => release::run(&command, &mut out),
        Command::Tag(command) => tag::run(&command, &mut out),
        Command::Operator(command) => operator::run(&command, &mut out),
        Command::Experimental(command) => match &*command {
            ExperimentalCommand::Revision(command) => revision::run(command, &mut out),
            ExperimentalCommand::Precheck(args) => precheck::run(args, &mut out),
        },
        Command::Addons(command) => addons::run(&command, &mut out),
        Command::Dashboard(args) => dashboard::run(&args, &mut out),
        Command::Chart(command) => Ok(chart::run(&command, &mut out, &mut std::io::stderr())),
        Command::BugReport(args) => bug_report::run(&args, &mut out),
        Command::Completion(args) => completion::run(&args, &mut out),
    }?;
    match out.flush() {
        // What failed has failed, whoever reads of it.
        Err(error) if code == 0 => Err(error.into()),
        _ => Ok(code),
    }
}

/// Tells an error, and gives the exit code.
fn end(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        // Whoever reads us has seen enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error);
            if error.is::<WrongUse>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
