//! What happens to the operator and to its resources.

use crate::chaos_rules::path_of_main;
use crate::chaos_world::SYSTEM;
use crate::days::Life;
use crate::invariants::phase_is;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/istio-operator";
/// How soon the operator has to end.
const END: Duration = Duration::from_secs(5);
/// How soon a resource has to be gone that nothing holds.
const GONE: Duration = Duration::from_secs(30);

/// What somebody may write into a status: merge patches.
const FORGERIES: [&str; 5] = [
    r#"{"status": 3}"#,
    r#"{"status": "HEALTHY", "observedGeneration": 1000000}"#,
    r#"{"inventory": null, "held": null}"#,
    r#"{"componentStatus": {"Pilot": {"status": 7}, "Nothing": {"version": "x"}}, "conditions": []}"#,
    r#"{"held": [{"revision": "forged", "namespace": "nowhere", "message": "m"}], "inUse": false}"#,
];

impl Life<'_> {
    pub fn kill(&mut self) -> String {
        self.lab.kill_operator();
        let edited = self.edit_spec();
        self.lab.start_operator();
        format!("killed, {edited}, started")
    }

    pub fn terminate(&mut self) -> String {
        // In the middle of something, or while it rests.
        let edited = if self.dice.below(2) == 0 { self.edit_spec() } else { "nothing edited".into() };
        self.end_operator();
        let deleted = self.delete_something();
        self.lab.start_operator();
        format!("{edited}, ended, {deleted}, started")
    }

    fn end_operator(&self) {
        let begun = Instant::now();
        let code = self.lab.terminate_operator();
        if code != Some(0) || begun.elapsed() > END {
            self.lab.fail(&format!("it ended with {code:?} after {:?}", begun.elapsed()));
        }
    }

    pub fn stop_for_a_while(&mut self) -> String {
        let long = Duration::from_secs(1 + self.dice.below(6));
        self.lab.signal_operator("STOP");
        let happened = if self.dice.below(2) == 0 { self.edit_spec() } else { self.delete_something() };
        // The passing of time is the fault.
        std::thread::sleep(long);
        self.lab.signal_operator("CONT");
        format!("stopped for {long:?}, {happened}")
    }

    pub fn blank_status(&mut self) -> String {
        let is_down = self.dice.below(2) == 0;
        self.while_down_if(is_down, || self.patch_status(&Value::Null));
        (if is_down { "while the operator was away" } else { "while it looked" }).into()
    }

    /// Lines that ask for the deletion of what is not ours, and fields of other types.
    pub fn forge_status(&mut self) -> String {
        let is_down = self.dice.below(2) == 0;
        let mut forged: Value = serde_json::from_str(self.dice.one_of::<&str>(&FORGERIES)).unwrap();
        let others = self.lab.iop("other").unwrap()["status"]["inventory"].as_array().unwrap().clone();
        let uid = self.lab.get("/api/v1/namespaces/default/configmaps/victim").unwrap()["metadata"]["uid"].clone();
        let victim = format!("v1 ConfigMap default/victim {}", uid.as_str().unwrap());
        let mut lines = self.lab.iop("main").unwrap()["status"]["inventory"].as_array().cloned().unwrap_or_default();
        lines.extend(
            [victim, "no.such/v1 Nothing x y".into(), "batch/v1 Job a/b c".into(), "nonsense".into()].map(Value::from),
        );
        lines.extend(others);
        if forged.get("inventory").is_none() {
            forged["inventory"] = json!(lines);
        }
        self.while_down_if(is_down, || self.patch_status(&forged));
        forged["inventory"].take();
        format!("{forged}, {}", if is_down { "while the operator was away" } else { "while it looked" })
    }

    fn while_down_if(&self, is_down: bool, act: impl FnOnce()) {
        if is_down {
            self.end_operator();
        }
        act();
        if is_down {
            self.lab.start_operator();
        }
    }

    fn patch_status(&self, status: &Value) {
        let patch = json!({"status": status}).to_string();
        self.lab.kubectl(&["patch", "iop", "main", "-n", SYSTEM, "--subresource=status", "--type=merge", "-p", &patch]);
    }

    fn annotate(&self, annotation: &str) {
        self.lab.annotate("main", annotation);
    }

    /// Nothing is done while the resource is to be ignored, and all of it once it is not any more.
    pub fn pause(&mut self) -> String {
        self.annotate("install.istio.io/ignoreReconcile=true");
        self.lab.wait("main to say that it is left alone", || {
            let status = self.lab.iop("main").unwrap()["status"].take();
            let is_paused = status["conditions"].as_array().into_iter().flatten().any(|c| c["type"] == "Paused");
            if is_paused { Ok(()) } else { Err(status.to_string()) }
        });
        self.touch_other();
        let mark = self.lab.mark();
        let edited = self.edit_spec();
        self.touch_other();
        // That its spec has changed since is said, once.
        self.only_writes(mark, &["other", "main"], "while main was paused");
        let own = self.lab.writes_since(mark).into_iter().filter(|write| write.contains(" istio-system/main:"));
        let own: Vec<String> = own.collect();
        if own.len() > 1 || own.iter().any(|write| !write.contains(" istiooperators/status ")) {
            self.lab.fail(&format!("while main was paused the operator wrote {own:#?}"));
        }
        self.annotate("install.istio.io/ignoreReconcile-");
        format!("{edited} while paused")
    }

    /// A second resource for the same control plane: one that wants the same shares it, one that contradicts is told so and
    /// takes nothing; it goes again, and `main` notices nothing of all that.
    pub fn apply_second_resource(&mut self) -> String {
        if !self.world.has_plane() || !self.world.held.is_empty() {
            return "nothing to share or to contradict".into();
        }
        let is_twin = self.dice.below(2) == 0;
        let mut spec = self.world.spec();
        if !is_twin {
            spec["values"]["global"]["proxy"]["logLevel"] = json!("trace");
            spec["components"]["pilot"]["k8s"]["env"] = json!([{"name": "RIVAL", "value": "1"}]);
        }
        // What a restart before this has left to say of `main` is said.
        self.rules.wait_for_rest("before a second resource");
        let mark = self.lab.mark();
        self.lab.apply_named("second", &spec.to_string());
        let (phase, message): (_, &[&str]) = if is_twin { ("HEALTHY", &[]) } else { ("ERROR", &["istio-system/main"]) };
        self.lab.wait_for_status_of("second", phase, message);
        self.rules.wait("a second resource", &self.world, &self.before);
        self.lab.delete("second");
        self.only_writes(mark, &["second", "installed-state-second"], "for a second resource");
        format!("one that {} came and went", if is_twin { "shares" } else { "contradicts" })
    }

    /// Since a mark the operator has written these resources, their statuses and records, and events.
    fn only_writes(&self, mark: u64, names: &[&str], when: &str) {
        let is_theirs = |write: &&String| {
            let name = write.split(['/', ':']).rev().nth(1).unwrap_or_default();
            write.contains(" events ")
                || (write.contains(" istiooperators") && names.iter().any(|n| name.starts_with(n)))
        };
        let writes = self.lab.writes_since(mark);
        let others: Vec<&String> = writes.iter().filter(|write| !is_theirs(write)).collect();
        if !others.is_empty() {
            self.lab.fail(&format!("{when} the operator wrote {others:#?}"));
        }
    }

    /// A rule is cut out of the operator's role for a while.
    pub fn cut_permission(&mut self) -> String {
        let mut role = self.lab.get(ROLE).unwrap();
        let whole = role["rules"].clone();
        let at = usize::try_from(self.dice.below(whole.as_array().unwrap().len() as u64)).unwrap();
        let cut = role["rules"].as_array_mut().unwrap().remove(at);
        self.lab.request("PUT", ROLE, &role).unwrap();
        let happened = match self.dice.below(3) {
            0 => self.edit_spec(),
            1 => self.delete_something(),
            _ => {
                self.end_operator();
                let edited = self.edit_spec();
                self.lab.watch_over(self.lab.begin_operator());
                format!("restarted, {edited}")
            }
        };
        // The passing of time is the fault.
        std::thread::sleep(Duration::from_secs(1 + self.dice.below(4)));
        let mut role = self.lab.get(ROLE).unwrap();
        role["rules"] = whole;
        self.lab.request("PUT", ROLE, &role).unwrap();
        format!("{cut} for a while, {happened}")
    }

    /// The resource is deleted and made again. While its control plane is in use it stays, until a person insists or has the
    /// resource left alone.
    pub fn delete_resource(&mut self) -> String {
        if self.world.planes().count() > 1 {
            return "it has several control planes".into();
        }
        self.delete_whatever_it_has()
    }

    /// The same, with several control planes.
    pub fn delete_whatever_it_has(&mut self) -> String {
        let users: Vec<String> = self.world.planes().flat_map(|(plane, _)| self.world.users_of(&plane.0)).collect();
        self.lab.kubectl(&["delete", "iop", "main", "-n", SYSTEM, "--wait=false"]);
        if users.is_empty() {
            self.wait_for_end();
            return self.make_again("unused");
        }
        self.lab.wait("the deletion to be held back", || {
            let resource =
                self.lab.iop("main").unwrap_or_else(|| self.lab.fail(&format!("it went, used by {users:?}")));
            phase_is(&resource, "ACTION_REQUIRED")?;
            let message = resource["status"]["message"].to_string();
            let is_told = message.contains("force-delete") && users.iter().any(|user| message.contains(user));
            if is_told { Ok(()) } else { Err(resource["status"].to_string()) }
        });
        self.rules.of_planes(&self.world, &self.before);
        if self.dice.below(2) == 0 {
            self.annotate("install.istio.io/force-delete=true");
            self.before.given_up.extend(self.before.planes.keys().cloned());
            self.wait_for_end();
            return self.make_again("by force");
        }
        self.annotate("install.istio.io/ignoreReconcile=true");
        let begun = Instant::now();
        self.lab.wait("the resource to be let go", || self.lab.iop("main").map_or(Ok(()), |r| Err(r.to_string())));
        self.in_time(begun);
        self.apply();
        "let go, and made again".into()
    }

    fn wait_for_end(&mut self) {
        let begun = Instant::now();
        self.lab.wait("the resource to be gone", || {
            self.lab.get(&path_of_main()).map_or(Ok(()), |r| Err(r["status"].to_string()))
        });
        self.in_time(begun);
        self.rules.wait_for_nothing_left("the resource is gone");
        self.world.forget();
    }

    fn in_time(&self, begun: Instant) {
        if begun.elapsed() > GONE {
            self.lab.fail(&format!("its end took {:?}", begun.elapsed()));
        }
    }

    fn make_again(&mut self, how: &str) -> String {
        self.apply();
        format!("deleted {how}, and made again")
    }
}
