package deploy

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// manifest is what a file declares, by kind.
type manifest struct {
	kinds   []string
	pod     corev1.PodTemplateSpec
	service corev1.Service
	network networkingv1.NetworkPolicy
	budget  policyv1.PodDisruptionBudget
	scaler  autoscalingv2.HorizontalPodAutoscaler
	set     appsv1.StatefulSet
	deploy  appsv1.Deployment
}

// parse decodes a file strictly, by the types of Kubernetes's API: an unknown field, one
// that is there twice, or one of another type is an error.
func parse(t *testing.T, text []byte) (m manifest) {
	t.Helper()
	for part := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var of metav1.TypeMeta
		if err := yaml.Unmarshal(part, &of); err != nil {
			t.Fatal(err)
		}
		into, ok := map[metav1.TypeMeta]any{
			{Kind: "Service", APIVersion: "v1"}:                             &m.service,
			{Kind: "NetworkPolicy", APIVersion: "networking.k8s.io/v1"}:     &m.network,
			{Kind: "PodDisruptionBudget", APIVersion: "policy/v1"}:          &m.budget,
			{Kind: "HorizontalPodAutoscaler", APIVersion: "autoscaling/v2"}: &m.scaler,
			{Kind: "StatefulSet", APIVersion: "apps/v1"}:                    &m.set,
			{Kind: "Deployment", APIVersion: "apps/v1"}:                     &m.deploy,
		}[of]
		if !ok {
			t.Fatalf("it declares the unexpected %v:\n%s", of, part)
		}
		if err := yaml.UnmarshalStrict(part, into); err != nil {
			t.Fatalf("%s: %v", of.Kind, err)
		}
		m.kinds = append(m.kinds, of.Kind)
	}
	m.pod = m.deploy.Spec.Template
	if slices.Contains(m.kinds, "StatefulSet") {
		m.pod = m.set.Spec.Template
	}
	return m
}

// TestManifests checks what the manifests declare, that its parts refer to each other,
// and that the pods keep the Pod Security Standard "restricted".
func TestManifests(t *testing.T) {
	each(t, func(t *testing.T, dir string) {
		files, err := filepath.Glob(filepath.Join(dir, "kubernetes", "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatal("there are no manifests", err)
		}
		for _, at := range files {
			t.Run(filepath.Base(at), func(t *testing.T) {
				m := parse(t, read(t, at))
				want := []string{"Service", "NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Deployment"}
				if filepath.Base(at) == "sqlite.yaml" {
					want = []string{"Service", "NetworkPolicy", "StatefulSet"} // which nothing may scale
				}
				if !slices.Equal(m.kinds, want) {
					t.Errorf("it declares %q, want %q", m.kinds, want)
				}
				m.selects(t)
				m.isRestricted(t)
				m.probes(t)
				m.mounts(t)
			})
		}
	})
}

// selects checks that all that selects pods selects these.
func (m manifest) selects(t *testing.T) {
	selectors := map[string]*metav1.LabelSelector{"NetworkPolicy": &m.network.Spec.PodSelector}
	if m.deploy.Name != "" {
		selectors["Deployment"], selectors["PodDisruptionBudget"] = m.deploy.Spec.Selector, m.budget.Spec.Selector
		for _, spread := range m.pod.Spec.TopologySpreadConstraints {
			selectors["spread over "+spread.TopologyKey] = spread.LabelSelector
		}
		if len(selectors) != 5 {
			t.Error("the servers are not spread over zones and nodes")
		}
		if of := m.scaler.Spec.ScaleTargetRef; of.Kind != "Deployment" || of.Name != m.deploy.Name || m.deploy.Spec.Replicas != nil {
			t.Errorf("what is scaled is %v, and the deployment says %v", of, m.deploy.Spec.Replicas)
		}
	} else {
		selectors["StatefulSet"] = m.set.Spec.Selector
		if *m.set.Spec.Replicas != 1 || m.set.Spec.ServiceName != m.service.Name {
			t.Errorf("it has %d replicas, and the service %s", *m.set.Spec.Replicas, m.set.Spec.ServiceName)
		}
	}
	for name, selector := range selectors {
		if selects, err := metav1.LabelSelectorAsSelector(selector); err != nil || selects.Empty() || !selects.Matches(labels.Set(m.pod.Labels)) {
			t.Errorf("%s does not select the pods (%v)", name, err)
		}
	}
	if len(m.service.Spec.Selector) == 0 || !labels.SelectorFromSet(m.service.Spec.Selector).Matches(labels.Set(m.pod.Labels)) {
		t.Error("the service does not select the pods")
	}
}

// isRestricted checks the pods as Kubernetes does in a namespace with the label
// pod-security.kubernetes.io/enforce: restricted.
func (m manifest) isRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &m.pod.ObjectMeta, &m.pod.Spec) {
		if !result.Allowed {
			t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
		}
	}
	container := m.pod.Spec.Containers[0]
	if !*container.SecurityContext.ReadOnlyRootFilesystem || *m.pod.Spec.AutomountServiceAccountToken {
		t.Error("the root can be written, or the pod has a token for Kubernetes's API")
	}
	if container.Resources.Limits.Memory().IsZero() || container.Resources.Limits.Cpu().IsZero() {
		t.Error("the pod has no limits")
	}
}

