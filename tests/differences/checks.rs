//! What is refused, and what is accepted, release by release.

use istio_operator::release::Package;
use istio_operator::render;
use istio_operator::spec::request::{self, Request};
use istio_operator::spec::resolve::Strictness;
use istio_operator::spec::switches::Switches;

/// A package of a release with nothing but a profile; those until 1.23 have the definitions in a folder of their own.
struct Release {
    folder: tempfile::TempDir,
    package: Package,
}

impl Release {
    fn of(tag: &str, is_upstream: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let minor: u32 = tag.split('.').nth(1).unwrap().parse().unwrap();
        let crds = if minor < 24 { "charts/base/crds" } else { "charts/ztunnel" };
        for part in [crds, "profiles"] {
            std::fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        let profile = format!("spec:\n  hub: docker.io/istio\n  tag: {tag}\n  values: {{global: {{}}}}\n");
        std::fs::write(folder.path().join("profiles/default.yaml"), profile).unwrap();
        let package = Package::open(folder.path()).unwrap().as_upstream(is_upstream);
        Self { folder, package }
    }

    fn switches(&self) -> &Switches {
        self.package.switches()
    }

    /// Why a spec in YAML's flow form, with flags, is refused; nothing where it is accepted.
    fn refuses(&self, spec: &str) -> String {
        let text = format!("apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {spec}\n");
        let request = request::from_files_for(&[("f.yaml".into(), text)], &[], self.switches());
        let resolved = |request: &Request| render::resolve(request, &self.package, Strictness::Full);
        match request.map_err(|e| e.to_string()).and_then(|r| resolved(&r).map_err(|e| e.to_string())) {
            Ok(_) => String::new(),
            Err(message) => message,
        }
    }
}

/// A spec, what its refusal names, and which releases refuse it, plainly and exactly as upstream.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// One release for each set of rules.
const RELEASES: [&str; 5] = ["1.17.8", "1.20.8", "1.23.6", "1.26.8", "1.30.3"];

fn check(cases: &[Case]) {
    for is_upstream in [false, true] {
        for tag in RELEASES {
            let release = Release::of(tag, is_upstream);
            for (spec, named, plainly, exactly) in cases {
                let expected = if is_upstream { exactly } else { plainly };
                let found = release.refuses(spec);
                let shown = format!("{spec} of {tag}, upstream {is_upstream}: {found:?}");
                assert_eq!(!found.is_empty(), expected.contains(&tag), "{shown}");
                assert!(found.is_empty() || found.contains(named), "{shown}");
            }
        }
    }
}

const ALL: &[&str] = &RELEASES;
const NONE: &[&str] = &[];
const UNTIL_123: &[&str] = &["1.17.8", "1.20.8", "1.23.6"];
const SINCE_124: &[&str] = &["1.26.8", "1.30.3"];

#[test]
fn the_mesh_configuration_is_that_of_the_release() {
    check(&[
        ("{meshConfig: {nosuch: 1}}", "nosuch", UNTIL_123, UNTIL_123),
        (
            "{meshConfig: {inboundTrafficPolicy: {mode: LOCALHOST}}}",
            "release 1.22",
            &["1.17.8", "1.20.8"],
            &["1.17.8", "1.20.8"],
        ),
        ("{meshConfig: {accessLogEncoding: XML}}", "XML", ALL, ALL),
        ("{meshConfig: {connectTimeout: 40s}}", "40s", &["1.17.8"], &["1.17.8"]),
        ("{meshConfig: {connectTimeout: 2h}}", "2h", ALL, ALL),
        ("{values: {meshConfig: {trustDomain: a_b}}}", "a_b", ALL, ALL),
        (
            "{meshConfig: {defaultConfig: {tracing: {zipkin: {address: 'a:1'}, datadog: {address: 'a:1'}}}}}",
            "datadog",
            ALL,
            NONE,
        ),
    ]);
}

#[test]
fn settings_that_older_releases_took_are_taken_by_newer_ones() {
    let cases = [
        ("{components: {pilot: {k8s: {replicaCount: '3'}}}}", "replicaCount"),
        (
            "{components: {pilot: {k8s: {hpaSpec: {metrics: [{type: Resource, resource: {name: cpu, targetAverageUtilization: 8}}]}}}}}",
            "targetAverageUtilization",
        ),
        (
            "{components: {pilot: {k8s: {env: [{name: A, valueFrom: {secretKeyRef: {localObjectReference: {name: a}, key: b}}}]}}}}",
            "localObjectReference",
        ),
        ("{components: {pilot: {k8s: {volumes: [{name: a, volumeSource: {emptyDir: {}}}]}}}}", "volumeSource"),
        ("{hub: '1'}", "1"),
        ("{revision: '118'}", "118"),
    ];
    for (spec, named) in cases {
        check(&[(spec, named, NONE, SINCE_124)]);
    }
}

#[test]
fn a_file_may_direct_the_merge_and_have_volumes_as_kubernetes_does() {
    check(&[
        ("{components: {pilot: {k8s: {env: [{name: A, $patch: delete}]}}}}", "$patch", NONE, ALL),
        ("{components: {pilot: {k8s: {volumes: [{name: a, emptyDir: {}}]}}}}", "emptyDir", NONE, UNTIL_123),
        ("{values: {pilot: {extraContainerArgs: ['--x']}}}", "extraContainerArgs", &["1.17.8"], ALL),
        ("{values: {pilot: {volumes: [{name: a, emptyDir: {}}]}}}", "", &["1.17.8"], &["1.17.8", "1.23.6", "1.26.8"]),
    ]);
}

#[test]
fn amounts_may_be_numbers_where_kubernetes_itself_reads_them() {
    let spec = "{components: {pilot: {k8s: {resources: {limits: {cpu: 5}}}}}}";
    check(&[(spec, "cpu", UNTIL_123, UNTIL_123)]);
}

#[test]
fn names_are_judged_as_the_release_judges_them() {
    check(&[
        ("{revision: Canary}", "Canary", ALL, NONE),
        ("{hub: docker.io/istio/}", "docker.io/istio/", ALL, UNTIL_123),
        ("{hub: 'docker.io/istio@sha256:0123456789012345678901234567890123456789'}", "sha256", SINCE_124, SINCE_124),
        ("{components: {ingressGateways: [{enabled: false}]}}", "enabled: false", ALL, UNTIL_123),
        (
            "{values: {global: {proxy: {includeIPRanges: '10.0.0.0/8, 11.0.0.0/8'}}}}",
            "11.0.0.0/8",
            SINCE_119,
            SINCE_119,
        ),
        ("{values: {global: {tracer: {stackdriver: {debug: true}}}}}", "debug", &["1.23.6"], &["1.23.6"]),
        ("{defaultRevision: true}", "release 1.21", SINCE_121, SINCE_121),
    ]);
}

const SINCE_119: &[&str] = &["1.20.8", "1.23.6", "1.26.8", "1.30.3"];
const SINCE_121: &[&str] = &["1.23.6", "1.26.8", "1.30.3"];

#[test]
fn a_profile_may_be_a_file_in_every_release() {
    for (tag, is_upstream, taken) in [("1.23.6", true, true), ("1.30.3", false, true), ("1.30.3", true, false)] {
        let release = Release::of(tag, is_upstream);
        let path = release.folder.path().join("profiles/default.yaml");
        let found = release.refuses(&format!("{{profile: {}}}", path.display()));
        assert_eq!(found.is_empty(), taken, "{tag} {is_upstream}: {found}");
    }
}
