// A process to be killed: it opens a ledger and acts through the guard, telling each acknowledged step on standard output.

import { actionsSchema } from '../../src/act/config.ts'
import { guard } from '../../src/act/guard.ts'
import { createWebhooks } from '../../src/act/webhook.ts'
import { openLedger } from '../../src/ledger/ledger.ts'
import { systemClock as clock } from '../../src/lib/clock.ts'
import { createHttp } from '../../src/lib/http.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { system } from '../../src/model/actor.ts'
import { fakeMetrics } from './metrics.ts'

const [dir = '', url = '', from = '0'] = process.argv.slice(2)
const log = silentLogger()
const metrics = fakeMetrics()
const ledger = openLedger({ dir, clock, log, metrics })
await ledger.start()
const config = actionsSchema({}).parse({
  mode: 'live',
  limit_per_hour: 100_000,
  cooldown: { scale: '0s' },
  webhooks: { deploy: { url, secret: 'shared' } },
})
const webhooks = createWebhooks({
  webhooks: config.webhooks,
  default: '',
  send: createHttp().send,
  decisionOf: () => null,
  clock,
  log,
  metrics,
})
const guarded = guard(webhooks, { config, ledger, clock, log, metrics })
const never = new AbortController().signal
for (let i = Number(from); ; i++) {
  const id = `a${i}`
  const done = await guarded.act(
    {
      id,
      kind: 'scale',
      subject: `s${i % 7}`,
      params: { replicas: i },
      reason: '',
      causes: [],
      actuator: '',
    },
    system('scale'),
    never,
  )
  process.stdout.write(`${id} ${done.outcome}\n`)
}
