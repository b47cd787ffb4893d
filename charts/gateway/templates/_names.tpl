{{/* The gateway's name. A rendering without a release gets a usable one. */}}
{{- define "gateway.name" -}}
{{- $release := eq .Release.Name "RELEASE-NAME" | ternary "istio-ingressgateway" .Release.Name -}}
{{ .Values.name | default $release }}
{{- end }}

{{/* Labels that select the gateway's pods; a user's own, even an empty one, goes first. */}}
{{- define "gateway.selector" -}}
{{- $name := include "gateway.name" . }}
{{- $own := pick (.Values.labels | default dict) "app" "istio" }}
{{- range $label, $default := dict "app" $name "istio" (trimPrefix "istio-" $name) }}
{{- with hasKey $own $label | ternary (index $own $label) $default }}
{{ $label }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The user's labels, but for those that select. */}}
{{- define "gateway.userLabels" -}}
{{- range $label, $value := omit (.Values.labels | default dict) "app" "istio" }}
{{ $label }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "gateway.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- include "gateway.selector" . }}
app.kubernetes.io/name: {{ include "gateway.name" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- include "gateway.userLabels" . }}
{{- end }}

{{/* Name, namespace, labels and annotations of any object. Takes root, name and more labels or annotations. */}}
{{- define "gateway.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "gateway.labels" .root | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge dict (.annotations | default dict) (.root.Values.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "gateway.account" -}}
{{- $own := .Values.serviceAccount.create | ternary (include "gateway.name" .) "default" -}}
{{ .Values.serviceAccount.name | default $own }}
{{- end }}
