{{/*
The ways a pod asks for injection, one webhook each: its namespace or itself names the revision "default", or bears a
label without a revision, or, where that is wanted, nothing at all.
*/}}
{{- define "default.injection" -}}
{{- $noRevision := dict "key" "istio.io/rev" "operator" "DoesNotExist" }}
{{- $named := dict "key" "istio.io/rev" "operator" "In" "values" (list "default") }}
{{- $noLabel := dict "key" "istio-injection" "operator" "DoesNotExist" }}
{{- $enabled := dict "key" "istio-injection" "operator" "In" "values" (list "enabled") }}
{{- $usual := dict "key" "kubernetes.io/metadata.name" "operator" "NotIn"
      "values" (list "kube-system" "kube-public" "kube-node-lease" "local-path-storage") }}
{{- $silent := dict "key" "sidecar.istio.io/inject" "operator" "DoesNotExist" }}
{{- $willing := dict "key" "sidecar.istio.io/inject" "operator" "NotIn" "values" (list "false") }}
{{- $asking := dict "key" "sidecar.istio.io/inject" "operator" "In" "values" (list "true") }}
{{- $ways := list
      (dict "prefix" "rev.namespace." "namespace" (list $named $noLabel) "pod" (list $willing))
      (dict "prefix" "rev.object." "namespace" (list $noRevision $noLabel) "pod" (list $willing $named))
      (dict "prefix" "namespace." "namespace" (list $enabled) "pod" (list $willing))
      (dict "prefix" "object." "namespace" (list $noLabel $noRevision) "pod" (list $asking $noRevision)) }}
{{- if .Values.sidecarInjectorWebhook.enableNamespacesByDefault }}
{{- $ways = append $ways
      (dict "prefix" "auto." "namespace" (list $noLabel $noRevision $usual) "pod" (list $silent $noRevision)) }}
{{- end }}
{{- $client := include "default.client" (dict "root" . "url" .Values.istiodRemote.injectionURL "path" "/inject"
      "namespace" .Release.Namespace) }}
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
