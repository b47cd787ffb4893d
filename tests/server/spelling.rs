//! What the API server writes differently than it is sent: written once, and never again unless it changes.

use crate::lab::Lab;
use helm_template::yaml::{Duplicates, parse_documents};
use istio_operator::cluster::{Cluster, Refusal};
use istio_operator::install::fields::{self, Replicas};
use istio_operator::object::Object;
use serde_json::{Value, json};

/// An object in odd spellings, a place in it, and what is put there instead.
struct Case {
    name: &'static str,
    yaml: &'static str,
    /// Each of them is another wish, and has to be applied.
    edits: &'static [(&'static str, &'static str)],
}

const DEFINITION: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: frees.example.org}
spec:
  group: example.org
  names: {kind: Free, plural: frees, singular: free, listKind: FreeList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-preserve-unknown-fields: true
            properties:
              items: {type: array, items: {type: object, x-kubernetes-preserve-unknown-fields: true, properties: {more: {type: string, default: filled in}}}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

const CASES: &[Case] = &[
    Case {
        name: "a workload",
        yaml: "
apiVersion: apps/v1
kind: Deployment
metadata: {name: odd, namespace: default, labels: {a: null, b: '1.1'}, annotations: {c: '1.1'}, creationTimestamp: null}
spec:
  replicas: 0
  strategy: {}
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}, annotations: {}, creationTimestamp: null}
    spec:
      securityContext: {}
      affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: x, labelSelector: {}}], preferredDuringSchedulingIgnoredDuringExecution: []}}
      hostNetwork: false
      nodeSelector: {}
      tolerations: [{operator: Exists, effect: NoExecute}]
      imagePullSecrets: []
      serviceAccountName: ''
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: x, whenUnsatisfiable: DoNotSchedule, labelSelector: {}}]
      containers:
      - name: c
        image: i
        env: [{name: A, value: ''}, {name: B, value: null}, {name: C}, {name: D, value: '1.0'},
          {name: E, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1000m}}}]
        resources: {limits: {cpu: 2000m, memory: 1024Mi}, requests: {cpu: '0.5', memory: 0}}
        ports: [{containerPort: 80, protocol: UDP}, {containerPort: 80}]
        securityContext: {}
        lifecycle: {}
        command: []
        args: null
        readinessProbe: {httpGet: {path: /, port: 80}, initialDelaySeconds: 0}
      volumes: [{name: e, emptyDir: {}}, {name: f, emptyDir: {sizeLimit: 1024Mi}}]
status: {replicas: 7}
",
        edits: &[
            ("/metadata/labels/a", "\"x\""),
            ("/metadata/labels/b", "\"1.10\""),
            ("/metadata/annotations/c", "\"1.10\""),
            ("/spec/template/spec/containers/0/env/3/value", "\"1\""),
            ("/spec/template/spec/containers/0/env/1/value", "\"null\""),
            ("/spec/template/spec/containers/0/resources/limits/cpu", "\"2001m\""),
            ("/spec/template/spec/containers/0/ports/1/name", "\"tcp\""),
            ("/spec/template/spec/containers/0/args", "[\"a\"]"),
            ("/spec/template/spec/volumes/1/emptyDir/sizeLimit", "\"1025Mi\""),
            ("/spec/template/spec/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution/0/namespaceSelector", "{}"),
            ("/spec/template/spec/tolerations/0/tolerationSeconds", "0"),
            ("/spec/template/spec/tolerations", "null"),
            ("/spec/template/spec/topologySpreadConstraints/0/maxSkew", "2"),
            (
                "/spec/template/spec/containers/0/env",
                "[{\"name\": \"C\"}, {\"name\": \"A\"}, {\"name\": \"D\", \"value\": \"1.0\"}]",
            ),
        ],
    },
    Case {
        name: "a service",
        yaml: "
apiVersion: v1
kind: Service
metadata: {name: odd, namespace: default}
spec:
  selector: {a: b, c: d}
  clusterIP: ''
  ports: [{name: u, port: 443, protocol: UDP, targetPort: 443}, {name: t, port: 443, targetPort: https}, {name: h, port: 80}]
status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}
",
        edits: &[
            ("/spec/selector", "{\"a\": \"b\"}"),
            ("/spec/selector/e", "\"\""),
            ("/spec/ports/1/targetPort", "443"),
            ("/spec/ports/0/name", "\"v\""),
        ],
    },
    Case {
        name: "a secret",
        yaml: "
apiVersion: v1
kind: Secret
metadata: {name: odd, namespace: default}
data: {a: \"YQ==\\n\", b: ''}
stringData: {c: c, d: ''}
",
        edits: &[("/stringData/c", "\"d\""), ("/data/a", "\"Yg==\"")],
    },
    Case {
        name: "a config map",
        yaml: "
apiVersion: v1
kind: ConfigMap
metadata: {name: odd, namespace: default}
data: {a: null, b: '', c: '1e3', cpu: 1000m}
binaryData: {z: \"YQ==\\n\"}
",
        edits: &[("/data/c", "\"1000\""), ("/data/cpu", "\"1\""), ("/data/a", "\"x\""), ("/binaryData/z", "\"Yg==\"")],
    },
    Case {
        name: "a quota",
        yaml: "
apiVersion: v1
kind: ResourceQuota
metadata: {name: odd, namespace: default}
spec: {hard: {requests.cpu: 1000000m, pods: 1k}}
",
        edits: &[("/spec/hard/pods", "\"1001\"")],
    },
    Case {
        name: "an autoscaler",
        yaml: "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: odd, namespace: default}
spec:
  maxReplicas: 5
  behavior: {}
  scaleTargetRef: {kind: Deployment, name: none, apiVersion: apps/v1}
  metrics: [{type: Pods, pods: {metric: {name: x, selector: {matchLabels: {a: b}}}, target: {type: AverageValue, averageValue: 1000m}}}]
",
        edits: &[
            ("/spec/metrics/0/pods/target/averageValue", "\"1001m\""),
            ("/spec/metrics/0/pods/metric", "{\"name\": \"x\"}"),
        ],
    },
    Case {
        name: "a budget",
        yaml: "
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: odd, namespace: default}
spec: {minAvailable: 1, selector: {}}
",
        edits: &[("/spec/minAvailable", "\"1%\"")],
    },
    Case {
        name: "a network policy",
        yaml: "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: odd, namespace: default}
spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}, {}], egress: []}
",
        edits: &[
            ("/spec/ingress/0/from/0/namespaceSelector", "{}"),
            ("/spec/ingress/0", "{\"from\": [{\"podSelector\": {}}]}"),
        ],
    },
    Case {
        name: "a webhook",
        yaml: "
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: odd}
webhooks:
- name: a.b.c
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {service: {name: x, namespace: default}, caBundle: ''}
  objectSelector: {matchLabels: {a: b}}
  rules: [{apiGroups: [example.org], apiVersions: [v1], operations: [CREATE], resources: [none]}]
