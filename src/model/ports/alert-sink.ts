// Where alerts go once a rule fires or resolves.
import type { Alert } from '../alert.ts'

export interface AlertSink {
  push(alerts: readonly Alert[], signal: AbortSignal): Promise<void>
}
