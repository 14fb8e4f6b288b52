// The alerts room with a channel that remembers: over restarts, with time in the test's hands.
import { type Alerts, createAlerts } from '../../src/alerts/alerts.ts'
import { readAlertsConfig } from '../../src/alerts/config.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { memoryRowLog, type RowLog } from '../../src/lib/row-log.ts'
import { type Instant, instant } from '../../src/lib/time.ts'
import type { Alert, Notification } from '../../src/model/alert.ts'
import type { Integration, ReceiverConfig } from '../../src/model/ports/channel.ts'
import type { Ledger } from '../../src/model/ports/ledger.ts'
import type { Delivery } from '../../src/model/ports/notifier.ts'
import { FakeClock, settle } from './clock.ts'
import { memoryLedger } from './memory-ledger.ts'
import { fakeMetrics } from './metrics.ts'

export interface Sent extends Notification {
  readonly sentAt: Instant
}

export interface AlertRoomOptions {
  readonly rows?: RowLog
  readonly ledger?: Ledger
  readonly sendResolved?: boolean
  /** What a receiver answers; `sent` where it says nothing. */
  readonly answer?: (n: Notification, signal: AbortSignal) => Promise<Delivery> | Delivery | undefined
}

export const readConfig = (text: string) => readAlertsConfig(text, 'am.yml', { kinds: [], env: {} })

/** One life after another: `kill` forgets the process as kill -9 does, `start` begins the next from what was written. */
export class AlertRoom {
  readonly sent: Sent[] = []
  readonly rows: RowLog
  readonly ledger: Ledger
  readonly metrics = fakeMetrics()
  clock: FakeClock
  alerts!: Alerts
  #text: string
  readonly #options: AlertRoomOptions
  constructor(text: string, options: AlertRoomOptions = {}) {
    this.#text = text
    this.#options = options
    this.rows = options.rows ?? memoryRowLog()
    this.ledger = options.ledger ?? memoryLedger()
    this.clock = new FakeClock()
  }
  get now(): number {
    return this.clock.now()
  }
  async start(text = this.#text): Promise<this> {
    this.#text = text
    this.alerts = createAlerts({
      config: readConfig(text),
      notifiers: (receiver) => this.#integrations(receiver, this.clock),
      rows: this.rows,
      ledger: this.ledger,
      clock: this.clock,
      log: silentLogger(),
      metrics: this.metrics,
      externalURL: () => 'http://airboss',
    })
    await this.alerts.start()
    await settle()
    return this
  }
  /** The old process's timers never fire again. */
  async kill(downFor = 0): Promise<void> {
    this.clock = new FakeClock(this.clock.now() + downFor)
    await this.start()
  }
  #integrations(_: ReceiverConfig, clock: FakeClock): Integration[] {
    const notify = async (n: Notification, signal: AbortSignal): Promise<Delivery> => {
      const answer = (await this.#options.answer?.(n, signal)) ?? { outcome: 'sent' }
      if (answer.outcome === 'sent' && clock === this.clock) this.sent.push({ ...n, sentAt: clock.now() })
      return answer
    }
    return [{ name: 'test[0]', sendResolved: this.#options.sendResolved ?? true, notifier: { notify } }]
  }
  alert(labels: Record<string, string>, options: { startsAt?: number; endsAt?: number } = {}): Alert {
    return {
      labels: { alertname: 'Hot', ...labels },
      annotations: { summary: 'it is hot' },
      startsAt: instant(options.startsAt ?? this.now),
      endsAt: instant(options.endsAt ?? this.now + 240_000),
      generatorURL: 'http://airboss/g',
    }
  }
  async fire(
    labels: Record<string, string>,
    options: { startsAt?: number; endsAt?: number } = {},
  ): Promise<void> {
    await this.alerts.push([this.alert(labels, options)], new AbortController().signal)
  }
  async resolve(labels: Record<string, string>): Promise<void> {
    await this.fire(labels, { startsAt: this.now - 1000, endsAt: this.now })
  }
  /** Everything sent since last asked, in few words. */
  told(): string[] {
    return this.sent
      .splice(0)
      .map(
        (n) =>
          `${n.receiver} ${n.status} (${n.reason}): ${n.alerts.map((a) => `${a.labels['unit'] ?? '-'}=${a.status}`).join(' ')}`,
      )
  }
}
