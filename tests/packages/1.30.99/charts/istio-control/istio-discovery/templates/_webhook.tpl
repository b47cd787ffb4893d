{{/*
The ways a pod asks for injection, one webhook each. Takes root, revision (the name that is asked for), and default: whether it
is also meant where nobody names one.
*/}}
{{- define "webhook.injection" -}}
{{- $root := .root }}
{{- $none := dict "key" "istio.io/rev" "operator" "DoesNotExist" }}
{{- $named := dict "key" "istio.io/rev" "operator" "In" "values" (list .revision) }}
{{- $silent := dict "key" "istio-injection" "operator" "DoesNotExist" }}
{{- $enabled := dict "key" "istio-injection" "operator" "In" "values" (list "enabled") }}
{{- $willing := dict "key" "sidecar.istio.io/inject" "operator" "NotIn" "values" (list "false") }}
{{- $asking := dict "key" "sidecar.istio.io/inject" "operator" "In" "values" (list "true") }}
{{- $ways := list
      (list "rev.namespace." (list $named $silent) (list $willing))
      (list "rev.object." (list $none $silent) (list $willing $named)) }}
{{- if .default }}
{{- $ways = concat $ways (list
      (list "namespace." (list $enabled) (list $willing))
      (list "object." (list $silent $none) (list $asking $none))) }}
{{- end }}
{{- range $ways }}
- name: {{ index . 0 }}sidecar-injector.istio.io
  clientConfig:
    {{- if $root.Values.istiodRemote.injectionURL }}
    url: {{ $root.Values.istiodRemote.injectionURL | quote }}
    {{- else }}
    service:
      name: {{ include "istiod.name" $root }}
      namespace: {{ $root.Release.Namespace }}
      path: /inject
      port: 443
    {{- end }}
  sideEffects: None
  rules:
  - operations: [CREATE]
    apiGroups: [""]
    apiVersions: [v1]
    resources: [pods]
  failurePolicy: Fail
  reinvocationPolicy: Never
  admissionReviewVersions: [v1]
  namespaceSelector:
    matchExpressions:
    {{- toYaml (index . 1) | nindent 4 }}
  objectSelector:
    matchExpressions:
    {{- toYaml (index . 2) | nindent 4 }}
{{- end }}
{{- end }}
