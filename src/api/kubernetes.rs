//! The `k8s` settings of a component: which fields of its objects a user can set without writing an overlay.
//!
//! The shapes are those of the 1.17 API, which follow Kubernetes' own but for a few: a reference to a ConfigMap or
//! Secret key nests its name in `localObjectReference`. Volumes may nest their source in `volumeSource`, as there, or not.

use super::schema::{Anything, Count, FreeMap, IntOrString, Integer, Long};
use super::shape::messages;
use super::volumes::{Volume, VolumeMount};
use std::collections::BTreeMap;

type Strings = BTreeMap<String, Option<String>>;

messages! {
    /// Settings of a component's Kubernetes objects.
    KubernetesResourcesSpec {
        /// Scheduling constraints of the pods.
        affinity: Affinity,
        /// Environment of the component's container, merged by name.
        env: Vec<EnvVar>,
        /// Settings of the HorizontalPodAutoscaler, where there is one.
        hpaSpec: HorizontalPodAutoscalerSpec,
        /// When images are pulled: Always, Never or IfNotPresent.
        imagePullPolicy: String,
        /// Labels a node must have.
        nodeSelector: Strings,
        /// Settings of the PodDisruptionBudget.
        podDisruptionBudget: PodDisruptionBudgetSpec,
        /// Annotations of the pods.
        podAnnotations: Strings,
        /// The priority class of the pods.
        priorityClassName: String,
        /// The readiness probe of the component's container, merged with the chart's.
        readinessProbe: ReadinessProbe,
        /// The number of pods; without effect while autoscaling is on.
        replicaCount: Count,
        /// Resources of the component's container.
        resources: Resources,
        /// Settings of the Service; its ports are merged by port and protocol.
        service: ServiceSpec,
        /// How pods are replaced.
        strategy: DeploymentStrategy,
        /// Taints the pods tolerate.
        tolerations: Vec<Toleration>,
        /// Annotations of the Service.
        serviceAnnotations: Strings,
        /// The security context of the pods.
        securityContext: PodSecurityContext,
        /// Volumes of the pods, merged by name; a source of another type takes the place of the chart's.
        volumes: Vec<Volume>,
        /// Volume mounts of the component's container, merged by path.
        volumeMounts: Vec<VolumeMount>,
        /// Patches of rendered objects, for what no other setting reaches.
        overlays: Vec<K8sObjectOverlay>,
    }
    /// Patches of one rendered object.
    K8sObjectOverlay {
        /// Not compared.
        apiVersion: String,
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
        nodeAffinity: NodeAffinity,
        /// Of pods to other pods.
        podAffinity: PodAffinity,
        /// Of pods away from other pods.
        podAntiAffinity: PodAffinity,
    }
    /// Of pods to nodes.
    NodeAffinity {
        /// What a node must match.
        requiredDuringSchedulingIgnoredDuringExecution: NodeSelector,
        /// What a node should match.
        preferredDuringSchedulingIgnoredDuringExecution: Vec<PreferredSchedulingTerm>,
    }
    /// Alternatives of which a node must match one.
    NodeSelector { /// The alternatives.
        nodeSelectorTerms: Vec<NodeSelectorTerm> }
    /// Requirements that must all hold.
    NodeSelectorTerm {
        /// On labels.
        matchExpressions: Vec<Requirement>,
        /// On fields.
        matchFields: Vec<Requirement>,
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
        requiredDuringSchedulingIgnoredDuringExecution: Vec<PodAffinityTerm>,
        /// What should hold.
        preferredDuringSchedulingIgnoredDuringExecution: Vec<WeightedPodAffinityTerm>,
    }
    /// A preference with its weight.
    WeightedPodAffinityTerm {
        /// 1 to 100.
        weight: Integer,
        /// The pods meant.
        podAffinityTerm: PodAffinityTerm,
    }
    /// Other pods, and what "near" means.
    PodAffinityTerm {
        /// The pods' labels.
        labelSelector: LabelSelector,
        /// The pods' namespaces.
        namespaces: Vec<String>,
        /// The node label whose value must be the same.
        topologyKey: String,
    }
    /// A label selector.
    LabelSelector {
        /// Labels that must be equal.
        matchLabels: Strings,
        /// Requirements that must hold.
        matchExpressions: Vec<Requirement>,
    }
    /// An environment variable.
    EnvVar {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
        /// Where its value comes from.
        valueFrom: EnvVarSource,
    }
    /// Where a value comes from.
    EnvVarSource {
        /// A field of the pod.
        fieldRef: ObjectFieldSelector,
        /// A resource of the container.
        resourceFieldRef: ResourceFieldSelector,
        /// A key of a ConfigMap.
        configMapKeyRef: KeySelector,
        /// A key of a Secret.
        secretKeyRef: KeySelector,
    }
    /// A field of the pod.
    ObjectFieldSelector {
        /// The version its path is written in.
        apiVersion: String,
        /// Its path.
        fieldPath: String,
    }
    /// A resource of a container.
    ResourceFieldSelector {
        /// The container.
        containerName: String,
        /// The resource.
        resource: String,
        /// The unit.
        divisor: IntOrString,
    }
    /// A key of a ConfigMap or Secret.
    KeySelector {
        /// The object.
        localObjectReference: LocalObjectReference,
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
        scaleTargetRef: CrossVersionObjectReference,
        /// The least number of pods.
        minReplicas: Integer,
        /// The largest number of pods.
        maxReplicas: Integer,
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
        apiVersion: String,
    }
    /// How fast it scales.
    HorizontalPodAutoscalerBehavior {
        /// Up.
        scaleUp: ScalingRules,
        /// Down.
        scaleDown: ScalingRules,
    }
    /// Rules of one direction.
    ScalingRules {
        /// Seconds of past recommendations considered.
        stabilizationWindowSeconds: Integer,
        /// Max, Min or Disabled.
        selectPolicy: String,
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
        periodSeconds: Integer,
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
        containerResource: ContainerResourceMetricSource,
        /// From outside the cluster.
        external: ExternalMetricSource,
    }
    /// A metric of an object.
    ObjectMetricSource {
        /// The object.
        describedObject: CrossVersionObjectReference,
        /// The target; with `metricName`, a value as in autoscaling/v2beta1.
        target: FreeMap,
        /// The metric.
        metric: MetricIdentifier,
        /// Deprecated.
        metricName: String,
        /// Deprecated.
        targetValue: IntOrString,
        /// Deprecated.
        selector: LabelSelector,
        /// Deprecated.
        averageValue: IntOrString,
    }
    /// A metric of each pod.
    PodsMetricSource {
        /// The metric.
        metric: MetricIdentifier,
        /// The target.
        target: MetricTarget,
        /// Deprecated.
        metricName: String,
        /// Deprecated.
        targetAverageValue: IntOrString,
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
        targetAverageUtilization: Integer,
        /// Deprecated.
        targetAverageValue: IntOrString,
    }
    /// A resource metric of a container.
    ContainerResourceMetricSource {
        /// The resource.
        name: String,
        /// The target.
        target: MetricTarget,
        /// The container.
        container: String,
        /// Deprecated.
        targetAverageUtilization: Integer,
        /// Deprecated.
        targetAverageValue: IntOrString,
    }
    /// A metric from outside the cluster.
    ExternalMetricSource {
        /// The metric.
        metric: MetricIdentifier,
        /// The target.
        target: MetricTarget,
        /// Deprecated.
        metricName: String,
        /// Deprecated.
        metricSelector: LabelSelector,
        /// Deprecated.
        targetValue: IntOrString,
        /// Deprecated.
        targetAverageValue: IntOrString,
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
        averageValue: IntOrString,
        /// A percentage of the request.
        averageUtilization: Integer,
    }
    /// Settings of a PodDisruptionBudget.
    PodDisruptionBudgetSpec {
        /// The least number of pods that must stay.
        minAvailable: IntOrString,
        /// The pods meant.
        selector: LabelSelector,
        /// The largest number of pods that may be away; wins over the former.
        maxUnavailable: IntOrString,
    }
    /// A probe.
    ReadinessProbe {
        /// Runs a command.
        exec: ExecAction,
        /// Asks by HTTP.
        httpGet: HttpGetAction,
        /// Opens a connection.
        tcpSocket: TcpSocketAction,
        /// Seconds until the first.
        initialDelaySeconds: Integer,
        /// Seconds until it fails.
        timeoutSeconds: Integer,
        /// Seconds between two.
        periodSeconds: Integer,
        /// How many must succeed.
        successThreshold: Integer,
        /// How many must fail.
        failureThreshold: Integer,
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
        httpHeaders: Vec<HttpHeader>,
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
        clusterIP: String,
        /// ClusterIP, NodePort, LoadBalancer or ExternalName.
        r#type: String,
        /// Addresses of the nodes that also lead to it.
        externalIPs: Vec<String>,
        /// None or ClientIP.
        sessionAffinity: String,
        /// The load balancer's address.
        loadBalancerIP: String,
        /// Who may reach the load balancer.
        loadBalancerSourceRanges: Vec<String>,
        /// The name an ExternalName leads to.
        externalName: String,
        /// Cluster or Local.
        externalTrafficPolicy: String,
        /// The port of the node's health check.
        healthCheckNodePort: Integer,
        /// Whether pods count before they are ready.
        publishNotReadyAddresses: bool,
        /// Settings of session affinity.
        sessionAffinityConfig: SessionAffinityConfig,
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
        targetPort: IntOrString,
        /// The nodes' port.
        nodePort: Integer,
        /// The application protocol.
        appProtocol: String,
    }
    /// Settings of session affinity.
    SessionAffinityConfig { /// By client address.
        clientIP: ClientIpConfig }
    /// Session affinity by client address.
    ClientIpConfig { /// How long it holds.
        timeoutSeconds: Integer }
    /// How pods are replaced.
    DeploymentStrategy {
        /// RollingUpdate or Recreate.
        r#type: String,
        /// Limits of a rolling update.
        rollingUpdate: RollingUpdate,
    }
    /// Limits of a rolling update.
    RollingUpdate {
        /// How many may be away.
        maxUnavailable: IntOrString,
        /// How many may be extra.
        maxSurge: IntOrString,
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
        tolerationSeconds: Long,
    }
    /// The security context of pods.
    PodSecurityContext {
        /// SELinux.
        seLinuxOptions: SeLinuxOptions,
        /// The user.
        runAsUser: Long,
        /// Whether root is refused.
        runAsNonRoot: bool,
        /// Further groups.
        supplementalGroups: Vec<Long>,
        /// The group of volumes.
        fsGroup: Long,
        /// The group.
        runAsGroup: Long,
        /// Kernel parameters.
        sysctls: Vec<Sysctl>,
        /// Windows.
        windowsOptions: WindowsOptions,
        /// Always or OnRootMismatch.
        fsGroupChangePolicy: String,
        /// Seccomp.
        seccompProfile: SeccompProfile,
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
        gmsaCredentialSpecName: String,
        /// The credential spec.
        gmsaCredentialSpec: String,
        /// The user.
        runAsUserName: String,
    }
    /// A seccomp profile.
    SeccompProfile {
        /// RuntimeDefault, Unconfined or Localhost.
        r#type: String,
        /// The file of a local one.
        localhostProfile: String,
    }
}
