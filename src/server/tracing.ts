/** A span of OpenTelemetry for each job. Who runs the server decides where they go; without that, nothing is made of them. https://opentelemetry.io/docs/specs/otel/trace/api/ */
import { type Attributes, SpanStatusCode, trace } from '@opentelemetry/api'
import { toRetakeError } from '../base/errors.ts'
import { retakeVersion } from '../base/version.ts'

export async function inSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>): Promise<T> {
  const tracer = trace.getTracer('retake', retakeVersion())
  return tracer.startActiveSpan(name, { attributes }, async (span) => {
    try {
      return await work()
    } catch (thrown) {
      const { code, message } = toRetakeError(thrown)
      span.setAttribute('error.type', code)
      span.setStatus({ code: SpanStatusCode.ERROR, message })
      throw thrown
    } finally {
      span.end()
    }
  })
}
