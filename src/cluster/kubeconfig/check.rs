//! What a context may say: the rules by which kubectl refuses one, each told.

use super::types::{Cluster, Exec, User};

/// The versions of what programs are told.
const API_VERSIONS: [&str; 2] = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];
const MODES: [&str; 3] = ["Never", "IfAvailable", "Always"];

/// All that is wrong.
pub(super) fn check(cluster: &Cluster, user: &User) -> Vec<String> {
    let mut problems = vec![];
    check_cluster(cluster, &mut problems);
    check_certificate(user, &mut problems);
    let is_token = !user.token.is_empty() || !user.token_file.is_empty();
    let is_basic = !user.username.is_empty() || !user.password.is_empty();
    let has_impersonation =
        !user.impersonate_uid.is_empty() || !user.impersonate_groups.is_empty() || !user.impersonate_extra.is_empty();
    let provider = user.auth_provider.as_ref().map(|provider| provider.name.as_str());
    let rules = [
        (is_token && is_basic, "the user has a token and a username or password; give one of both"),
        (!is_token && user.username.is_empty() && !user.password.is_empty(), "the user has a password and no username"),
        (
            user.exec.is_some() && provider.is_some(),
            "the user has an exec section and an auth-provider; give one of both",
        ),
        (
            has_impersonation && user.impersonate.is_empty(),
            "the user has as-uid, as-groups or as-user-extra and no \"as\"; name whom to act as",
        ),
        (
            provider.is_some_and(|name| name != "oidc"),
            "the user has an auth-provider that no kubectl has any more; use the exec plugin of the cluster's provider",
        ),
    ];
    problems.extend(rules.into_iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, text)| text.to_owned()));
    if let Some(exec) = &user.exec {
        check_exec(exec, &mut problems);
    }
    problems
}

fn check_cluster(cluster: &Cluster, problems: &mut Vec<String>) {
    let has_authority = !cluster.certificate_authority.is_empty() || !cluster.certificate_authority_data.is_empty();
    let rules = [
        (cluster.server.is_empty(), "the cluster has no server"),
        (
            !cluster.certificate_authority.is_empty() && !cluster.certificate_authority_data.is_empty(),
            "the cluster has certificate-authority and certificate-authority-data; give one of both",
        ),
        (
            has_authority && cluster.insecure_skip_tls_verify,
            "the cluster has a certificate-authority and insecure-skip-tls-verify; give one of both",
        ),
    ];
    problems.extend(rules.into_iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, text)| text.to_owned()));
}

fn check_certificate(user: &User, problems: &mut Vec<String>) {
    let certificate = (&user.client_certificate, &user.client_certificate_data);
    let key = (&user.client_key, &user.client_key_data);
    for (name, (file, data)) in [("client-certificate", certificate), ("client-key", key)] {
        // With no certificate the key counts for nothing.
        let counts = !certificate.0.is_empty() || !certificate.1.is_empty();
        if counts && !file.is_empty() && !data.is_empty() {
            problems.push(format!("the user has {name} and {name}-data; give one of both"));
        }
    }
}

fn check_exec(exec: &Exec, problems: &mut Vec<String>) {
    if exec.command.is_empty() {
        problems.push("the exec section of the user has no command".to_owned());
    }
    if !API_VERSIONS.contains(&exec.api_version.as_str()) {
        problems.push(format!(
            "the exec section of the user has the apiVersion {:?}; it may have {}",
            exec.api_version,
            API_VERSIONS.join(" or ")
        ));
    }
    if exec.env.iter().any(|variable| variable.name.is_empty()) {
        problems.push("the exec section of the user has a variable without a name".to_owned());
    }
    // Version 1 demands a mode; before it, none was IfAvailable.
    let may_lack = exec.api_version != API_VERSIONS[0] && exec.interactive_mode.is_empty();
    if !may_lack && !MODES.contains(&exec.interactive_mode.as_str()) {
        problems.push(format!(
            "the exec section of the user has the interactiveMode {:?}; it must have one of {}",
            exec.interactive_mode,
            MODES.join(", ")
        ));
    }
}
