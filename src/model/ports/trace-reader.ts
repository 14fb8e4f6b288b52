// Reads traces and logs for people. Every answer is bounded; what takes too long is refused with the mend.
import type { LogQuery, ReadTrace, StoredLog, TraceQuery, TraceSummary } from '../stored-trace.ts'

export interface TraceReader {
  trace(traceId: string, signal: AbortSignal): Promise<ReadTrace>
  /** The newest first. */
  traces(query: TraceQuery, signal: AbortSignal): Promise<TraceSummary[]>
  logs(query: LogQuery, signal: AbortSignal): Promise<StoredLog[]>
}
