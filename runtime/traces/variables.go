package traces

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The variables that this package reads. The SDK and the exporters read the others, and
// pass over values that they can't use, so all are checked here.
const (
	disabled   = "OTEL_SDK_DISABLED"
	exporters  = "OTEL_TRACES_EXPORTER"
	samplers   = "OTEL_TRACES_SAMPLER"
	samplerArg = "OTEL_TRACES_SAMPLER_ARG"
	propagator = "OTEL_PROPAGATORS"
	attributes = "OTEL_RESOURCE_ATTRIBUTES"
)

// variable returns the value of a variable, without spaces around it.
func variable(name string) string { return strings.TrimSpace(os.Getenv(name)) }

// otlp returns the value of a variable of the exporter, by the end of its name: that for
// traces, or else that for all signals.
func otlp(end string) string {
	names := otlpNames(end)
	return cmp.Or(variable(names[0]), variable(names[1]))
}

// otlpNames returns the names of a variable of the exporter.
func otlpNames(end string) []string {
	return []string{"OTEL_EXPORTER_OTLP_TRACES_" + end, "OTEL_EXPORTER_OTLP_" + end}
}

// isAsked reports whether the environment asks for traces.
func isAsked() (bool, error) {
	if value := variable(disabled); value != "" {
		off, err := strconv.ParseBool(strings.ToLower(value))
		if err != nil {
			return false, wrong(disabled, value, "true or false")
		}
		if off {
			return false, nil
		}
	}
	switch value := variable(exporters); value {
	case "none":
		return false, nil
	case "otlp":
		return true, nil
	case "":
		return otlp("ENDPOINT") != "", nil
	default:
		return false, wrong(exporters, value, "otlp or none")
	}
}

// wrong returns the error for a variable with a value that it can't have.
func wrong(name, value, want string) error { return fmt.Errorf("%s=%s: want %s", name, value, want) }

// checkVariables returns an error for each variable that has a wrong value. Those of
// headers and certificates don't repeat the value, which may be secret.
func checkVariables() error {
	var errs []error
	check := func(names []string, want string, valid func(string) bool) {
		for _, name := range names {
			if value := variable(name); value != "" && !valid(value) {
				errs = append(errs, wrong(name, value, want))
			}
		}
	}
	check(otlpNames("PROTOCOL"), "grpc or http/protobuf", func(value string) bool {
		return value == "grpc" || value == "http/protobuf"
	})
	check(otlpNames("ENDPOINT"), "a URL such as http://localhost:4317", func(value string) bool {
		to, err := url.Parse(value)
		return err == nil && (to.Scheme == "http" || to.Scheme == "https") && to.Host != "" || strings.Contains(value, "@")
	})
	for _, name := range otlpNames("ENDPOINT") {
		if value := variable(name); strings.Contains(value, "@") { // what comes before it may be a secret
			errs = append(errs, fmt.Errorf("%s: want a URL such as http://localhost:4317, without a user or password: headers (%s) can have those", name, otlpNames("HEADERS")[1]))
		}
	}
	check(otlpNames("COMPRESSION"), "gzip or none", func(value string) bool { return value == "gzip" || value == "none" })
	check(otlpNames("INSECURE"), "true or false", func(value string) bool {
		_, err := strconv.ParseBool(strings.ToLower(value))
		return err == nil
	})
	check(slices.Concat(otlpNames("TIMEOUT"), []string{
		"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT",
	}), "a number of milliseconds, 1 or more", isPositive)
	check([]string{"OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"}, "a number of spans, 1 or more", isPositive)
	check([]string{
		"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT",
		"OTEL_SPAN_LINK_COUNT_LIMIT", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
	}, "a number", func(value string) bool {
		_, err := strconv.Atoi(value)
		return err == nil
	})
	for _, name := range otlpNames("HEADERS") {
		errs = append(errs, checkHeaders(name, variable(name)))
	}
	for _, name := range otlpNames("CERTIFICATE") {
		errs = append(errs, checkCertificates(name, variable(name)))
	}
	for i, name := range otlpNames("CLIENT_CERTIFICATE") {
		errs = append(errs, checkPair(name, otlpNames("CLIENT_KEY")[i]))
	}
	return errors.Join(errs...)
}

func isPositive(value string) bool {
	n, err := strconv.Atoi(value)
	return err == nil && n > 0
}

// checkHeaders checks headers as NAME=VALUE,…, of which values are escaped as in URLs.
func checkHeaders(name, value string) error {
	if value == "" {
		return nil
	}
	for i, header := range strings.Split(value, ",") {
		key, escaped, found := strings.Cut(header, "=")
		_, err := url.PathUnescape(escaped)
		if !found || strings.TrimSpace(key) == "" || err != nil {
			return fmt.Errorf("%s: header %d is not NAME=VALUE with a value that is escaped as in a URL, such as api-key=a%%20b", name, i+1)
		}
	}
	return nil
}

func checkCertificates(name, path string) error {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return fmt.Errorf("%s: %s has no certificate in PEM", name, path)
	}
	return nil
}

func checkPair(certificate, key string) error {
	switch {
	case variable(certificate) == "" && variable(key) == "":
		return nil
	case variable(certificate) == "" || variable(key) == "":
		return fmt.Errorf("%s and %s belong together: set both or none", certificate, key)
	}
	if _, err := tls.LoadX509KeyPair(variable(certificate), variable(key)); err != nil {
		return fmt.Errorf("%s and %s: %w", certificate, key, err)
	}
	return nil
}

// defaultSampler samples each call unless its caller's span is not sampled.
const defaultSampler = "parentbased_always_on"

// newSampler returns the sampler that the environment names.
func newSampler() (sdktrace.Sampler, error) {
	name, argument := strings.ToLower(variable(samplers)), variable(samplerArg)
	ratio := 1.0
	if strings.HasSuffix(name, "traceidratio") && argument != "" {
		var err error
		if ratio, err = strconv.ParseFloat(argument, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			return nil, wrong(samplerArg, argument, "a number from 0 to 1, such as 0.01")
		}
	}
	switch name {
	case "", defaultSampler:
		return linked{sdktrace.ParentBased(sdktrace.AlwaysSample())}, nil
	case "parentbased_always_off":
		return linked{sdktrace.ParentBased(sdktrace.NeverSample())}, nil
	case "parentbased_traceidratio":
		return linked{sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))}, nil
	case "always_on":
		return sdktrace.AlwaysSample(), nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(ratio), nil
	}
	return nil, wrong(samplers, name, "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio")
}

// newPropagator returns what reads and writes the metadata of spans.
func newPropagator() (propagation.TextMapPropagator, error) {
	var all []propagation.TextMapPropagator
	for _, name := range strings.Split(cmp.Or(variable(propagator), "tracecontext,baggage"), ",") {
		switch strings.TrimSpace(name) {
		case "tracecontext":
			all = append(all, propagation.TraceContext{})
		case "baggage":
			all = append(all, propagation.Baggage{})
		case "none", "":
		default:
			return nil, wrong(propagator, name, "tracecontext, baggage or none")
		}
	}
	return propagation.NewCompositeTextMapPropagator(all...), nil
}

// newResource returns the attributes of this process, which all its spans have.
func newResource(ctx context.Context, service string) (*resource.Resource, error) {
	of, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.instance.id", rand.Text())),
		resource.WithTelemetrySDK(), resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", attributes, err)
	}
	return of, nil
}
