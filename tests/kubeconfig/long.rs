//! What happens to a client that lives longer than its credentials.

use crate::ask::{client, review};
use crate::world::{World, config};
use istio_operator::cluster::connect::Choice;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// Writes a client certificate of a name, signed by the control plane's authority.
fn sign(world: &World, name: &str, certificate: &Path, key: &Path) {
    let read = |name: &str| std::fs::read_to_string(world.of_plane(name)).unwrap();
    let mut authority = CertificateParams::default();
    authority.distinguished_name = DistinguishedName::new();
    authority.distinguished_name.push(DnType::CommonName, "istio-operator-test-ca");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::new(authority, KeyPair::from_pem(&read("ca.key")).unwrap());
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let own = KeyPair::generate().unwrap();
    std::fs::write(key, own.serialize_pem()).unwrap();
    std::fs::write(certificate, params.signed_by(&own, &issuer).unwrap().pem()).unwrap();
}

/// Asks until somebody of that name is known.
async fn wait_for(client: &kube::Client, name: &str) {
    let asked = async {
        loop {
            if review(client).await.is_ok_and(|known| known.contains(name)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), asked).await.unwrap_or_else(|_| panic!("never {name}"));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn a_certificate_that_is_renewed_on_disk_is_shown_from_then_on() {
    let world = World::start();
    let (certificate, key) = (world.file("a.crt", ""), world.file("a.key", ""));
    sign(&world, "first", &certificate, &key);
    let user = json!({"client-certificate": certificate, "client-key": key});
    let path = world.file("config", &config(&world.cluster(), &user).to_string());
    runtime().block_on(async {
        let client = client(&Choice { kubeconfig: Some(path), ..Choice::default() }).await.unwrap();
        assert!(review(&client).await.unwrap().contains("first"));
        // Half of it is there for a moment: who we were is who we are.
        std::fs::write(&key, "").unwrap();
        assert!(review(&client).await.unwrap().contains("first"));
        sign(&world, "second", &certificate, &key);
        wait_for(&client, "second").await;
    });
}

#[test]
fn a_program_that_was_refused_is_asked_again() {
    let world = World::start();
    let (token, said) = (world.token(), world.file("said", "hush"));
    let head = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":""#;
    let code = format!("printf '%s' '{head}'; cat {}; echo '\"}}}}'", said.display());
    let program = world.program("program", &code);
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": program, "interactiveMode": "Never"});
    let path = world.file("config", &config(&world.cluster(), &json!({"exec": exec})).to_string());
    runtime().block_on(async {
        let client = client(&Choice { kubeconfig: Some(path), ..Choice::default() }).await.unwrap();
        assert!(review(&client).await.is_err());
        std::fs::write(&said, token).unwrap();
        wait_for(&client, "serviceaccount").await;
    });
}
