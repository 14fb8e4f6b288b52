// What the alerts room must not forget: live alerts, what receivers were told, and what was about to be told.

import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import type { RowLog } from '../lib/row-log.ts'
import type { Duration, Instant } from '../lib/time.ts'
import type { Counter } from '../model/ports/metrics.ts'
import type { Told } from './dedup.ts'
import type { HeldAlert } from './merge.ts'

/** A record of the notification log. It may be forgotten after `untilAt`: by then it would have been repeated twice, or a day has passed. */
export interface ToldRecord extends Told {
  readonly untilAt: Instant
}

type Row =
  | { readonly k: 'alert'; readonly f: string; readonly alert: HeldAlert }
  | { readonly k: 'gone'; readonly f: string }
  | { readonly k: 'asked'; readonly key: string; readonly asked: Told }
  | { readonly k: 'told'; readonly key: string; readonly told: ToldRecord }

const compactAbove = 4 << 20

/**
 * Kept in memory and in the row log. A row about a delivery is written before it (`asked`) and after it (`told`); a delivery
 * that a kill cut in two is asked again with the same instant, hence with the same idempotency key.
 */
export class AlertState {
  readonly alerts = new Map<string, HeldAlert>()
  readonly told = new Map<string, ToldRecord>()
  readonly asked = new Map<string, Told>()
  readonly #rows: RowLog
  readonly #log: Logger
  readonly #failures: Counter
  #compactAt = compactAbove
  constructor(rows: RowLog, log: Logger, failures: Counter) {
    this.#rows = rows
    this.#log = log
    this.#failures = failures
  }

  /** Reads everything back. An alert that was firing gets at least `grace` from now: nobody could refresh it while we were down. */
  async restore(now: Instant, grace: Duration): Promise<void> {
    for (const row of (await this.#rows.replay()) as Row[]) this.#apply(row)
    const resolvedAt = new Map<string, Instant>()
    for (const t of this.told.values())
      for (const f of t.resolved) if ((resolvedAt.get(f) ?? 0) < t.at) resolvedAt.set(f, t.at)
    for (const [f, alert] of this.alerts) {
      const fired = alert.endsAt > alert.updatedAt && (resolvedAt.get(f) ?? 0) < alert.updatedAt
      if (fired && alert.endsAt < now + grace)
        this.alerts.set(f, { ...alert, endsAt: (now + grace) as Instant })
    }
    this.forget(now)
  }

  #apply(row: Row): void {
    if (row.k === 'alert') this.alerts.set(row.f, row.alert)
    else if (row.k === 'gone') this.alerts.delete(row.f)
    else if (row.k === 'asked') this.asked.set(row.key, row.asked)
    else {
      this.told.set(row.key, row.told)
      this.asked.delete(row.key)
    }
  }

  /** Takes alerts in at once; resolves when they are on disk. */
  async keep(alerts: readonly (readonly [string, HeldAlert])[]): Promise<void> {
    await this.#write(alerts.map(([f, alert]) => ({ k: 'alert', f, alert })))
  }

  async drop(fingerprints: readonly string[]): Promise<void> {
    await this.#tryWrite(fingerprints.map((f) => ({ k: 'gone', f })))
  }

  async ask(key: string, asked: Told): Promise<void> {
    await this.#tryWrite([{ k: 'asked', key, asked }])
  }

  async tell(key: string, told: ToldRecord): Promise<void> {
    await this.#tryWrite([{ k: 'told', key, told }])
  }

  /** Lets go of records that nothing can refer to any more. */
  forget(now: Instant): void {
    for (const [key, told] of this.told) if (told.untilAt < now) this.told.delete(key)
    for (const [key, asked] of this.asked) if (asked.at < now - 86_400_000) this.asked.delete(key)
  }

  async #write(rows: readonly Row[]): Promise<void> {
    for (const row of rows) this.#apply(row)
    await this.#rows.append(rows)
    if (this.#rows.size() > this.#compactAt) await this.#compact()
  }

  // A page that cannot be written down still goes out: one too many beats one too few.
  async #tryWrite(rows: readonly Row[]): Promise<void> {
    try {
      await this.#write(rows)
    } catch (error) {
      this.#failures.add()
      this.#log.error({ error: messageOf(error) }, 'alert state not written')
    }
  }

  async #compact(): Promise<void> {
    this.#compactAt = Number.POSITIVE_INFINITY
    const rows: Row[] = [
      ...[...this.alerts].map(([f, alert]): Row => ({ k: 'alert', f, alert })),
      ...[...this.told].map(([key, told]): Row => ({ k: 'told', key, told })),
      ...[...this.asked].map(([key, asked]): Row => ({ k: 'asked', key, asked })),
    ]
    try {
      await this.#rows.rewrite(rows)
    } catch (error) {
      // All that was appended is still there: the file is only longer than it need be.
      this.#failures.add()
      this.#log.error({ error: messageOf(error) }, 'alert state not compacted')
    } finally {
      this.#compactAt = Math.max(compactAbove, this.#rows.size() * 2)
    }
  }
}
