package traces

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// linked is a sampler around one that follows parents. It samples the span of a consumer if
// one of the spans that sent its events is sampled. A consumer's span has no parent, so with
// a ratio of 0.01 it would otherwise be sampled for one event in a hundred, whichever calls
// were sampled, and links would lead nowhere. The sampler within decides on all other spans,
// and where no event says what sent it.
type linked struct{ sdktrace.Sampler }

// ShouldSample implements [sdktrace.Sampler].
func (s linked) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	parent := trace.SpanContextFromContext(p.ParentContext)
	if p.Kind != trace.SpanKindConsumer || parent.IsValid() || len(p.Links) == 0 {
		return s.Sampler.ShouldSample(p)
	}
	for _, link := range p.Links {
		if link.SpanContext.IsSampled() {
			return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample}
		}
	}
	return sdktrace.SamplingResult{Decision: sdktrace.Drop}
}
