//! What a control plane stores at one moment, and how it is brought back to it.
//!
//! This is done in etcd: whatever its kind, its namespace and its finalizers, what came later is gone at once, and the
//! API server and all controllers learn of it by their watches, as of any deletion.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// What the control plane writes all the time, and keeps for itself.
const MOVING: [&str; 5] = [
    "/registry/leases/kube-node-lease/",
    "/registry/leases/kube-system/",
    "/registry/masterleases/",
    "/registry/minions/",
    "/registry/ranges/",
];
/// Of these none is kept.
const EVENTS: &str = "/registry/events/";

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// How often it is looked until nothing changes.
const LOOKS: usize = 60;
/// So many changes are made at once; etcd takes no more than 128.
const AT_ONCE: usize = 100;

/// An etcd, by the address that it serves HTTP on.
pub struct Store {
    pub address: String,
}

/// Revisions by key, with values where they were asked for, as etcd encodes them.
type Entries = BTreeMap<String, (String, String)>;

/// See the module.
pub struct Snapshot(Entries);

impl Store {
    /// All that is stored, once two looks see the same.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let mut last = Entries::new();
        for _ in 0..LOOKS {
            let mut now = self.entries(true)?;
            now.retain(|key, _| !key.starts_with(EVENTS));
            if now == last {
                return Ok(Snapshot(now));
            }
            last = now;
            std::thread::sleep(2 * PAUSE);
        }
        bail!("what is stored never stays the same")
    }

    /// Brings everything back to what it was, until two looks find it so. What was deleted meanwhile cannot be: its identity
    /// is gone from the memory of controllers.
    pub fn restore(&self, snapshot: &mut Snapshot) -> Result<()> {
        let (mut quiet, mut last) = (0, vec![]);
        for _ in 0..LOOKS {
            let now = self.entries(false)?;
            if let Some(gone) = snapshot.0.keys().find(|key| !now.contains_key(*key)) {
                bail!("{gone} was deleted");
            }
            let is_changed = |(key, (revision, _)): &(&String, &(String, String))| {
                snapshot.0.get(*key).is_none_or(|(before, _)| before != revision)
            };
            let changed: Vec<String> = now.iter().filter(is_changed).map(|(key, _)| key.clone()).collect();
            quiet = if changed.is_empty() { quiet + 1 } else { 0 };
            if quiet == 2 {
                return Ok(());
            }
            for some in changed.chunks(AT_ONCE) {
                self.put_back(snapshot, some)?;
            }
            last = changed;
            std::thread::sleep(PAUSE);
        }
        bail!("these change again and again: {last:?}")
    }

    fn put_back(&self, snapshot: &mut Snapshot, keys: &[String]) -> Result<()> {
        let change = |key: &String| match snapshot.0.get(key) {
            Some((_, value)) => json!({"requestPut": {"key": STANDARD.encode(key), "value": value}}),
            None => json!({"requestDeleteRange": {"key": STANDARD.encode(key)}}),
        };
        let answer = self.call("/v3/kv/txn", &json!({"success": keys.iter().map(change).collect::<Vec<_>>()}))?;
        let revision = answer["header"]["revision"].as_str().context("no revision")?;
        for key in keys {
            if let Some((known, _)) = snapshot.0.get_mut(key) {
                revision.clone_into(known);
            }
        }
        Ok(())
    }

    fn entries(&self, with_values: bool) -> Result<Entries> {
        let range = json!({"key": STANDARD.encode("/registry/"), "range_end": STANDARD.encode("/registry0"),
            "keys_only": !with_values});
        let answer = self.call("/v3/kv/range", &range)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut entries = Entries::new();
        for entry in answer["kvs"].as_array().context("nothing is stored")? {
            let key = String::from_utf8(STANDARD.decode(text(&entry["key"]))?)?;
            if !MOVING.iter().any(|prefix| key.starts_with(prefix)) {
                entries.insert(key, (text(&entry["mod_revision"]), text(&entry["value"])));
            }
        }
        Ok(entries)
    }

    fn call(&self, path: &str, body: &Value) -> Result<Value> {
        let (mut stream, body) = (TcpStream::connect(&self.address)?, body.to_string());
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(stream, "POST {path} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        if !head.lines().next().is_some_and(|status| status.contains(" 200 ")) {
            bail!("etcd answers {path} with {head}\n{body}");
        }
        Ok(serde_json::from_str(body)?)
    }
}