",
        edits: &[("/webhooks/0/rules/0/scope", "\"Cluster\""), ("/webhooks/0/objectSelector", "{}")],
    },
    Case {
        name: "a role",
        yaml: "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: odd}
rules: [{apiGroups: [''], resources: [pods], verbs: [get], resourceNames: [x]}]
",
        edits: &[("/rules/0", "{\"apiGroups\": [\"\"], \"resources\": [\"pods\"], \"verbs\": [\"get\"]}")],
    },
    Case {
        name: "a role of others",
        yaml: "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: odd-sum}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {kubernetes.io/bootstrapping: rbac-defaults}}]}
rules: []
",
        edits: &[("/aggregationRule/clusterRoleSelectors/0/matchLabels", "{\"a\": \"b\"}")],
    },
    Case {
        name: "a binding",
        yaml: "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: odd}
roleRef: {kind: ClusterRole, name: odd}
subjects: [{kind: User, name: u}, {kind: ServiceAccount, name: s, namespace: default}]
",
        edits: &[("/subjects/0/name", "\"v\"")],
    },
    Case {
        name: "a custom resource",
        yaml: "
apiVersion: example.org/v1
kind: Free
metadata: {name: odd, namespace: default}
spec: {a: null, b: {}, c: [], d: 1.0, e: '1.10', f: 1e3, g: '', h: 0, k: false, m: {x: {z: null}}, t: 5.0s,
  resources: {limits: {cpu: 1000m}}, items: [{a: null, b: {}, c: [], f: false}]}
status: {x: 1}
",
        edits: &[
            ("/spec/e", "\"1.1\""),
            ("/spec/d", "2"),
            ("/spec/t", "\"5s\""),
            ("/spec/resources/limits/cpu", "\"1\""),
            ("/spec/new", "{}"),
            ("/spec/items/0/new", "{}"),
            ("/spec/items/0/new", "false"),
            ("/spec/items/0", "{\"a\": null, \"b\": {}, \"c\": []}"),
        ],
    },
];

fn object(yaml: &str) -> Value {
    parse_documents(yaml, Duplicates::Refuse).unwrap().remove(0).value
}

/// Sets a value, making the maps above it.
fn set(value: &mut Value, pointer: &str, new: Value) {
    let (above, name) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(above).unwrap() {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = new,
        above => above[name] = new,
    }
}

/// Applies an object as a pass does, if it differs; says in what it did.
fn bring(lab: &Lab, cluster: &Cluster, value: &Value) -> Result<Vec<String>, String> {
    let object = Object::new(value.clone()).unwrap();
    lab.block_on(async {
        let live = cluster.get(object.api_version(), &object.key()).await.map_err(|e| e.to_string())?;
        let mut comparison = fields::compare(&object, live.as_ref(), Replicas::Desired);
        if let Some(live) = &live {
            comparison = fields::settle(cluster, comparison, live).await;
        }
        if !comparison.differences.is_empty() {
            fields::write(cluster, &comparison).await.map_err(|e| e.to_string())?;
        }
        Ok(comparison.differences)
    })
}

