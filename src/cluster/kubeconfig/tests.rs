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
    // As kubectl takes it over http.
    let anonymous = "{current-context: a, clusters: [{name: c, cluster: {server: 'http://s'}}], contexts: [{name: a, context: {cluster: c, user: u}}]}";
    assert_eq!(told(&[anonymous], None), None);
}

#[test]
fn no_variable_and_an_empty_one_mean_the_file_at_home() {
    let home = Some(PathBuf::from("/home/me"));
    for variable in [None, Some(OsString::new())] {
        assert_eq!(paths(variable, home.clone()), [PathBuf::from("/home/me/.kube/config")]);
    }
    assert_eq!(paths(Some(":/a::/b:".into()), home), [PathBuf::from("/a"), PathBuf::from("/b")]);
}

#[cfg(unix)]
#[test]
fn what_can_be_read_once_only_is_read_at_once_and_up_to_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = |name: &str, text: &'static str| {
        let path = folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let written = path.clone();
        std::thread::spawn(move || std::fs::write(written, text));
        path.display().to_string()
    };
    let config = |user: &str| {
        let cluster = "clusters: [{name: c, cluster: {server: https://one}}]";
        let context = "current-context: a, contexts: [{name: a, context: {cluster: c, user: u}}]";
        format!("{{{context}, {cluster}, users: [{{name: u, user: {user}}}]}}")
    };
    let (token, key) = (pipe("token", "hush\n"), pipe("key", "key"));
    let user = format!("{{tokenFile: {token}, client-key: {key}}}");
    let chosen = merged(&[&config(&user)]).choose(None).unwrap().unwrap();
    assert_eq!((chosen.user.token.as_str(), chosen.user.token_file.as_str()), ("hush", ""));
    assert_eq!((chosen.user.client_key_data.as_str(), chosen.user.client_key.as_str()), ("a2V5", ""));
    for (user, text) in [
        ("{tokenFile: /dev/zero}", "cannot read /dev/zero, the tokenFile: it has more than 4194304 bytes"),
        ("{tokenFile: /dev/null}", "/dev/null, the tokenFile, is empty"),
    ] {
        let error = merged(&[&config(user)]).choose(None).err().unwrap().to_string();
        assert!(error.ends_with(text), "{error}");
    }
    // So is a kubeconfig itself.
    let piped = pipe("config", FIRST);
    let choice = Choice { kubeconfig: Some(piped.into()), ..Choice::default() };
    assert_eq!(find(&choice).unwrap().unwrap().cluster.server, "https://one");
}
