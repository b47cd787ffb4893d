//! The operator is killed with SIGKILL at random moments, and started again.
//!
//! A moment is a number of writes, which the API server counts: that many are done, the next may be under way. `FAULTS` is
//! the number of rounds, each with a kill in an installation, in a change and in a deletion; `SEED` chooses the moments.

use crate::dice::{Dice, from_environment};
use crate::invariants::{Invariants, running};
use crate::lab::Lab;
use std::time::{Duration, Instant};

const DEMO: &str = "{profile: demo}";
/// A change that concerns each Deployment, adds objects and removes some.
const EDITED: &str = r#"{profile: default, tag: 1.17.9, components: {
    pilot: {k8s: {env: [{name: EDITED, value: "true"}]}},
    ingressGateways: [{name: istio-ingressgateway, enabled: true}, {name: second, enabled: true}],
    egressGateways: [{name: istio-egressgateway, enabled: false}]}}"#;
/// No more writes than there are in each.
const INSTALLS: u64 = 50;
const CHANGES: u64 = 25;
const DELETES: u64 = 45;

#[test]
#[ignore = "long: `make test-all`"]
fn an_operator_killed_at_any_moment_goes_on_where_it_was() {
    let (mut dice, rounds) = (Dice::new(from_environment("SEED", 7)), from_environment("FAULTS", 3));
    let lab = Lab::bare();
    let invariants = Invariants::of(&lab);
    for round in 1..=rounds {
        let moments = [INSTALLS, CHANGES, DELETES].map(|end| dice.below(end));
        println!("round {round}: killed after {moments:?} writes");
        let kill_after = |writes: u64, act: &dyn Fn()| {
            let mark = lab.mark();
            act();
            wait_for_writes(&lab, mark, writes);
            lab.kill_operator();
            lab.start_operator();
        };
        kill_after(moments[0], &|| lab.apply_spec(DEMO));
        invariants.wait("an installation", &["main"]);
        let sets = running(&lab);
        assert!(sets.len() == 3 && sets.values().all(|sets| sets.len() == 1), "pods were started anew: {sets:?}");

        kill_after(moments[1], &|| lab.apply_spec(EDITED));
        invariants.wait("a change", &["main"]);

        let delete = || drop(lab.kubectl(&["delete", "iop", "main", "-n", "istio-system", "--wait=false"]));
        kill_after(moments[2], &delete);
        lab.wait("the resource to be gone", || lab.iop("main").map_or(Ok(()), |r| Err(r["status"].to_string())));
        invariants.wait("a deletion", &[]);
    }
}

/// Waits until the operator has written so often, or has come to rest before.
fn wait_for_writes(lab: &Lab, mark: u64, writes: u64) {
    const REST: Duration = Duration::from_secs(5);
    let mut last = (0, Instant::now());
    loop {
        let count = lab.writes_since(mark).len();
        if u64::try_from(count).unwrap() >= writes {
            return;
        }
        if count != last.0 {
            last = (count, Instant::now());
        }
        if last.1.elapsed() > REST {
            println!("it rests after {count} writes");
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
