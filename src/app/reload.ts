// Reload: the new configuration is read and checked whole before anything changes; a broken one leaves the old running.
import { isDeepStrictEqual } from 'node:util'
import { messageOf } from '../lib/errors.ts'
import { globalScrapeShape } from '../receive/scrape/config.ts'
import { checkSettings } from './check.ts'
import { type Flags, readSettings, type Settings } from './config.ts'
import type { Context } from './context.ts'
import type { Act } from './wire-act.ts'
import type { Receive } from './wire-receive.ts'
import type { Tell } from './wire-tell.ts'

/** Sections that take effect without a restart. */
const live = new Set([
  'rule_files',
  'alertmanager',
  'scrape_configs',
  'scrape_config_files',
  'oncall',
  'deployments',
  'hooks',
])

/** A section as far as it takes effect at the next start only: what `global` says to scrapes holds at once. */
const atStart = (section: string, written: unknown): unknown =>
  section === 'global' && typeof written === 'object' && written !== null
    ? Object.fromEntries(Object.entries(written).filter(([key]) => !(key in globalScrapeShape)))
    : written

export interface Reload {
  /** Throws `bad_data` with every problem; then nothing has changed. */
  now(): Promise<void>
  /** What is in force. */
  current(): Settings
  /** Whether the last reload took effect; why not, when it did not. */
  state(): { readonly ok: boolean; readonly why: string }
}

interface ReloadDeps {
  readonly context: Context
  readonly flags: Flags
  readonly tell: Tell
  readonly receive: Receive
  readonly act: Act
}

export const createReload = ({ context, flags, tell, receive, act }: ReloadDeps): Reload => {
  const { log, metrics } = context
  const ok = metrics.gauge(
    'airboss_config_last_reload_successful',
    'Whether the last reload of the configuration took effect.',
  )
  ok.set(1)
  let current = context.settings
  let state = { ok: true, why: '' }
  let turn: Promise<void> = Promise.resolve()

  const take = async (): Promise<void> => {
    const next = readSettings(flags)
    checkSettings(next)
    tell.check(next)
    await tell.apply(next)
    await receive.apply(next.config)
    act.fleet.configure(next.config.deployments)
    const changed = [...new Set([...Object.keys(current.written), ...Object.keys(next.written)])].filter(
      (key) =>
        !live.has(key) &&
        !isDeepStrictEqual(atStart(key, current.written[key]), atStart(key, next.written[key])),
    )
    if (changed.length > 0)
      log.warn({ sections: changed }, 'these sections changed and take effect at the next start')
    current = next
  }

  return {
    current: () => current,
    state: () => state,
    now: () => {
      const done = turn.then(take).then(
        () => {
          state = { ok: true, why: '' }
          ok.set(1)
          log.info({ file: current.file }, 'configuration reloaded')
        },
        (error: unknown) => {
          state = { ok: false, why: messageOf(error) }
          ok.set(0)
          log.error({ why: state.why }, 'configuration not reloaded; the old one goes on')
          throw error
        },
      )
      turn = done.catch(() => {})
      return done
    },
  }
}
