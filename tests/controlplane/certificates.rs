//! Certificates made on the spot: a CA, the API server's, an administrator's, and the service account key.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::path::Path;

fn named(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

/// Writes `ca.crt`, `ca.key`, `server.crt`, `server.key`, `admin.crt`, `admin.key`, `sa.key` and `sa.pub` into the folder.
pub fn write(dir: &Path) -> Result<()> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name = named("istio-operator-test-ca", None);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    std::fs::write(dir.join("ca.crt"), ca.self_signed(&ca_key)?.pem())?;
    std::fs::write(dir.join("ca.key"), ca_key.serialize_pem())?;
    let issuer = Issuer::new(ca, ca_key);

    let mut server = CertificateParams::new(["localhost", "127.0.0.1", "kubernetes.default.svc"].map(String::from))?;
    server.distinguished_name = named("kube-apiserver", None);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    sign(dir, "server", &server, &issuer)?;

    let mut admin = CertificateParams::default();
    admin.distinguished_name = named("admin", Some("system:masters"));
    admin.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    sign(dir, "admin", &admin, &issuer)?;

    let service_accounts = KeyPair::generate()?;
    std::fs::write(dir.join("sa.key"), service_accounts.serialize_pem())?;
    std::fs::write(dir.join("sa.pub"), service_accounts.public_key_pem())?;
    Ok(())
}

fn sign(dir: &Path, name: &str, params: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Result<()> {
    let key = KeyPair::generate()?;
    std::fs::write(dir.join(format!("{name}.crt")), params.signed_by(&key, issuer)?.pem())?;
    std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem())?;
    Ok(())
}

/// A kubeconfig for the administrator.
pub fn write_kubeconfig(dir: &Path, path: &Path, server: &str) -> Result<()> {
    let file = |name: &str| dir.join(name).to_string_lossy().into_owned();
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "local",
        "clusters": [{"name": "local", "cluster": {"server": server, "certificate-authority": file("ca.crt")}}],
        "users": [{"name": "admin", "user": {"client-certificate": file("admin.crt"), "client-key": file("admin.key")}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "admin"}}],
    });
    Ok(std::fs::write(path, serde_json::to_string_pretty(&config)?)?)
}