// probes checks that the probes ask the ops port, and that a pod is not killed while it
// drains.
func (m manifest) probes(t *testing.T) {
	container := m.pod.Spec.Containers[0]
	for page, probe := range map[string]*corev1.Probe{"/livez": container.LivenessProbe, "/readyz": container.ReadinessProbe} {
		if probe.HTTPGet.Path != page || port(container, probe.HTTPGet.Port.String()) != 9464 {
			t.Errorf("a probe asks %s of port %s, want %s", probe.HTTPGet.Path, probe.HTTPGet.Port.String(), page)
		}
	}
	if container.StartupProbe.HTTPGet.Path != "/livez" {
		t.Error("there is no startup probe")
	}
	if port(container, m.service.Spec.Ports[0].TargetPort.String()) != 50051 {
		t.Error("the service does not lead to gRPC")
	}
	flags := map[string]string{}
	for _, arg := range container.Args {
		name, value, _ := strings.Cut(arg, "=")
		flags[name] = value
	}
	drain := seconds(t, flags["--drain-delay"]) + seconds(t, flags["--drain-timeout"])
	if grace := *m.pod.Spec.TerminationGracePeriodSeconds; grace < drain+5 {
		t.Errorf("the pod is killed after %d s, and drains for %d", grace, drain)
	}
}

// mounts checks that all files that the server reads are in volumes of the pod.
func (m manifest) mounts(t *testing.T) {
	container := m.pod.Spec.Containers[0]
	volumes := map[string]bool{}
	for _, volume := range m.pod.Spec.Volumes {
		volumes[volume.Name] = true
		if volume.Secret != nil && *volume.Secret.DefaultMode != 0o440 {
			t.Errorf("the secret %s has the mode %o", volume.Secret.SecretName, *volume.Secret.DefaultMode)
		}
	}
	for _, claim := range m.set.Spec.VolumeClaimTemplates {
		volumes[claim.Name] = true
	}
	var mounted []string
	for _, mount := range container.VolumeMounts {
		if !volumes[mount.Name] {
			t.Errorf("there is no volume %s", mount.Name)
		}
		mounted = append(mounted, mount.MountPath+"/")
	}
	files := slices.Clone(container.Args)
	for _, variable := range container.Env {
		files = append(files, "="+variable.Value)
	}
	for _, arg := range files {
		_, value, _ := strings.Cut(arg, "=")
		at := strings.TrimPrefix(value, "sqlite:")
		if strings.HasPrefix(at, "/") && !slices.ContainsFunc(mounted, func(dir string) bool { return strings.HasPrefix(at, dir) }) {
			t.Errorf("%s is in no volume", at)
		}
	}
}

// port returns the number of a container's port.
func port(container corev1.Container, name string) int32 {
	for _, port := range container.Ports {
		if port.Name == name {
			return port.ContainerPort
		}
	}
	return 0
}

func seconds(t *testing.T, text string) int64 {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return int64(d / time.Second)
}
