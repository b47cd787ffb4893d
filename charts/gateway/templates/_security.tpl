{{/* Whether pods may open ports below 1024 without privileges: newer clusters allow the setting that permits it. */}}
{{- define "gateway.unprivilegedPorts" -}}
{{- if semverCompare ">=1.22-0" .Capabilities.KubeVersion.GitVersion }}true{{ end }}
{{- end }}

{{- define "gateway.podSecurity" -}}
{{- if .Values.securityContext }}
{{- toYaml .Values.securityContext }}
{{- else if include "gateway.unprivilegedPorts" . -}}
sysctls:
- name: net.ipv4.ip_unprivileged_port_start
  value: "0"
{{- end }}
{{- end }}

{{- define "gateway.containerSecurity" -}}
{{- if .Values.containerSecurityContext }}
{{- toYaml .Values.containerSecurityContext }}
{{- else if include "gateway.unprivilegedPorts" . -}}
runAsUser: 1337
runAsGroup: 1337
runAsNonRoot: true
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- else -}}
runAsUser: 0
runAsGroup: 1337
runAsNonRoot: false
allowPrivilegeEscalation: true
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
  add: [NET_BIND_SERVICE]
{{- end }}
{{- end }}
