{{- define "istio-operator.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* The folder of a volume with packages. */ -}}
{{- define "istio-operator.packageDir" -}}
/packages/{{ .name }}{{ with .folder }}/{{ trimAll "/" . }}{{ end }}
{{- end }}

{{- define "istio-operator.args" -}}
- run
- --log-format={{ .Values.log.format }}
- --leader-election-namespace=$(POD_NAMESPACE)
- --cache-dir=/var/cache/istio-operator
{{- if .Values.packages.inImage }}
- --package-dir=/packages
{{- end }}
{{- range .Values.packages.volumes }}
- --package-dir={{ include "istio-operator.packageDir" . }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- /* Variables that are set only where a value is given: upstream's Deployment has some of the names. */ -}}
{{- define "istio-operator.settings" -}}
{{- $packages := .Values.packages -}}
REVISION: {{ .Values.revision | quote }}
DEFAULT_RELEASE: {{ $packages.defaultRelease | quote }}
RELEASE_SOURCE: {{ $packages.source | quote }}
ALLOW_PACKAGE: {{ join "," $packages.allow | quote }}
PACKAGE_PULL_SECRET: {{ with $packages.pullSecret }}{{ printf "%s/%s" $.Release.Namespace . | quote }}{{ end }}
{{- end }}

{{- define "istio-operator.env" -}}
- name: WATCH_NAMESPACE
  value: {{ join "," .Values.watchNamespaces | quote }}
- name: PRIVILEGED_NAMESPACES
  value: {{ join "," .Values.privilegedNamespaces | quote }}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: LOG_LEVEL
  value: {{ .Values.log.level | quote }}
# The allocator gives freed memory back at once.
- name: MIMALLOC_PURGE_DELAY
  value: "0"
{{- range $name, $value := include "istio-operator.settings" . | fromYaml }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "istio-operator.mounts" -}}
- name: cache
  mountPath: /var/cache/istio-operator
{{- range .Values.packages.volumes }}
- name: packages-{{ .name }}
  mountPath: /packages/{{ .name }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "istio-operator.volumes" -}}
- name: cache
  {{- toYaml (.Values.packages.cache | default (dict "emptyDir" (dict "sizeLimit" "512Mi"))) | nindent 2 }}
{{- range .Values.packages.volumes }}
- name: packages-{{ .name }}
  {{- omit . "name" "folder" | toYaml | nindent 2 }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "istio-operator.spread" -}}
{{- $own := dict "labelSelector" (dict "matchLabels" (dict "name" (include "istio-operator.name" .))) }}
{{- range .Values.topologySpreadConstraints }}
- {{ merge (deepCopy .) $own | toYaml | nindent 2 | trim }}
{{- end }}
{{- end }}
