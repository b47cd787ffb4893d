{{/* Installs plug-in and configuration on the node, keeps them in place, and repairs pods that came too early. */}}
{{- define "cni.installer" -}}
- name: install-cni
  image: {{ include "cni.image" . | quote }}
  {{- with include "cni.pullPolicy" . }}
  {{- . | nindent 2 }}
  {{- end }}
  command: [install-cni]
  args:
  {{- with .Values.global.logging.level }}
  - --log_output_level={{ . }}
  {{- end }}
  {{- if .Values.global.logAsJson }}
  - --log_as_json
  {{- end }}
  readinessProbe:
    httpGet:
      path: /readyz
      port: 8000
  # Writes to directories of the node, which belong to root.
  securityContext:
    runAsUser: 0
    runAsGroup: 0
    runAsNonRoot: false
    privileged: {{ .Values.cni.privileged }}
    {{- with .Values.cni.seccompProfile }}
    seccompProfile:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  env:
  {{- include "cni.installerEnv" . | nindent 2 }}
  volumeMounts:
  - name: cni-bin-dir
    mountPath: /host/opt/cni/bin
  - name: cni-net-dir
    mountPath: /host/etc/cni/net.d
  - name: cni-log-dir
    mountPath: /var/run/istio-cni
  resources:
    {{- .Values.cni.resources | default .Values.global.defaultResources | toYaml | nindent 4 }}
{{- end }}

{{- define "cni.installerEnv" -}}
{{- with .Values.cni.cniConfFileName }}
- name: CNI_CONF_NAME
  value: {{ . | quote }}
{{- end }}
- name: CNI_NETWORK_CONFIG
  valueFrom:
    configMapKeyRef:
      name: istio-cni-config
      key: cni_network_config
- name: CNI_NET_DIR
  value: {{ .Values.cni.cniConfDir | default "/etc/cni/net.d" | quote }}
- name: CHAINED_CNI_PLUGIN
  value: {{ .Values.cni.chained | quote }}
{{- with .Values.cni.repair }}
- name: REPAIR_ENABLED
  value: {{ .enabled | quote }}
- name: REPAIR_NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: REPAIR_LABEL_PODS
  value: {{ .labelPods | quote }}
- name: REPAIR_DELETE_PODS
  value: {{ .deletePods | quote }}
- name: REPAIR_RUN_AS_DAEMON
  value: "true"
- name: REPAIR_SIDECAR_ANNOTATION
  value: sidecar.istio.io/status
- name: REPAIR_INIT_CONTAINER_NAME
  value: {{ .initContainerName | quote }}
- name: REPAIR_BROKEN_POD_LABEL_KEY
  value: {{ .brokenPodLabelKey | quote }}
- name: REPAIR_BROKEN_POD_LABEL_VALUE
  value: {{ .brokenPodLabelValue | quote }}
{{- end }}
{{- end }}

{{/* Taints nodes until the installer there is ready. */}}
{{- define "cni.taintController" -}}
- name: taint-controller
  image: {{ include "cni.image" . | quote }}
  {{- with include "cni.pullPolicy" . }}
  {{- . | nindent 2 }}
  {{- end }}
  command: [/opt/local/bin/istio-cni-taint]
  securityContext:
    runAsUser: 1337
    runAsGroup: 1337
    runAsNonRoot: true
  env:
  - name: TAINT_RUN-AS-DAEMON
    value: "true"
  - name: TAINT_CONFIGMAP-NAME
    value: istio-cni-taint-configmap
  - name: TAINT_CONFIGMAP-NAMESPACE
    value: {{ .Release.Namespace | quote }}
{{- end }}
