{{/* Ports of a gateway between networks: health, traffic by SNI, and a control plane that others reach through it. */}}
{{- define "gateway.networkPorts" -}}
- name: status-port
  port: 15021
  targetPort: 15021
- name: tls
  port: 15443
  targetPort: 15443
- name: tls-istiod
  port: 15012
  targetPort: 15012
- name: tls-webhook
  port: 15017
  targetPort: 15017
{{- end }}
