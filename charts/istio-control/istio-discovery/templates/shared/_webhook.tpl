{{/* Where the API server finds a webhook of istiod. Takes root, url or else namespace and path, and optionally port. */}}
{{- define "webhook.client" -}}
{{- if .url -}}
url: {{ .url | quote }}
{{- else -}}
service:
  name: {{ include "istiod.name" .root }}
  namespace: {{ .namespace }}
  path: {{ .path | quote }}
  {{- with .port }}
  port: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
The ways a pod asks for injection, one webhook each: its namespace or itself names the revision; for the default one, also
a label without a revision, or nothing at all. Takes root, revision (the name that is asked for) and default.
*/}}
{{- define "webhook.injection" -}}
{{- $remote := .root.Values.istiodRemote }}
{{- $client := include "webhook.client" (dict "root" .root "url" $remote.injectionURL "path" $remote.injectionPath
      "namespace" .root.Release.Namespace "port" 443) }}
{{- $noRevision := dict "key" "istio.io/rev" "operator" "DoesNotExist" }}
{{- $named := dict "key" "istio.io/rev" "operator" "In" "values" (list .revision) }}
{{- $noLabel := dict "key" "istio-injection" "operator" "DoesNotExist" }}
{{- $enabled := dict "key" "istio-injection" "operator" "In" "values" (list "enabled") }}
{{- $usual := dict "key" "kubernetes.io/metadata.name" "operator" "NotIn"
      "values" (list "kube-system" "kube-public" "kube-node-lease" "local-path-storage") }}
{{- $silent := dict "key" "sidecar.istio.io/inject" "operator" "DoesNotExist" }}
{{- $willing := dict "key" "sidecar.istio.io/inject" "operator" "NotIn" "values" (list "false") }}
{{- $asking := dict "key" "sidecar.istio.io/inject" "operator" "In" "values" (list "true") }}
{{- $ways := list
      (dict "prefix" "rev.namespace." "namespace" (list $named $noLabel) "pod" (list $willing))
      (dict "prefix" "rev.object." "namespace" (list $noRevision $noLabel) "pod" (list $willing $named)) }}
{{- if .default }}
{{- $ways = concat $ways (list
      (dict "prefix" "namespace." "namespace" (list $enabled) "pod" (list $willing))
      (dict "prefix" "object." "namespace" (list $noLabel $noRevision) "pod" (list $asking $noRevision))) }}
{{- if .root.Values.sidecarInjectorWebhook.enableNamespacesByDefault }}
{{- $ways = append $ways
      (dict "prefix" "auto." "namespace" (list $noLabel $noRevision $usual) "pod" (list $silent $noRevision)) }}
{{- end }}
{{- end }}
{{- range $ways }}
- name: {{ .prefix }}sidecar-injector.istio.io
  clientConfig:
    {{- $client | nindent 4 }}
  sideEffects: None
  rules:
  - operations: [CREATE]
    apiGroups: [""]
    apiVersions: [v1]
    resources: [pods]
  failurePolicy: Fail
  admissionReviewVersions: [v1beta1, v1]
  namespaceSelector:
    matchExpressions:
    {{- toYaml .namespace | nindent 4 }}
  objectSelector:
    matchExpressions:
    {{- toYaml .pod | nindent 4 }}
{{- end }}
{{- end }}

{{/* What validating webhooks judge: every Istio resource on every write. */}}
{{- define "webhook.validation" -}}
sideEffects: None
rules:
- operations: [CREATE, UPDATE]
  apiGroups:
  - security.istio.io
  - networking.istio.io
  - telemetry.istio.io
  - extensions.istio.io
  {{- if .Values.base.validateGateway }}
  - gateway.networking.k8s.io
  {{- end }}
  apiVersions: ["*"]
  resources: ["*"]
# istiod turns this into Fail once it serves the webhook.
failurePolicy: Ignore
admissionReviewVersions: [v1beta1, v1]
{{- end }}
