//! Which permissions the API server says are missing, by its answer 403.

/// The permissions that an answer names, such as `patch leases.coordination.k8s.io`; `None` if it is about something else, as
/// the answer of a policy or of a quota is.
///
/// Two kinds of answers are known (Kubernetes 1.23 to 1.35): the request itself is not allowed, or it would grant in a role
/// what the requester does not have.
pub(super) fn missing(message: &str) -> Option<Vec<String>> {
    if let Some((_, rules)) = message.split_once("is attempting to grant RBAC permissions not currently held:") {
        let found: Vec<String> = rules.lines().filter_map(granted).collect();
        return (!found.is_empty()).then_some(found);
    }
    refused(message).map(|found| vec![found])
}

/// Who was refused, as an answer of either kind names the user.
pub(super) fn who(message: &str) -> Option<&str> {
    let begins = ["User \"", "user \""];
    let (_, rest) = begins.iter().find_map(|begin| message.split_once(begin))?;
    rest.split_once('"').map(|(user, _)| user).filter(|user| !user.is_empty())
}

/// Of `… cannot patch resource "leases" in API group "coordination.k8s.io" …`.
fn refused(message: &str) -> Option<String> {
    let (_, rest) = message.split_once(" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once("\" in API group \"")?;
    let (group, _) = rest.split_once('"')?;
    Some(right(verb, resource, group))
}

/// Of `{APIGroups:["coordination.k8s.io"], Resources:["leases"], Verbs:["patch"]}`.
fn granted(line: &str) -> Option<String> {
    let list = |field: &str| {
        let (_, rest) = line.split_once(&format!("{field}:["))?;
        let (items, _) = rest.split_once(']')?;
        Some(items.replace('"', "").replace(", ", ","))
    };
    Some(right(&list("Verbs")?, &list("Resources")?, &list("APIGroups")?))
}

fn right(verbs: &str, resources: &str, group: &str) -> String {
    if group.is_empty() { format!("{verbs} {resources}") } else { format!("{verbs} {resources}.{group}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_permissions_are_read_from_both_answers() {
        let refused = "deployments.apps \"istiod\" is forbidden: User \"system:serviceaccount:istio-operator:istio-operator\" \
            cannot patch resource \"deployments\" in API group \"apps\" in the namespace \"istio-system\"";
        assert_eq!(missing(refused), Some(vec!["patch deployments.apps".to_owned()]));
        assert_eq!(who(refused), Some("system:serviceaccount:istio-operator:istio-operator"));
        let core = "services \"istiod\" is forbidden: User \"x\" cannot patch resource \"services\" in API group \"\" in the namespace \"a\"";
        assert_eq!(missing(core), Some(vec!["patch services".to_owned()]));
        let escalates = "clusterroles.rbac.authorization.k8s.io \"istiod\" is forbidden: user \"x\" (groups=[\"a\"]) is attempting to grant RBAC permissions not currently held:\n\
            {APIGroups:[\"\"], Resources:[\"services/status\"], Verbs:[\"patch\" \"update\"]}\n\
            {APIGroups:[\"coordination.k8s.io\"], Resources:[\"leases\"], Verbs:[\"patch\"]}";
        let found = missing(escalates).unwrap();
        assert_eq!(found, ["patch update services/status", "patch leases.coordination.k8s.io"]);
        assert_eq!(who(escalates), Some("x"));
        for other in [
            "pods \"a\" is forbidden: exceeded quota: x",
            "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'a' with binding 'b' denied request: no",
            "",
        ] {
            assert_eq!((missing(other), who(other)), (None, None), "{other}");
        }
    }
}