#[test]
fn odd_spellings_are_written_once_and_changed_ones_again() {
    let lab = Lab::without_operator();
    lab.apply(DEFINITION);
    lab.wait_established(&["crd/frees.example.org"]);
    let cluster = Cluster::new(lab.client().clone());
    let free = object(CASES.last().unwrap().yaml);
    lab.wait("the kind to be served", || bring(&lab, &cluster, &free).map(drop));
    let mut wrong = vec![];
    for case in CASES {
        let odd = object(case.yaml);
        bring(&lab, &cluster, &odd).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let again = bring(&lab, &cluster, &odd).unwrap();
        if !again.is_empty() {
            wrong.push(format!("{}: written again for {again:?}", case.name));
        }
        for (place, edited) in case.edits {
            let mut changed = odd.clone();
            set(&mut changed, place, serde_json::from_str(edited).unwrap());
            for (what, value) in [("changed", &changed), ("changed back", &odd)] {
                match bring(&lab, &cluster, value) {
                    Ok(found) if found.is_empty() => wrong.push(format!("{}: {place} {what}: not applied", case.name)),
                    Ok(_) => {}
                    Err(e) => wrong.push(format!("{}: {place} {what}: {e}", case.name)),
                }
                let again = bring(&lab, &cluster, value).unwrap_or_default();
                if !again.is_empty() {
                    wrong.push(format!("{}: {place} {what}: written again for {again:?}", case.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    what_cannot_pass_is_told_from_what_may(&lab, &cluster);
}

const POLICIES: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: none-of-that-name}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]}
  validations: [{expression: \"object.metadata.name != 'denied'\"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: none-of-that-name}
spec: {policyName: none-of-that-name, validationActions: [Deny]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: away}
webhooks:
- name: away.example.org
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 2
  clientConfig: {url: 'https://127.0.0.1:1/x'}
  rules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [serviceaccounts]}]
";

fn deployment(more: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: refused, namespace: default}}, spec: {{selector: {{matchLabels: {{a: b}}}}, \
         template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: c, image: i}}]}}}}{more}}}}}"
    )
}

/// What the API server says to manifests that are wrong, and to such as are not.
fn what_cannot_pass_is_told_from_what_may(lab: &Lab, cluster: &Cluster) {
    lab.apply(POLICIES);
    lab.apply(&deployment(""));
    let config = |name: &str, more: &str| {
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}, namespace: default{more}}}}}")
    };
    let large = |size: usize| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large", "namespace": "default"},
        "data": {"a": "x".repeat(size)}})
    };
    let free = json!({"apiVersion": "example.org/v1", "kind": "Free", "metadata": {"name": "large", "namespace": "default"},
        "spec": {"a": "x".repeat(2_500_000)}});
    let service = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: default}}, spec: {{type: NodePort, ports: [{{port: 1, nodePort: 31000}}]}}}}"
        )
    };
    let refused = |value: &Value| {
        let object = Object::new(value.clone()).unwrap();
        lab.block_on(cluster.apply(&object, false)).err().map(|e| (e.refusal(), e.to_string()))
    };
    lab.wait("the policies to work", || match refused(&object(&config("denied", ""))) {
        Some(_) => Ok(()),
        None => Err("a ConfigMap may be written".into()),
    });
    assert_eq!(refused(&object(&service("first"))), None);
    let of = |yaml: String| object(&yaml);
    let cases = [
        (
            "twice",
            Refusal::Never,
            of(deployment("").replace("[{name: c, image: i}]", "[{name: c, image: i}, {name: c, image: i}]")),
        ),
        ("unknown field", Refusal::Never, of(deployment(", foo: 1"))),
        ("wrong type", Refusal::Never, of(deployment(", replicas: '1'"))),
        ("half a pod", Refusal::Never, of(deployment(", replicas: 1.5").replace("refused", "half"))),
        ("no label", Refusal::Never, of(config("refused", ", annotations: {a: 1}"))),
        ("immutable", Refusal::Never, of(deployment("").replace("a: b", "a: c"))),
        ("a name that is not valid", Refusal::Never, of(config("Refused_", ""))),
        ("larger than allowed", Refusal::Never, large(1_200_000)),
        ("larger than a request", Refusal::Never, large(4_000_000)),
        ("larger than stored", Refusal::Never, free),
        ("a port that is taken", Refusal::Denied, of(service("second"))),
        ("a policy", Refusal::Denied, of(config("denied", ""))),
        (
            "a webhook that is away",
            Refusal::Passing,
            of("{apiVersion: v1, kind: ServiceAccount, metadata: {name: refused, namespace: default}}".into()),
        ),
        ("no namespace", Refusal::Passing, of(config("refused", "").replace("default", "none"))),
        ("no kind", Refusal::Passing, of(config("refused", "").replace("ConfigMap", "None"))),
    ];
    let mut wrong = vec![];
    for (what, refusal, value) in &cases {
        match refused(value) {
            Some((said, _)) if said == *refusal => {}
            other => wrong.push(format!("{what}: {other:.300?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
