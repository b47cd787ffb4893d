{{- /* The name of everything: that of upstream's operator, whose Deployment this one takes the place of. */ -}}
{{- define "istio-operator.name" -}}
istio-operator{{ with .Values.revision }}-{{ . }}{{ end }}
{{- end }}

{{- define "istio-operator.account" -}}
{{ .Values.serviceAccount.name | default (include "istio-operator.name" .) }}
{{- end }}

{{- define "istio-operator.watchesAll" -}}
{{ if has "*" .Values.watchNamespaces }}true{{ end }}
{{- end }}

{{- /* Labels of an object; of pods only `name` counts, as with upstream's. */ -}}
{{- define "istio-operator.labels" -}}
name: {{ include "istio-operator.name" . }}
app.kubernetes.io/name: istio-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* metadata of an object of `root`, named `name`, in `namespace` if that is given; with further `labels` and `annotations`. */ -}}
{{- define "istio-operator.metadata" -}}
metadata:
  name: {{ .name | default (include "istio-operator.name" .root) }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- merge (include "istio-operator.labels" .root | fromYaml) (.labels | default dict) | toYaml | nindent 4 }}
  {{- with merge (dict) (.annotations | default dict) .root.Values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- /* The operator's account as the subject of a binding. */ -}}
{{- define "istio-operator.subjects" -}}
subjects:
- kind: ServiceAccount
  name: {{ include "istio-operator.account" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
