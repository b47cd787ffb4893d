{{/* "-<revision>", or nothing for the control plane without one. */}}
{{- define "istiod.suffix" -}}
{{- with .Values.revision }}-{{ . }}{{ end }}
{{- end }}

{{- define "istiod.name" -}}
istiod{{ include "istiod.suffix" . }}
{{- end }}

{{- define "istiod.revision" -}}
{{ .Values.revision | default "default" }}
{{- end }}

{{/* The end of cluster-wide names, which two installations must not share. */}}
{{- define "istiod.clusterSuffix" -}}
{{ include "istiod.suffix" . }}-{{ .Release.Namespace }}
{{- end }}

{{/* The end of the injection webhooks' names, where only another namespace than the usual one is named. */}}
{{- define "istiod.webhookSuffix" -}}
{{- if ne .Release.Namespace "istio-system" }}-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "istiod.labels" -}}
istio.io/rev: {{ include "istiod.revision" . | quote }}
install.operator.istio.io/owning-resource: {{ .Values.ownerName | default "unknown" | quote }}
operator.istio.io/component: Pilot
release: {{ .Release.Name }}
{{- end }}

{{- define "istiod.image" -}}
{{- $global := .Values.global }}
{{- with .Values.pilot }}
{{- if contains "/" .image }}
{{- .image }}
{{- else }}
{{- .hub | default $global.hub }}/{{ .image | default "pilot" }}:{{ .tag | default $global.tag }}
{{- with .variant | default $global.variant }}-{{ . }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "istiod.imagePullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/*
"true" in a cluster that holds istiod's configuration: where istiod runs, and where it only finds its resources. This chart
is the one that installs istiod if its name is istiod.
*/}}
{{- define "istiod.hasConfig" -}}
{{- if or (eq .Chart.Name "istiod") .Values.global.configCluster }}true{{ end }}
{{- end }}

{{/* The label that tells this revision's pods from those of others. */}}
{{- define "istiod.podLabel" -}}
{{- with .Values.revision -}}
istio.io/rev: {{ . | quote }}
{{- else -}}
istio: pilot
{{- end }}
{{- end }}
