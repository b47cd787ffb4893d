//! What is to be installed: files and flags, with the release package that they get.

use super::super::cluster::{ClusterArgs, Connected};
use super::super::input::warn;
use super::super::manifest::SpecArgs;
use super::super::package::PackageArgs;
use super::namespace;
use crate::api::{ALLOW_DOWNGRADE, INSTALLED_STATE};
use crate::object::OwnerId;
use crate::object::manifests::{Manifests, revision_label};
use crate::release::{Package, RELEASE};
use crate::render;
use crate::spec::path::text;
use crate::spec::request::{self, NamedPackage, Request};
use crate::spec::resolve::default_namespace;
use anyhow::{Context, bail};

/// The namespace of a control plane of which nobody says another.
const NAMESPACE: &str = "istio-system";

/// Which release a control plane gets that is there already, where nobody names one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// The one that it is of.
    Stay,
    /// The built-in one.
    Move,
}

/// What is to be installed, and for whom.
pub struct Wanted {
    /// Whose objects these are: the resource of the files, without a name where they say none.
    pub owner: OwnerId,
    /// The objects, with the owner's labels.
    pub manifests: Manifests,
    /// The release that the resource allows to go back to.
    pub allowed_downgrade: Option<String>,
    /// What says which release is installed, and the release, if there is a control plane that tells.
    pub installed: Option<(String, String)>,
    /// Which release the control plane gets that is there.
    pub aim: Aim,
    /// Why its parts would come to different namespaces, if they would.
    pub split: Option<anyhow::Error>,
}

/// Understands files, by name and text, and flags.
///
/// # Errors
/// They are refused, the cluster cannot be asked, or there is no package of the release.
pub fn read(
    spec: &SpecArgs,
    files: &[(String, String)],
    place: &ClusterArgs,
    connected: &Connected,
    aim: Aim,
) -> anyhow::Result<Wanted> {
    let revision = spec.revision_of(files);
    let installed = connected.installed(revision_label(&revision))?;
    let named = request::named_package(files, &spec.set);
    let package = open(&spec.package, named, installed.as_ref(), aim)?.as_upstream(spec.upstream_behavior);
    let mut request = spec.request_for(files, package.switches())?;
    let of_flag = place.istio_namespace.as_deref();
    namespace::set(&mut request, of_flag);
    let owner = owner(&request, place)?;
    let info = connected.info_for(&owner, &revision)?;
    let manifests = render::build(&request, &info, &package, spec.strictness())?;
    warn(&[&manifests.warnings]);
    let split = namespace::check(&request, &manifests, package.switches(), of_flag).err();
    let annotation = text(&request.metadata, &format!("/annotations/{}", ALLOW_DOWNGRADE.replace('/', "~1")));
    let allowed_downgrade = annotation.map(str::to_owned);
    let manifests = render::labelled(manifests, &owner);
    Ok(Wanted { owner, manifests, allowed_downgrade, installed, aim, split })
}

/// The package of the flag, the one that the files name, the one that is installed, or the built-in one.
fn open(
    args: &PackageArgs,
    named: Option<NamedPackage>,
    installed: Option<&(String, String)>,
    aim: Aim,
) -> anyhow::Result<Package> {
    let is_named = named.is_some() || args.manifests.as_ref().is_some_and(|flag| !flag.is_empty());
    match installed.filter(|_| !is_named && aim == Aim::Stay) {
        None => args.open(named),
        Some((object, release)) => args.open(Some(NamedPackage::Release(release.clone()))).with_context(|| {
            format!(
                "{object} is of release {release}, and is not moved to another one unless you ask for it: name a package of \
                 {release} with -d, or use `upgrade` to have the built-in {RELEASE}"
            )
        }),
    }
}

/// The resource that the files are, in the namespace that they or the flag say, or else in that of the control plane.
fn owner(request: &Request, place: &ClusterArgs) -> anyhow::Result<OwnerId> {
    let said = |field: &str| text(&request.metadata, field).filter(|text| !text.is_empty()).map(str::to_owned);
    let (name, namespace) = (said("/name").unwrap_or_default(), said("/namespace"));
    if name.starts_with(INSTALLED_STATE) {
        bail!(
            "the resource is called {name:?}, and {INSTALLED_STATE}… are the records of installations: give it another \
             metadata.name, or none"
        );
    }
    let of_control_plane = || Some(default_namespace(&request.spec)).filter(|namespace| !namespace.is_empty());
    let namespace = namespace.or_else(|| place.namespace.clone()).or_else(of_control_plane);
    Ok(OwnerId::new(namespace.unwrap_or_else(|| NAMESPACE.to_owned()), name))
}
