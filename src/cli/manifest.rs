//! `manifest generate`: what a spec renders to, without a cluster.

use super::cluster::{self, ConnectArgs};
use super::input::{Outcome, WrongUse, read_input};
use super::package::PackageArgs;
use crate::api::component::{ALL, Component};
use crate::object::manifests::Part;
use crate::object::{Object, order};
use crate::release::Package;
use crate::render::{self, ClusterInfo};
use crate::spec::request::{self, Override, RequestError};
use crate::spec::resolve::Strictness;
use crate::spec::switches::Switches;
use anyhow::{Context, bail};
use clap::Args;
use helm_template::threads;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

/// So many objects are YAML at a time: not all, since a definition is a hundredfold of another object, and not few, since each
/// time starts threads.
const AT_A_TIME: usize = 64;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  istio-operator manifest generate -f spec.yaml
  istio-operator manifest generate --set profile=demo --component IngressGateways
  istio-operator manifest generate -f spec.yaml -d 1.30.3 -o manifests   # a file for each component

Exit code: 0 if all of it is printed, 1 if not, 2 on invalid flags.";

/// What a spec is made from.
#[derive(Args, Clone, Default)]
pub(super) struct SpecArgs {
    /// File with an IstioOperator resource; `-` is stdin. May be repeated: later files are merged onto earlier ones.
    #[arg(short, long, value_name = "FILE", value_delimiter = ',')]
    pub(super) filename: Vec<String>,
    /// Set a field of the spec: `--set profile=demo`, `--set values.global.proxy.logLevel=debug`. May be repeated.
    #[arg(short, long, value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,
    /// Revision of the control plane.
    #[arg(short, long)]
    pub(super) revision: Option<String>,
    /// Continue despite validation errors that do not prevent rendering; `install` and `upgrade` also where something will fail.
    #[arg(long, hide_short_help = true)]
    pub(super) force: bool,
    /// Behave exactly as the release's own command line, also where it loses what the spec says (see docs/differences.md).
    #[arg(long, hide_short_help = true)]
    pub(super) upstream_behavior: bool,
    /// Treat warnings about duplicate keys in files as errors.
    #[arg(long, hide_short_help = true)]
    pub(super) strict: bool,
    #[command(flatten)]
    pub(super) package: PackageArgs,
}

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct GenerateArgs {
    #[command(flatten)]
    spec: SpecArgs,
    /// Directory to write one file per component to, instead of printing.
    #[arg(short, long, value_name = "DIR")]
    output: Option<String>,
    /// Print only this component. May be repeated.
    #[arg(long)]
    component: Vec<String>,
    /// Print what is for the version of a cluster, which is asked.
    #[arg(long)]
    cluster_specific: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

impl SpecArgs {
    /// The request, the release package that it is for, and how strictly it is checked.
    pub(super) fn request(&self) -> anyhow::Result<(request::Request, Package, Strictness)> {
        self.request_of(&self.files()?)
    }

    /// The same of files that are read already: stdin and pipes can be read but once.
    pub(super) fn request_of(
        &self,
        files: &[(String, String)],
    ) -> anyhow::Result<(request::Request, Package, Strictness)> {
        let named = request::named_package(files, &self.set);
        let package = self.package.open(named)?.as_upstream(self.upstream_behavior);
        let request = self.request_for(files, package.switches())?;
        Ok((request, package, self.strictness()))
    }

    /// The files, by name and text, of which and of the flags is told what is wrong with them whatever the release is: that
    /// needs no package.
    pub(super) fn files(&self) -> anyhow::Result<Vec<(String, String)>> {
        let files = self.texts()?;
        request::check_form(&files, &self.set, self.upstream_behavior).map_err(|error| match error {
            RequestError::Set { .. } => WrongUse(error.to_string()).into(),
            error => anyhow::Error::new(error),
        })?;
        Ok(files)
    }

    /// The files, by name and text, whatever they hold.
    pub(super) fn texts(&self) -> anyhow::Result<Vec<(String, String)>> {
        self.filename.iter().map(|f| read_input(f.trim())).collect()
    }

    /// How strictly the request is checked.
    pub(super) fn strictness(&self) -> Strictness {
        if self.force { Strictness::Forced } else { Strictness::Full }
    }

    /// The revision that files and flags say, empty for none.
    pub(super) fn revision_of(&self, files: &[(String, String)]) -> String {
        let of_spec = || {
            let request = request::from_files(files, &self.set).ok()?;
            request.spec.get("revision")?.as_str().map(str::to_owned)
        };
        self.revision.clone().or_else(of_spec).unwrap_or_default()
    }

    /// What files and flags ask of a release.
    ///
    /// # Errors
    /// They are of no form that it can be understood by.
    pub(super) fn request_for(
        &self,
        files: &[(String, String)],
        switches: &Switches,
    ) -> Result<request::Request, RequestError> {
        let mut request = request::from_files_for(files, &self.set, switches)?;
        if let Some(dir) = &self.package.manifests {
            request.set(Override::text(&["installPackagePath"], "--manifests", dir));
        }
        if let Some(revision) = self.revision.as_ref().filter(|r| !r.is_empty() && *r != "default") {
            request.set(Override::text(&["revision"], "--revision", revision));
        }
        Ok(request::Request { is_strict: self.strict, ..request })
    }
}

pub(super) fn generate(args: &GenerateArgs, out: &mut dyn Write) -> Outcome {
    let wanted = components(&args.component)?;
    let (request, package, strictness) = args.spec.request()?;
    // The process ends with this: to take apart what it has read and made would take a few hundredths of its time.
    let (request, package) = (ManuallyDrop::new(request), ManuallyDrop::new(package));
    let info = args.cluster()?;
    let manifests = render::build(&request, &info, &package, strictness)?;
    for warning in &manifests.warnings {
        eprintln!("Warning: {warning}");
    }
    let parts = manifests.parts.into_iter().filter(|p| wanted.contains(&p.component));
    match &args.output {
        Some(dir) => write_files(Path::new(dir), &wanted, parts)?,
        None => print(parts.flat_map(|p| p.objects).collect(), out)?,
    }
    Ok(0)
}

impl GenerateArgs {
    /// What is known of the cluster that the manifests are for.
    fn cluster(&self) -> anyhow::Result<ClusterInfo> {
        if self.cluster_specific {
            return Ok(cluster::connect_to(&self.connect)?.info);
        }
        if self.connect.kubeconfig.is_some() || self.connect.context.is_some() {
            eprintln!("Warning: no cluster is asked without --cluster-specific");
        }
        Ok(ClusterInfo::default())
    }
}

/// Writes a file for each component. What an earlier run has left there is not deleted, since nobody knows who has changed it
/// since; it is told of.
fn write_files(dir: &Path, wanted: &[Component], parts: impl Iterator<Item = Part>) -> anyhow::Result<()> {
    let mut left: Vec<PathBuf> = wanted.iter().map(|component| dir.join(output_file(*component))).collect();
    for part in parts {
        let path = dir.join(output_file(part.component));
        left.retain(|other| *other != path);
        let folder = path.parent().unwrap_or(dir);
        std::fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let mut file = std::fs::File::create(&path).with_context(|| format!("write {}", path.display()))?;
        print(part.objects, &mut file).with_context(|| format!("write {}", path.display()))?;
    }
    for path in left.into_iter().filter(|path| path.symlink_metadata().is_ok()) {
        eprintln!(
            "Warning: {} is not of this spec, which installs nothing of that component; delete it if an earlier run wrote it",
            path.display()
        );
    }
    Ok(())
}

fn components(names: &[String]) -> anyhow::Result<Vec<Component>> {
    let known = || ALL.map(Component::name).join(" ");
    let find = |name: &String| {
        let wrong = || WrongUse(format!("incorrect component name: {name}. Valid options: [{}]", known()));
        Ok(Component::from_name(name).ok_or_else(wrong)?)
    };
    match names {
        [] => Ok(ALL.to_vec()),
        names => names.iter().map(find).collect(),
    }
}

/// Upstream's tree: each component's file lies in the folder of its parent.
fn output_file(component: Component) -> String {
    let mut path = format!("{component}/{component}.yaml");
    let mut parent = component.info().parents.first();
    while let Some(above) = parent {
        path = format!("{above}/{path}");
        parent = above.info().parents.first();
    }
    path
}

fn print(mut objects: Vec<Object>, out: &mut dyn Write) -> anyhow::Result<()> {
    order::sort_for_output(&mut objects);
    let mut left = objects.into_iter();
    loop {
        let some: Vec<Object> = left.by_ref().take(AT_A_TIME).collect();
        if some.is_empty() {
            return Ok(());
        }
        for (object, yaml) in some.iter().zip(threads::map(&some, Object::to_yaml)) {
            let Some(yaml) = yaml else { bail!("{} cannot be written as YAML", object.key()) };
            write!(out, "{yaml}\n---\n")?;
        }
    }
}
