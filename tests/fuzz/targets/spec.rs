//! Specs: no IstioOperator file makes the pipeline panic.
#![no_main]

use istio_operator::render::{ClusterInfo, build};
use istio_operator::release::{Package};
use istio_operator::spec::request::from_files;
use istio_operator::spec::resolve::Strictness;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PACKAGE: LazyLock<Option<Package>> = LazyLock::new(|| Package::embedded().ok());

fuzz_target!(|spec: &str| {
    let text = format!("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  {}", spec.replace('\n', "\n  "));
    let Some(package) = PACKAGE.as_ref() else { return };
    if let Ok(request) = from_files(&[("f".to_owned(), text)], &[]) {
        let _ = build(&request, &ClusterInfo::default(), package, Strictness::Full);
    }
});
