{{- define "jobrequest.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "jobrequest.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := include "jobrequest.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Cluster-scoped objects carry the namespace, so that two releases of one name do not meet. */}}
{{- define "jobrequest.clustername" -}}
{{- if eq .Release.Namespace (include "jobrequest.fullname" .) }}
{{- include "jobrequest.fullname" . }}
{{- else }}
{{- printf "%s.%s" .Release.Namespace (include "jobrequest.fullname" .) }}
{{- end }}
{{- end }}

{{- define "jobrequest.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "jobrequest.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "jobrequest.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "jobrequest.selectorLabels" -}}
app.kubernetes.io/name: {{ include "jobrequest.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end }}

{{- /* Name and Lease of the operator for a namespace: (list $ NAMESPACE); empty: for all. */}}
{{- define "jobrequest.operatorName" -}}
{{- include "jobrequest.fullname" (index . 0) }}{{ with index . 1 }}-{{ . }}{{ end }}
{{- end }}

{{- define "jobrequest.operatorSelector" -}}
{{- include "jobrequest.selectorLabels" (index . 0) }}
{{- with index . 1 }}
jobrequest.dev/watches: {{ . }}
{{- end }}
{{- end }}

{{- define "jobrequest.labels" -}}
{{- $labels := dict
    "app.kubernetes.io/name" (include "jobrequest.name" .)
    "app.kubernetes.io/instance" .Release.Name
    "app.kubernetes.io/version" .Chart.AppVersion
    "app.kubernetes.io/managed-by" .Release.Service
    "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- toYaml (merge $labels .Values.commonLabels) }}
{{- end }}

{{- /* metadata but the namespace: (list $ NAME [LABELS [ANNOTATIONS]]) */}}
{{- define "jobrequest.metadata" -}}
{{- $root := index . 0 -}}
{{- $labels := include "jobrequest.labels" $root | fromYaml -}}
{{- if gt (len .) 2 }}{{ $labels = merge $labels (index . 2) }}{{ end -}}
{{- $annotations := deepCopy $root.Values.commonAnnotations -}}
{{- if gt (len .) 3 }}{{ $annotations = merge (deepCopy (index . 3)) $annotations }}{{ end -}}
name: {{ index . 1 }}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* What the operator may do in each namespace that it watches. docs/install.md has the reasons. */}}
{{- define "jobrequest.namespacedRules" -}}
- apiGroups: [jobrequest.dev]
  resources: [jobrequests]
  verbs: [get, list, watch]
- apiGroups: [jobrequest.dev]
  resources: [jobrequests/status]
  verbs: [update]
- apiGroups: [jobrequest.dev]
  resources: [jobrequests/finalizers]
  verbs: [update]
- apiGroups: [jobrequest.dev]
  resources: [jobtemplates]
  verbs: [get, list, watch]
- apiGroups: [jobrequest.dev]
  resources: [jobtemplates/status]
  verbs: [update]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{- /* Pods beside the operator could take its account. Who tries the chart in the namespace default is let alone. */}}
{{- define "jobrequest.excludedNamespaces" -}}
{{- $all := .Values.admission.excludedNamespaces }}
{{- if and .Values.admission.excludeOwnNamespace (ne .Release.Namespace "default") }}
{{- $all = append $all .Release.Namespace }}
{{- end }}
{{- uniq $all | toJson }}
{{- end }}

{{- define "jobrequest.selfTestNamespace" -}}
{{- if .Values.selfTest.namespace }}
{{- .Values.selfTest.namespace }}
{{- else if .Values.watchNamespaces }}
{{- without .Values.watchNamespaces .Release.Namespace | first | default .Release.Namespace }}
{{- else }}
{{- "default" }}
{{- end }}
{{- end }}

{{- /* A container of ours: (list $ ARGUMENTS) */}}
{{- define "jobrequest.container" -}}
{{- $root := index . 0 -}}
image: {{ include "jobrequest.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args:
{{- range index . 1 }}
- {{ . | quote }}
{{- end }}
{{- with $root.Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Where pods of ours run: (list $ POD-FIELDS) is not needed, both kinds of pod want the same. */}}
{{- define "jobrequest.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
