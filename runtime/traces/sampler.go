package traces

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// linked is a sampler for those that do as a parent does, by which the span of a consumer is sampled if one of the spans that
// sent its events is. Otherwise one in a hundred consumers would be sampled of one in a
// hundred calls, and links would lead nowhere. Where no event says what sent it, and for
// all other spans, the sampler within decides.
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
