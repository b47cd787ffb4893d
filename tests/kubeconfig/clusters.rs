//! Where the API server is, and by what it is known, as a cluster of a kubeconfig says it.

use crate::front::{Front, Manner, own_certificate};
use crate::world::Wanted::{Answer, Refusal};
use crate::world::{World, row, with};
use serde_json::json;

#[test]
fn an_api_server_is_found_and_known_as_kubectl_knows_it() {
    let world = World::start();
    let (cluster, admin) = (world.cluster(), world.admin());
    let port = world.port();
    let bare = json!({"server": world.server()});
    let authority = world.of_plane("ca.crt");
    let foreign = world.file("foreign.crt", &own_certificate(&["x"]).0);
    let other = |fields| with(&cluster, &fields);
    let rows = [
        ("as it is", other(json!({})), Answer("admin")),
        ("a file with authorities", with(&bare, &json!({"certificate-authority": authority})), Answer("admin")),
        ("a file that is not there", with(&bare, &json!({"certificate-authority": "/gone"})), Refusal),
        ("both", other(json!({"certificate-authority": authority})), Refusal),
        ("the system's authorities", bare.clone(), Refusal),
        ("a foreign authority", with(&bare, &json!({"certificate-authority": foreign})), Refusal),
        ("no authority in it", with(&bare, &json!({"certificate-authority-data": "aHVzaA=="})), Refusal),
        ("any certificate", with(&bare, &json!({"insecure-skip-tls-verify": true})), Answer("admin")),
        ("any certificate and an authority", other(json!({"insecure-skip-tls-verify": true})), Refusal),
        ("another name", other(json!({"tls-server-name": "kubernetes.default.svc"})), Answer("admin")),
        ("an address for a name", other(json!({"tls-server-name": "127.0.0.1"})), Answer("admin")),
        ("a wrong name", other(json!({"tls-server-name": "elsewhere"})), Refusal),
        ("a name", other(json!({"server": format!("https://localhost:{port}")})), Answer("admin")),
        ("a slash", other(json!({"server": format!("https://localhost:{port}/")})), Answer("admin")),
        ("no scheme", other(json!({"server": format!("127.0.0.1:{port}")})), Refusal),
        ("http", other(json!({"server": format!("http://127.0.0.1:{port}")})), Refusal),
        ("another scheme", other(json!({"server": format!("ftp://127.0.0.1:{port}")})), Refusal),
        ("nobody there", other(json!({"server": "https://127.0.0.1:1"})), Refusal),
        ("no server", other(json!({"server": null})), Refusal),
        ("uncompressed", other(json!({"disable-compression": true})), Answer("admin")),
        ("unknown fields", other(json!({"certificate-authoritative": 1})), Answer("admin")),
    ];
    world.compare(&rows.map(|(name, cluster, wanted)| row(&world, name, &cluster, &admin, wanted)));
}

#[test]
fn servers_with_their_own_certificates_and_of_ipv6_are_reached() {
    let world = World::start();
    let front = Front::start("127.0.0.1:0", &["localhost", "127.0.0.1"], Manner::default());
    let packed = Front::start("127.0.0.1:0", &["127.0.0.1"], Manner { is_compressed: true, ..Manner::default() });
    let plain = Front::start("127.0.0.1:0", &["127.0.0.1"], Manner { is_plain: true, ..Manner::default() });
    let huge = Front::start("127.0.0.1:0", &["127.0.0.1"], Manner { padding: 8 << 20, ..Manner::default() });
    let own = |front: &Front, name: &str| {
        let file = world.file(&format!("{}.crt", front.address.port()), &front.certificate);
        json!({"server": format!("https://{name}:{}", front.address.port()), "certificate-authority": file})
    };
    let mut rows = vec![
        ("its own certificate", own(&front, "localhost"), Answer("Bearer t | ")),
        ("its own certificate of another name", own(&packed, "localhost"), Refusal),
        ("another one's own certificate", with(&own(&front, "127.0.0.1"), &own_authority(&own(&packed, ""))), Refusal),
        ("a compressed answer", own(&packed, "127.0.0.1"), Answer("Bearer t | ")),
        ("a huge answer", own(&huge, "127.0.0.1"), Answer("Bearer t | ")),
        ("no TLS, so no token", json!({"server": format!("http://{}", plain.address)}), Answer(" |  |  |  |  /apis/")),
        ("no TLS and no scheme", json!({"server": plain.address.to_string()}), Answer(" |  |  |  |  /apis/")),
    ];
    let ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let six = ipv6.then(|| Front::start("[::1]:0", &["::1"], Manner::default()));
    match &six {
        Some(six) => rows.push(("IPv6", own(six, "[::1]"), Answer("Bearer t | "))),
        None => eprintln!("this machine has no IPv6: one row is left out"),
    }
    let user = json!({"token": "t"});
    let rows: Vec<_> =
        rows.into_iter().map(|(name, cluster, wanted)| row(&world, name, &cluster, &user, wanted)).collect();
    world.compare(&rows);
}

fn own_authority(cluster: &serde_json::Value) -> serde_json::Value {
    json!({"certificate-authority": cluster["certificate-authority"]})
}
