//! The `k8s` settings of a component: which fields of its objects a user can set without writing an overlay.
//!
//! The shapes are those of the 1.17 API, which follow Kubernetes' own but for a few: a reference to a ConfigMap or
//! Secret key nests its name in `localObjectReference`, and volumes nest their source in `volumeSource`.

use super::schema::{Anything, Count, FreeMap, IntOrString, Integer, Long};
use schemars::JsonSchema;
use std::collections::BTreeMap;

type Strings = BTreeMap<String, Option<String>>;

/// Declares API messages: each field optional, in camelCase unless renamed.
macro_rules! messages {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$fdoc:meta])* $field:ident : $ty:ty ),* $(,)? } )*) => { $(
        $(#[$doc])*
        #[derive(JsonSchema)]
        #[schemars(rename_all = "camelCase")]
        pub struct $name { $( $(#[$fdoc])* pub $field: Option<$ty>, )* }
    )* };
}

messages! {
    /// Settings of a component's Kubernetes objects.
    KubernetesResourcesSpec {
        /// Scheduling constraints of the pods.
        affinity: Affinity,
        /// Environment of the component's container, merged by name.
        env: Vec<EnvVar>,
        /// Settings of the HorizontalPodAutoscaler, where there is one.
        hpa_spec: HorizontalPodAutoscalerSpec,
        /// When images are pulled: Always, Never or IfNotPresent.
        image_pull_policy: String,
        /// Labels a node must have.
        node_selector: Strings,
        /// Settings of the PodDisruptionBudget.
        pod_disruption_budget: PodDisruptionBudgetSpec,
        /// Annotations of the pods.
        pod_annotations: Strings,
        /// The priority class of the pods.
        priority_class_name: String,
        /// The readiness probe of the component's container, merged with the chart's.
        readiness_probe: ReadinessProbe,
        /// The number of pods; without effect while autoscaling is on.
        replica_count: Count,
        /// Resources of the component's container.
        resources: Resources,
        /// Settings of the Service; its ports are merged by port and protocol.
        service: ServiceSpec,
        /// How pods are replaced.
        strategy: DeploymentStrategy,
        /// Taints the pods tolerate.
        tolerations: Vec<Toleration>,
        /// Annotations of the Service.
        service_annotations: Strings,
        /// The security context of the pods.
        security_context: PodSecurityContext,
        /// Accepted, and without effect as in 1.17: use an overlay.
        volumes: Vec<Volume>,
        /// Accepted, and without effect as in 1.17: use an overlay.
        volume_mounts: Vec<VolumeMount>,
        /// Patches of rendered objects, for what no other setting reaches.
        overlays: Vec<K8sObjectOverlay>,
    }
    /// Patches of one rendered object.
    K8sObjectOverlay {
        /// Not compared.
        api_version: String,
        /// The kind of the object.
        kind: String,
        /// The name of the object.
        name: String,
        /// The patches, in order.
        patches: Vec<PathValue>,
    }
    /// A patch: what is set, and where.
    PathValue {
        /// Such as `spec.template.spec.containers.[name:discovery].args.[30m]`.
        path: String,
        /// The new value; null or none deletes.
        value: Anything,
    }
    /// Scheduling constraints.
    Affinity {
        /// Of pods to nodes.
        node_affinity: NodeAffinity,
        /// Of pods to other pods.
        pod_affinity: PodAffinity,
        /// Of pods away from other pods.
        pod_anti_affinity: PodAffinity,
    }
    /// Of pods to nodes.
    NodeAffinity {
        /// What a node must match.
        required_during_scheduling_ignored_during_execution: NodeSelector,
        /// What a node should match.
        preferred_during_scheduling_ignored_during_execution: Vec<PreferredSchedulingTerm>,
    }
    /// Alternatives of which a node must match one.
    NodeSelector { /// The alternatives.
        node_selector_terms: Vec<NodeSelectorTerm> }
    /// Requirements that must all hold.
    NodeSelectorTerm {
        /// On labels.
        match_expressions: Vec<Requirement>,
        /// On fields.
        match_fields: Vec<Requirement>,
    }
    /// A requirement.
    Requirement {
        /// The label or field.
        key: String,
        /// In, NotIn, Exists, DoesNotExist, Gt or Lt.
        operator: String,
        /// What it is compared with.
        values: Vec<String>,
    }
    /// A preference with its weight.
    PreferredSchedulingTerm {
        /// 1 to 100.
        weight: Integer,
        /// The preferred nodes.
        preference: NodeSelectorTerm,
    }
    /// Of pods to other pods.
    PodAffinity {
        /// What must hold.
        required_during_scheduling_ignored_during_execution: Vec<PodAffinityTerm>,
        /// What should hold.
        preferred_during_scheduling_ignored_during_execution: Vec<WeightedPodAffinityTerm>,
    }
    /// A preference with its weight.
    WeightedPodAffinityTerm {
        /// 1 to 100.
        weight: Integer,
        /// The pods meant.
        pod_affinity_term: PodAffinityTerm,
    }
    /// Other pods, and what "near" means.
    PodAffinityTerm {
        /// The pods' labels.
        label_selector: LabelSelector,
        /// The pods' namespaces.
        namespaces: Vec<String>,
        /// The node label whose value must be the same.
        topology_key: String,
    }
    /// A label selector.
    LabelSelector {
        /// Labels that must be equal.
        match_labels: Strings,
        /// Requirements that must hold.
        match_expressions: Vec<Requirement>,
    }
    /// An environment variable.
    EnvVar {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// Where its value comes from.
        value_from: EnvVarSource,
    }
    /// Where a value comes from.
    EnvVarSource {
        /// A field of the pod.
        field_ref: ObjectFieldSelector,
        /// A resource of the container.
        resource_field_ref: ResourceFieldSelector,
        /// A key of a ConfigMap.
        config_map_key_ref: KeySelector,
        /// A key of a Secret.
        secret_key_ref: KeySelector,
    }
    /// A field of the pod.
    ObjectFieldSelector {
        /// The version its path is written in.
        api_version: String,
        /// Its path.
        field_path: String,
    }
    /// A resource of a container.
    ResourceFieldSelector {
        /// The container.
        container_name: String,
        /// The resource.
        resource: String,
        /// The unit.
        divisor: IntOrString,
    }
    /// A key of a ConfigMap or Secret.
    KeySelector {
        /// The object.
        local_object_reference: LocalObjectReference,
        /// The key.
        key: String,
        /// Whether it may be absent.
        optional: bool,
    }
    /// An object of the same namespace.
    LocalObjectReference { /// Its name.
        name: String }
    /// Settings of a HorizontalPodAutoscaler.
    HorizontalPodAutoscalerSpec {
        /// What is scaled.
        scale_target_ref: CrossVersionObjectReference,
        /// The least number of pods.
        min_replicas: Integer,
        /// The largest number of pods.
        max_replicas: Integer,
        /// What decides; replaces the chart's.
        metrics: Vec<MetricSpec>,
        /// How fast it scales.
        behavior: HorizontalPodAutoscalerBehavior,
    }
    /// An object.
    CrossVersionObjectReference {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// Its API version.
        api_version: String,
    }
    /// How fast it scales.
    HorizontalPodAutoscalerBehavior {
        /// Up.
        scale_up: ScalingRules,
        /// Down.
        scale_down: ScalingRules,
    }
    /// Rules of one direction.
    ScalingRules {
        /// Seconds of past recommendations considered.
        stabilization_window_seconds: Integer,
        /// Max, Min or Disabled.
        select_policy: String,
        /// The policies.
        policies: Vec<ScalingPolicy>,
    }
    /// How much may change in a period.
    ScalingPolicy {
        /// Pods or Percent.
        r#type: String,
        /// How much.
        value: Integer,
        /// In how many seconds.
        period_seconds: Integer,
    }
    /// A metric; which fields count depends on its type.
    MetricSpec {
        /// Resource, ContainerResource, Pods, Object or External.
        r#type: String,
        /// Of an object.
        object: ObjectMetricSource,
        /// Of each pod.
        pods: PodsMetricSource,
        /// Of the pods' resources.
        resource: ResourceMetricSource,
        /// Of one container's resources.
        container_resource: ContainerResourceMetricSource,
        /// From outside the cluster.
        external: ExternalMetricSource,
    }
    /// A metric of an object.
    ObjectMetricSource {
        /// The object.
        described_object: CrossVersionObjectReference,
        /// The target; with `metricName`, a value as in autoscaling/v2beta1.
        target: FreeMap,
        /// The metric.
        metric: MetricIdentifier,
        /// Deprecated.
        metric_name: String,
        /// Deprecated.
        target_value: IntOrString,
        /// Deprecated.
        selector: LabelSelector,
        /// Deprecated.
        average_value: IntOrString,
    }
    /// A metric of each pod.
    PodsMetricSource {
        /// The metric.
        metric: MetricIdentifier,
        /// The target.
        target: MetricTarget,
        /// Deprecated.
        metric_name: String,
        /// Deprecated.
        target_average_value: IntOrString,
        /// Deprecated.
        selector: LabelSelector,
    }
    /// A resource metric of the pods.
    ResourceMetricSource {
        /// The resource.
        name: String,
        /// The target.
        target: MetricTarget,
        /// Deprecated.
        target_average_utilization: Integer,
        /// Deprecated.
        target_average_value: IntOrString,
    }
    /// A resource metric of a container.
    ContainerResourceMetricSource {
        /// The resource.
        name: String,
        /// The target.
        target: MetricTarget,
        /// The container.
        container: String,
    }
    /// A metric from outside the cluster.
    ExternalMetricSource {
        /// The metric.
        metric: MetricIdentifier,
        /// The target.
        target: MetricTarget,
        /// Deprecated.
        metric_name: String,
        /// Deprecated.
        metric_selector: LabelSelector,
        /// Deprecated.
        target_value: IntOrString,
        /// Deprecated.
        target_average_value: IntOrString,
    }
    /// A metric's name and selector.
    MetricIdentifier {
        /// Its name.
        name: String,
        /// Its selector.
        selector: LabelSelector,
    }
    /// A metric's target.
    MetricTarget {
        /// Utilization, Value or AverageValue.
        r#type: String,
        /// An absolute value.
        value: IntOrString,
        /// An average over pods.
        average_value: IntOrString,
        /// A percentage of the request.
        average_utilization: Integer,
    }
    /// Settings of a PodDisruptionBudget.
    PodDisruptionBudgetSpec {
        /// The least number of pods that must stay.
        min_available: IntOrString,
        /// The pods meant.
        selector: LabelSelector,
        /// The largest number of pods that may be away; wins over the former.
        max_unavailable: IntOrString,
    }
    /// A probe.
    ReadinessProbe {
        /// Runs a command.
        exec: ExecAction,
        /// Asks by HTTP.
        http_get: HttpGetAction,
        /// Opens a connection.
        tcp_socket: TcpSocketAction,
        /// Seconds until the first.
        initial_delay_seconds: Integer,
        /// Seconds until it fails.
        timeout_seconds: Integer,
        /// Seconds between two.
        period_seconds: Integer,
        /// How many must succeed.
        success_threshold: Integer,
        /// How many must fail.
        failure_threshold: Integer,
    }
    /// A command.
    ExecAction { /// Its words.
        command: Vec<String> }
    /// A request by HTTP.
    HttpGetAction {
        /// The path.
        path: String,
        /// The port.
        port: IntOrString,
        /// The host.
        host: String,
        /// HTTP or HTTPS.
        scheme: String,
        /// Headers.
        http_headers: Vec<HttpHeader>,
    }
    /// A header.
    HttpHeader {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    }
    /// A connection.
    TcpSocketAction {
        /// The port.
        port: IntOrString,
        /// The host.
        host: String,
    }
    /// Resources of a container, as quantities in strings.
    Resources {
        /// At most.
        limits: Strings,
        /// At least.
        requests: Strings,
    }
    /// Settings of a Service.
    ServiceSpec {
        /// Its ports.
        ports: Vec<ServicePort>,
        /// The pods' labels.
        selector: Strings,
        /// Its address.
        #[schemars(rename = "clusterIP")]
        cluster_ip: String,
        /// ClusterIP, NodePort, LoadBalancer or ExternalName.
        r#type: String,
        /// Addresses of the nodes that also lead to it.
        #[schemars(rename = "externalIPs")]
        external_ips: Vec<String>,
        /// None or ClientIP.
        session_affinity: String,
        /// The load balancer's address.
        #[schemars(rename = "loadBalancerIP")]
        load_balancer_ip: String,
        /// Who may reach the load balancer.
        load_balancer_source_ranges: Vec<String>,
        /// The name an ExternalName leads to.
        external_name: String,
        /// Cluster or Local.
        external_traffic_policy: String,
        /// The port of the node's health check.
        health_check_node_port: Integer,
        /// Whether pods count before they are ready.
        publish_not_ready_addresses: bool,
        /// Settings of session affinity.
        session_affinity_config: SessionAffinityConfig,
    }
    /// A port of a Service.
    ServicePort {
        /// Its name.
        name: String,
        /// TCP or UDP.
        protocol: String,
        /// Its number.
        port: Integer,
        /// The pods' port.
        target_port: IntOrString,
        /// The nodes' port.
        node_port: Integer,
        /// The application protocol.
        app_protocol: String,
    }
    /// Settings of session affinity.
    SessionAffinityConfig { /// By client address.
        #[schemars(rename = "clientIP")]
        client_ip: ClientIpConfig }
    /// Session affinity by client address.
    ClientIpConfig { /// How long it holds.
        timeout_seconds: Integer }
    /// How pods are replaced.
    DeploymentStrategy {
        /// RollingUpdate or Recreate.
        r#type: String,
        /// Limits of a rolling update.
        rolling_update: RollingUpdate,
    }
    /// Limits of a rolling update.
    RollingUpdate {
        /// How many may be away.
        max_unavailable: IntOrString,
        /// How many may be extra.
        max_surge: IntOrString,
    }
    /// A tolerated taint.
    Toleration {
        /// Its key.
        key: String,
        /// Exists or Equal.
        operator: String,
        /// Its value.
        value: String,
        /// NoSchedule, PreferNoSchedule or NoExecute.
        effect: String,
        /// For how long.
        toleration_seconds: Long,
    }
    /// The security context of pods.
    PodSecurityContext {
        /// SELinux.
        se_linux_options: SeLinuxOptions,
        /// The user.
        run_as_user: Long,
        /// Whether root is refused.
        run_as_non_root: bool,
        /// Further groups.
        supplemental_groups: Vec<Long>,
        /// The group of volumes.
        fs_group: Long,
        /// The group.
        run_as_group: Long,
        /// Kernel parameters.
        sysctls: Vec<Sysctl>,
        /// Windows.
        windows_options: WindowsOptions,
        /// Always or OnRootMismatch.
        fs_group_change_policy: String,
        /// Seccomp.
        seccomp_profile: SeccompProfile,
    }
    /// SELinux labels.
    SeLinuxOptions {
        /// The user label.
        user: String,
        /// The role label.
        role: String,
        /// The type label.
        r#type: String,
        /// The level label.
        level: String,
    }
    /// A kernel parameter.
    Sysctl {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    }
    /// Windows options.
    WindowsOptions {
        /// The credential spec's name.
        gmsa_credential_spec_name: String,
        /// The credential spec.
        gmsa_credential_spec: String,
        /// The user.
        run_as_user_name: String,
    }
    /// A seccomp profile.
    SeccompProfile {
        /// RuntimeDefault, Unconfined or Localhost.
        r#type: String,
        /// The file of a local one.
        localhost_profile: String,
    }
    /// A volume, in protobuf's shape.
    Volume {
        /// Its name.
        name: String,
        /// Its source.
        volume_source: FreeMap,
    }
    /// A volume mount.
    VolumeMount {
        /// The volume.
        name: String,
        /// Whether it is read-only.
        read_only: bool,
        /// Where it is mounted.
        mount_path: String,
        /// Which part of it.
        sub_path: String,
        /// How mounts propagate.
        mount_propagation: String,
        /// Which part, with variables.
        sub_path_expr: String,
    }
}
