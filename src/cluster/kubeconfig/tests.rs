use super::*;

fn merged(files: &[&str]) -> Merged {
    let mut all = Merged::default();
    for (number, text) in files.iter().enumerate() {
        all.add(Path::new(&format!("/etc/{number}/config")), text).unwrap();
    }
    all
}

const FIRST: &str = "
current-context: a
contexts: [{name: a, context: {cluster: c, user: u}}, {name: b, context: {cluster: c, namespace: m}}]
clusters: [{name: c, cluster: {server: https://one, certificate-authority: ca.crt}}]
users: [{name: u, user: {tokenFile: ../token, exec: null}}]
";

#[test]
fn the_first_file_that_has_a_name_wins_all_of_it() {
    let second = "{current-context: b, users: [{name: u, user: {as: somebody}}], clusters: [{name: d, cluster: {}}]}";
    let all = merged(&[FIRST, second]);
    assert_eq!((all.current.as_str(), all.clusters.len()), ("a", 2));
    let chosen = all.choose(None).unwrap().unwrap();
    assert_eq!((chosen.user.impersonate.as_str(), chosen.cluster.server.as_str()), ("", "https://one"));
    let chosen = merged(&[second, FIRST]).choose(Some("b")).unwrap().unwrap();
    assert_eq!((chosen.user.impersonate.as_str(), chosen.namespace.as_deref()), ("", Some("m")));
}

#[test]
fn paths_are_relative_to_the_file_that_has_them() {
    let chosen = merged(&["", FIRST]).choose(None).unwrap().unwrap();
    assert_eq!(chosen.cluster.certificate_authority, "/etc/1/ca.crt");
    assert_eq!(chosen.user.token_file, "/etc/1/../token");
}

#[test]
fn what_is_not_there_is_told_with_what_there_is() {
    let told = |files: &[&str], context| merged(files).choose(context).err().map(|error| error.to_string());
    assert_eq!(told(&[], None), None, "the pod's account is asked then");
    assert_eq!(told(&[FIRST], Some("x")).unwrap(), "the kubeconfig has no context \"x\"; it has a, b");
    let lost = "{current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}]}";
    let text = "the context \"a\" names the cluster \"c\", which the kubeconfig does not have";
    assert_eq!(told(&[lost], None).unwrap(), text);
}

#[test]
fn no_variable_and_an_empty_one_mean_the_file_at_home() {
    let home = Some(PathBuf::from("/home/me"));
    for variable in [None, Some(OsString::new())] {
        assert_eq!(paths(variable, home.clone()), [PathBuf::from("/home/me/.kube/config")]);
    }
    assert_eq!(paths(Some(":/a::/b:".into()), home), [PathBuf::from("/a"), PathBuf::from("/b")]);
}
