// Spans of Airboss's own work, without naming the library behind them.

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

/** A place in a trace, from which something later can go on; null where nothing is traced. */
export type TracePlace = object | null

export interface Tracer {
  /**
   * Runs `run` within a span; a rejection marks it as failed and goes on to the caller. `under` is what it belongs to: left out, whatever is
   * going on now; null, nothing: it begins a trace. `note` adds attributes that are known only later.
   */
  span<T>(
    name: string,
    attributes: SpanAttributes,
    run: (note: (more: SpanAttributes) => void) => Promise<T>,
    under?: TracePlace,
  ): Promise<T>
  /** Where we are now. */
  here(): TracePlace
  /** The place that a caller names by W3C's `traceparent`; null where it names none. */
  continued(traceparent: string | undefined): TracePlace
}

/** Traces nothing. */
export const noTracer: Tracer = {
  span: (_name, _attributes, run) => run(() => {}),
  here: () => null,
  continued: () => null,
}
